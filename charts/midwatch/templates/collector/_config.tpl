{{/*
The collector's configuration by role. `collector` in profile small is everything in one; in profile ha it is the tier that
receives, enriches, redacts and balances traces by their id, `sampler` the tier that sees each trace whole, and `scraper` the
one that scrapes, because several would scrape everything several times.

Order of processors: limit, enrich, redact, cut; tail sampling last and only before stores that get samples.
*/}}
{{- define "midwatch.collector.config" -}}
{{- $self := dict "root" .root "component" .component -}}
{{- $roles := include "midwatch.collector.roles" $self | fromYaml -}}
{{- $pipelines := include "midwatch.collector.pipelines" (merge (dict "roles" $roles) $self) | fromYaml -}}
{{- $used := include "midwatch.collector.used" $pipelines | fromYaml -}}
extensions:
  {{- include "midwatch.collector.extensions" (merge (dict "used" $used) $self) | trim | nindent 2 }}

receivers:
  {{- if has "otlp" $used.receivers }}
  otlp:
    protocols:
      grpc:
        endpoint: 0.0.0.0:4317
        max_recv_msg_size_mib: 16
        {{- include "midwatch.tls.server" (merge (dict "indent" 8) $self) }}
      http:
        endpoint: 0.0.0.0:4318
        {{- include "midwatch.tls.server" (merge (dict "indent" 8) $self) }}
  {{- end }}
  {{- if has "prometheus" $used.receivers }}
  {{- include "midwatch.collector.scrapeReceiver" .root | nindent 2 }}
  {{- end }}

processors:
  {{- range $name, $settings := include "midwatch.collector.processors" .root | fromYaml }}
  {{- if has $name $used.processors }}
  {{ $name }}: {{- toYaml $settings | nindent 4 }}
  {{- end }}
  {{- end }}

exporters:
  {{- include "midwatch.collector.exporters" (merge (dict "used" $used) $self) | trim | nindent 2 }}

{{ if $used.connectors -}}
connectors:
  {{- include "midwatch.collector.connectors" (merge (dict "used" $used) $self) | trim | nindent 2 }}
{{- end }}

service:
  extensions: {{ include "midwatch.collector.extensions" (merge (dict "used" $used) $self) | fromYaml | keys | sortAlpha | toJson }}
  telemetry:
    logs:
      level: {{ .root.Values.collector.logLevel }}
    metrics:
      level: normal
      readers:
        - pull:
            exporter:
              prometheus:
                host: 0.0.0.0
                port: 8888
  pipelines:
    {{- range $name, $pipeline := $pipelines }}
    {{ $name }}:
      receivers: {{ toJson $pipeline.receivers }}
      processors: {{ toJson $pipeline.processors }}
      exporters: {{ toJson $pipeline.exporters }}
    {{- end }}
{{- end }}

{{/* What a collector does: receives, balances, samples (sees traces whole and delivers them), scrapes. */}}
{{- define "midwatch.collector.roles" -}}
{{- $ha := eq .root.Values.profile "ha" -}}
{{- $scrape := .root.Values.collector.scrape.enabled -}}
receives: {{ eq .component "collector" }}
balances: {{ and $ha (eq .component "collector") }}
samples: {{ eq .component (ternary "sampler" "collector" $ha) }}
scrapes: {{ and $scrape (eq .component (ternary "scraper" "collector" $ha)) }}
{{- end }}

{{/* Pipelines by name; takes root, component and roles. */}}
{{- define "midwatch.collector.pipelines" -}}
{{- $root := .root -}}
{{- $roles := .roles -}}
{{- $destinations := include "midwatch.collector.destinations" $root | fromYaml -}}
{{- $all := list -}}{{- $sampled := list -}}{{- $metrics := list -}}{{- $logs := list -}}{{- $apart := dict -}}
{{- range $name, $destination := $destinations -}}
{{- $to := $destination.exporter -}}
{{- if $destination.apart }}{{ $to = printf "forward/to-%s" $name }}{{ $_ := set $apart $name $destination }}{{ end -}}
{{- if eq ($destination.traces | default "") "all" }}{{ $all = append $all $to }}{{ end -}}
{{- if eq ($destination.traces | default "") "sampled" }}{{ $sampled = append $sampled $to }}{{ end -}}
{{- if $destination.metrics }}{{ $metrics = append $metrics $to }}{{ end -}}
{{- if $destination.logs }}{{ $logs = append $logs $to }}{{ end -}}
{{- end -}}
{{- if and $root.Values.collector.spanMetrics.enabled $metrics }}{{ $all = append $all "span_metrics" }}{{ end -}}
{{- if and $root.Values.collector.serviceGraph.enabled $metrics }}{{ $all = append $all "service_graph" }}{{ end -}}
{{- if $sampled }}{{ $all = append $all "forward/sampled" }}{{ end -}}
{{- $enrich := list "memory_limiter" -}}
{{- if $root.Values.collector.kubernetesAttributes.enabled }}{{ $enrich = append $enrich "k8s_attributes" }}{{ end -}}
{{- $enrich = append $enrich "resource" -}}
{{- $govern := list -}}
{{- if eq $root.Values.content "off" }}{{ $govern = append $govern "transform/content" }}{{ end -}}
{{- if ne $root.Values.content "full" }}{{ $govern = append $govern "redaction" }}{{ end -}}
{{- $govern = append $govern "transform/limits" -}}
{{- if and $all (or $roles.receives $roles.samples) }}
traces/receive:
  receivers: [otlp]
  processors: {{ $roles.receives | ternary (concat $enrich $govern) (list "memory_limiter") | toJson }}
  exporters: {{ $roles.balances | ternary (include "midwatch.collector.balancers" $root | fromYamlArray) $all | toJson }}
{{- end }}
{{- if $roles.balances }}
{{- include "midwatch.collector.shardPipelines" $root }}
{{- end }}
{{- if $roles.samples }}
{{- if $sampled }}
traces/sampled:
  receivers: [forward/sampled]
  processors: {{ $root.Values.collector.tailSampling.enabled | ternary (list "filter/nameless" "tail_sampling") (list "filter/nameless") | toJson }}
  exporters: {{ toJson $sampled }}
{{- end }}
{{- range $connector, $pipeline := dict "span_metrics" "spans" "service_graph" "graph" }}
{{- if has $connector $all }}
metrics/{{ $pipeline }}:
  receivers: [{{ $connector }}]
  processors: [memory_limiter]
  exporters: {{ toJson $metrics }}
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $destination := $apart }}
{{- $to := printf "forward/to-%s" $name }}
{{- $mapping := and (ne ($destination.mapping | default "") "") (list (printf "transform/%s" $name)) }}
{{- $signals := dict
  "traces" (and $roles.samples (has $to (concat $all $sampled)))
  "metrics" (has $to $metrics)
  "logs" (and $roles.receives (has $to $logs)) }}
{{- range $signal, $used := $signals }}
{{- if $used }}
{{ $signal }}/{{ $name }}:
  receivers: [{{ $to }}]
  processors: {{ append (and $mapping (eq $signal "traces") | ternary $mapping list) "batch/handover" | toJson }}
  exporters: [{{ $destination.exporter }}]
{{- end }}
{{- end }}
{{- end }}
{{- if and $metrics $roles.receives }}
metrics/receive:
  receivers: [otlp]
  processors: {{ toJson $enrich }}
  exporters: {{ toJson $metrics }}
{{- end }}
{{- if and $metrics $roles.scrapes }}
metrics/scrape:
  receivers: [prometheus]
  processors: [memory_limiter, transform/scrape, resource]
  exporters: {{ toJson $metrics }}
{{- end }}
{{- if and $logs $roles.receives }}
logs/receive:
  receivers: [otlp]
  processors: {{ concat $enrich $govern | toJson }}
  exporters: {{ toJson $logs }}
{{- end }}
{{- end }}

{{/* What pipelines name, each in a list of its kind: what none names is not rendered. Connectors are all that is a receiver as well as an exporter. */}}
{{- define "midwatch.collector.used" -}}
{{- $receivers := list -}}{{- $processors := list -}}{{- $exporters := list -}}
{{- range . -}}
{{- $receivers = concat $receivers .receivers -}}
{{- $processors = concat $processors .processors -}}
{{- $exporters = concat $exporters .exporters -}}
{{- end -}}
{{- $connectors := list -}}
{{- range $exporters | uniq }}{{ if has . $receivers }}{{ $connectors = append $connectors . }}{{ end }}{{ end -}}
receivers: {{ $receivers | uniq | toJson }}
processors: {{ $processors | uniq | toJson }}
exporters: {{ $exporters | uniq | sortAlpha | toJson }}
connectors: {{ $connectors | sortAlpha | toJson }}
{{- end }}

{{- define "midwatch.collector.extensions" -}}
health_check:
  endpoint: 0.0.0.0:13133
file_storage/queue:
  directory: /var/lib/midwatch/collector/queue
  create_directory: true
  timeout: 10s
  fsync: {{ .root.Values.collector.queue.fsync }}
  compaction:
    directory: /var/lib/midwatch/collector/queue
    on_start: true
    on_rebound: true
    rebound_needed_threshold_mib: 100
    rebound_trigger_threshold_mib: 10
    cleanup_on_start: true
{{- if and (include "midwatch.ledger.keys" .root) (has "otlp_http/ledger" .used.exporters) }}
bearertokenauth/ledger:
  filename: /etc/midwatch/secrets/ledger/ingest-key
{{- end }}
{{- $used := .used }}
{{- range $name, $destination := include "midwatch.collector.destinations" .root | fromYaml }}
{{- if and $destination.extension (has $destination.exporter $used.exporters) }}
{{ first (keys $destination.extension) }}: {{- first (values $destination.extension) | toYaml | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "midwatch.collector.connectors" -}}
{{- $collector := .root.Values.collector -}}
{{- range $name := .used.connectors }}
{{- if hasPrefix "forward/" $name }}
{{ $name }}: {}
{{- else if eq $name "span_metrics" }}
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
  aggregation_cardinality_limit: {{ $collector.spanMetrics.maxSeries | int }}
  metrics_flush_interval: 5s
  metrics_expiration: 15m
  exemplars:
    enabled: true
    max_per_data_point: 5
{{- else if eq $name "service_graph" }}
service_graph:
  latency_histogram_buckets: [50ms, 100ms, 250ms, 500ms, 1s, 2500ms, 5s, 10s, 30s, 60s]
  metrics_flush_interval: 5s
  store:
    ttl: 10s
    max_items: {{ $collector.serviceGraph.maxPairs | int }}
{{- end }}
{{- end }}
{{- end }}
