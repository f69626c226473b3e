{{/* The collector's configuration. Order of processors: limit, enrich, redact, cut; tail sampling last and only before stores that get samples. */}}
{{- define "midwatch.collector.config" -}}
{{- $destinations := include "midwatch.collector.destinations" . | fromYaml -}}
{{- $sampled := list -}}{{- $traces := list -}}{{- $metrics := list -}}{{- $logs := list -}}
{{- range $name, $destination := $destinations -}}
{{- if eq ($destination.traces | default "") "all" }}{{ $traces = append $traces $destination.exporter }}{{ end -}}
{{- if eq ($destination.traces | default "") "sampled" }}{{ $sampled = append $sampled $destination.exporter }}{{ end -}}
{{- if $destination.metrics }}{{ $metrics = append $metrics $destination.exporter }}{{ end -}}
{{- if $destination.logs }}{{ $logs = append $logs $destination.exporter }}{{ end -}}
{{- end -}}
{{- $spanMetrics := and .Values.collector.spanMetrics.enabled $metrics -}}
{{- if $spanMetrics }}{{ $traces = append $traces "span_metrics" }}{{ end -}}
{{- if $sampled }}{{ $traces = append $traces "forward/sampled" }}{{ end -}}
{{- $enrich := list "memory_limiter" -}}
{{- if .Values.collector.kubernetesAttributes.enabled }}{{ $enrich = append $enrich "k8s_attributes" }}{{ end -}}
{{- $enrich = append $enrich "resource" -}}
{{- $govern := list -}}
{{- if eq .Values.content "off" }}{{ $govern = append $govern "transform/content" }}{{ end -}}
{{- if ne .Values.content "full" }}{{ $govern = append $govern "redaction" }}{{ end -}}
{{- $govern = append $govern "transform/limits" -}}
extensions:
  health_check:
    endpoint: 0.0.0.0:13133
  file_storage/queue:
    directory: /var/lib/midwatch/collector/queue
    create_directory: true
    timeout: 10s
    fsync: {{ .Values.collector.queue.fsync }}
    compaction:
      directory: /var/lib/midwatch/collector/queue
      on_start: true
      on_rebound: true
      rebound_needed_threshold_mib: 100
      rebound_trigger_threshold_mib: 10
      cleanup_on_start: true
  {{- if include "midwatch.ledger.keys" . }}
  bearertokenauth/ledger:
    filename: /etc/midwatch/secrets/ledger/ingest-key
  {{- end }}

receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 0.0.0.0:4317
        max_recv_msg_size_mib: 16
      http:
        endpoint: 0.0.0.0:4318
  {{- if and .Values.collector.scrape.enabled $metrics }}
  {{- include "midwatch.collector.scrapeReceiver" . | nindent 2 }}
  {{- end }}

processors:
  {{- include "midwatch.collector.processors" . | trim | nindent 2 }}

exporters:
  {{- include "midwatch.collector.exporters" . | trim | nindent 2 }}

{{ if or $spanMetrics $sampled -}}
connectors:
  {{- if $sampled }}
  forward/sampled: {}
  {{- end }}
  {{- if $spanMetrics }}
  span_metrics:
    namespace: traces.span.metrics
    histogram:
      unit: s
      explicit:
        buckets: [50ms, 100ms, 250ms, 500ms, 1s, 2500ms, 5s, 10s, 30s, 60s, 120s, 300s]
    dimensions:
      - name: gen_ai.operation.name
      - name: gen_ai.agent.name
      - name: error.type
    resource_metrics_key_attributes: [service.name, service.namespace, k8s.pod.name, service.instance.id]
    add_resource_attributes: true
    aggregation_cardinality_limit: {{ .Values.collector.spanMetrics.maxSeries | int }}
    metrics_flush_interval: 5s
    metrics_expiration: 15m
    exemplars:
      enabled: true
      max_per_data_point: 5
  {{- end }}
{{- end }}

service:
  extensions: [health_check, file_storage/queue{{ if include "midwatch.ledger.keys" . }}, bearertokenauth/ledger{{ end }}]
  telemetry:
    logs:
      level: {{ .Values.collector.logLevel }}
    metrics:
      level: normal
      readers:
        - pull:
            exporter:
              prometheus:
                host: 0.0.0.0
                port: 8888
  pipelines:
    {{- if $traces }}
    traces/receive:
      receivers: [otlp]
      processors: {{ concat $enrich $govern | toJson }}
      exporters: {{ toJson $traces }}
    {{- end }}
    {{- if $sampled }}
    traces/sampled:
      receivers: [forward/sampled]
      processors: {{ .Values.collector.tailSampling.enabled | ternary (list "tail_sampling") list | toJson }}
      exporters: {{ toJson $sampled }}
    {{- end }}
    {{- if $metrics }}
    metrics/receive:
      receivers: [otlp]
      processors: {{ toJson $enrich }}
      exporters: {{ toJson $metrics }}
    {{- if $spanMetrics }}
    metrics/spans:
      receivers: [span_metrics]
      processors: [memory_limiter]
      exporters: {{ toJson $metrics }}
    {{- end }}
    {{- if .Values.collector.scrape.enabled }}
    metrics/scrape:
      receivers: [prometheus]
      processors: [memory_limiter, transform/scrape, resource]
      exporters: {{ toJson $metrics }}
    {{- end }}
    {{- end }}
    {{- if $logs }}
    logs/receive:
      receivers: [otlp]
      processors: {{ concat $enrich $govern | toJson }}
      exporters: {{ toJson $logs }}
    {{- end }}
{{- end }}
