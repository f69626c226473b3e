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
    {{- include "midwatch.tls.client" (dict "root" $root "component" "ledger" "indent" 4) }}
    {{- if include "midwatch.ledger.keys" $root }}
    auth:
      authenticator: bearertokenauth/ledger
    {{- end }}
{{- end }}
{{- if include "midwatch.present" (dict "root" $root "component" "tempo") }}
tempo:
  traces: sampled
  {{- if eq (include "midwatch.mode" (dict "root" $root "component" "tempo")) "external" }}
  {{- $external := $root.Values.tempo.external }}
  exporter: {{ eq $external.otlpProtocol "http" | ternary "otlp_http" "otlp_grpc" }}/tempo
  settings:
    endpoint: {{ $external.otlpUrl | trimSuffix "/" | quote }}
    {{- include "midwatch.collector.headers" (dict "name" "tempo" "given" $external) }}
  {{- else }}
  {{- /* Over HTTP: a gRPC client asks an address that was away less and less often, every two minutes in the end. */}}
  exporter: otlp_http/tempo
  settings:
    endpoint: {{ include "midwatch.tls.serves" (dict "root" $root "component" "tempo") | empty | ternary "http" "https" }}://{{ include "midwatch.address" (dict "root" $root "component" "tempo" "port" 4318) }}
    {{- include "midwatch.tls.client" (dict "root" $root "component" "tempo" "indent" 4) }}
  {{- end }}
{{- end }}
{{- $prometheus := dict "root" $root "component" "prometheus" }}
{{- if include "midwatch.present" $prometheus }}
{{- /* Each of several keeps everything: queries and rules need no one else, and one that restarts gets what it missed. */}}
{{- $count := include "midwatch.replicas" $prometheus | int }}
{{- if or (eq (include "midwatch.mode" $prometheus) "external") (eq $count 1) }}
prometheus:
  exporter: otlp_http/prometheus
  metrics: true
  settings:
    {{- if eq (include "midwatch.mode" $prometheus) "external" }}
    {{- $external := $root.Values.prometheus.external }}
    endpoint: {{ $external.otlpUrl | trimSuffix "/" | default (printf "%s/api/v1/otlp" (include "midwatch.url" $prometheus)) }}
    {{- include "midwatch.collector.headers" (dict "name" "prometheus" "given" $external) }}
    {{- else }}
    endpoint: {{ include "midwatch.url" $prometheus }}/api/v1/otlp
    {{- include "midwatch.tls.client" (merge (dict "indent" 4) $prometheus) }}
    {{- end }}
{{- else }}
{{- range $number := until $count }}
prometheus-{{ $number }}:
  exporter: otlp_http/prometheus-{{ $number }}
  metrics: true
  settings:
    endpoint: {{ include "midwatch.scheme" $root }}://{{ include "midwatch.podAddress" (merge (dict "port" 9090 "number" $number) $prometheus) }}/api/v1/otlp
    {{- include "midwatch.tls.client" (merge (dict "indent" 4) $prometheus) }}
{{- end }}
{{- end }}
{{- end }}
{{- include "midwatch.collector.presets" $root }}
{{- end }}

{{/*
Exporters of the pipelines: a queue on disk each, and retries that never give up, so that one dead store costs the others
nothing. Takes root, component and used.
*/}}
{{- define "midwatch.collector.exporters" -}}
{{- $root := .root -}}
{{- $used := .used -}}
{{- range $name, $destination := include "midwatch.collector.destinations" $root | fromYaml }}
{{- if has $destination.exporter $used.exporters }}
{{ $destination.exporter }}:
  {{- toYaml $destination.settings | nindent 2 }}
  {{- if not (hasPrefix "file/" $destination.exporter) }}
  {{- include "midwatch.collector.delivery" $root | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}
{{- include "midwatch.collector.balancingExporters" (dict "root" $root "used" $used) }}
{{- end }}

{{- define "midwatch.collector.delivery" -}}
{{- $queue := .Values.collector.queue -}}
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
