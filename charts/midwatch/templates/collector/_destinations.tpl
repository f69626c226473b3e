{{/*
Where the collector sends: a map of destination name to {exporter, signals, endpoint settings}, so that exporters and
pipelines are both written from one list. `traces: all` gets every trace, `traces: sampled` what tail sampling keeps.
*/}}
{{- define "midwatch.collector.destinations" -}}
{{- $root := . -}}
{{- if include "midwatch.present" (dict "root" $root "component" "ledger") }}
ledger:
  exporter: otlp_http/ledger
  traces: all
  logs: true
  settings:
    endpoint: {{ include "midwatch.url" (dict "root" $root "component" "ledger") }}
    {{- if include "midwatch.ledger.keys" $root }}
    auth:
      authenticator: bearertokenauth/ledger
    {{- end }}
{{- end }}
{{- if include "midwatch.present" (dict "root" $root "component" "tempo") }}
tempo:
  exporter: otlp_grpc/tempo
  traces: sampled
  settings:
    {{- if eq (include "midwatch.mode" (dict "root" $root "component" "tempo")) "external" }}
    endpoint: {{ $root.Values.tempo.external.otlpUrl | quote }}
    {{- else }}
    endpoint: {{ include "midwatch.address" (dict "root" $root "component" "tempo" "port" 4317) }}
    tls:
      insecure: true
    {{- end }}
{{- end }}
{{- if include "midwatch.present" (dict "root" $root "component" "prometheus") }}
prometheus:
  exporter: otlp_http/prometheus
  metrics: true
  settings:
    endpoint: {{ include "midwatch.url" (dict "root" $root "component" "prometheus") }}/api/v1/otlp
{{- end }}
{{- end }}

{{/* Exporters: a queue on disk each, and retries that never give up, so that one dead store costs the others nothing. */}}
{{- define "midwatch.collector.exporters" -}}
{{- $queue := .Values.collector.queue -}}
{{- range $name, $destination := include "midwatch.collector.destinations" . | fromYaml }}
{{ $destination.exporter }}:
  {{- toYaml $destination.settings | nindent 2 }}
  timeout: 10s
  sending_queue:
    enabled: true
    storage: file_storage/queue
    sizer: bytes
    queue_size: {{ include "midwatch.bytes" $queue.size }}
    num_consumers: {{ $queue.consumers | int }}
    block_on_overflow: false
    batch:
      flush_timeout: {{ $queue.flushTimeout }}
      sizer: bytes
      min_size: 65536
      max_size: 2097152
  retry_on_failure:
    enabled: true
    initial_interval: 1s
    max_interval: 5s
    # Never give up: the queue on disk is the limit, and the alert on its filling comes long before.
    max_elapsed_time: 0s
{{- end }}
{{- end }}
