{{/* Prometheus' configuration: what it receives over OTLP becomes labels as promoted here; it scrapes only Midwatch's own programs. */}}
{{- define "midwatch.prometheus.config" -}}
{{- $root := . -}}
global:
  scrape_interval: {{ .Values.prometheus.scrapeInterval }}
  scrape_timeout: {{ .Values.prometheus.scrapeInterval }}
  evaluation_interval: {{ .Values.prometheus.evaluationInterval }}
  {{- $several := gt (include "midwatch.replicas" (dict "root" . "component" "prometheus") | int) 1 }}
  {{- if or $several .Values.prometheus.externalLabels }}
  external_labels:
    {{- with .Values.prometheus.externalLabels }}{{ toYaml . | nindent 4 }}{{ end }}
    {{- if $several }}
    prometheus_replica: ${POD_NAME}
    {{- end }}
  {{- end }}

otlp:
  promote_resource_attributes:
    - service.name
    - service.namespace
    - service.version
    - k8s.namespace.name
    - k8s.pod.name
    - deployment.environment.name
    - midwatch.project

storage:
  tsdb:
    # The collector's queue delivers late after an outage; within this window nothing is refused.
    out_of_order_time_window: {{ .Values.prometheus.outOfOrderWindow }}
  exemplars:
    max_exemplars: {{ .Values.prometheus.maxExemplars | int }}

rule_files:
  - /etc/midwatch/prometheus/rules/*.yaml
{{ if include "midwatch.present" (dict "root" . "component" "alertmanager") }}
{{- $alertmanager := dict "root" . "component" "alertmanager" }}
{{- $url := urlParse (include "midwatch.url" $alertmanager) }}
{{- $hosts := list $url.host }}
{{- $count := include "midwatch.replicas" $alertmanager | int }}
{{- if and (include "midwatch.installed" $alertmanager) (gt $count 1) }}
{{- $hosts = list }}
{{- range $number := until $count }}{{ $hosts = append $hosts (include "midwatch.podAddress" (merge (dict "port" 9093 "number" $number) $alertmanager)) }}{{ end }}
{{- end }}
alerting:
  {{- if $several }}
  # All say the same: Alertmanager takes their alerts for one.
  alert_relabel_configs:
    - regex: prometheus_replica
      action: labeldrop
  {{- end }}
  alertmanagers:
    - api_version: v2
      scheme: {{ $url.scheme }}
      {{- with $url.path }}
      path_prefix: {{ . }}
      {{- end }}
      {{- include "midwatch.prometheus.tls" (merge (dict "indent" 6) $alertmanager) }}
      static_configs:
        - targets: {{ toJson $hosts }}
{{ end }}
{{- include "midwatch.prometheus.remoteWrite" . }}
scrape_configs:
  {{- $ports := dict "collector" 8888 "prometheus" 9090 "alertmanager" 9093 "tempo" 3200 "grafana" 3000 "ledger" 8088 }}
  {{- range $component, $port := $ports }}
  {{- if include "midwatch.installed" (dict "root" $root "component" $component) }}
  {{- $self := dict "root" $root "component" $component "port" $port }}
  - job_name: {{ $component }}
    {{- if ne $component "collector" }}
    {{- if include "midwatch.tls.serves" $self }}
    scheme: https
    {{- end }}
    {{- include "midwatch.prometheus.tls" (merge (dict "indent" 4) $self) }}
    {{- end }}
    {{- if or (include "midwatch.several" $self) (and (eq $component "collector") (eq $root.Values.profile "ha")) }}
    dns_sd_configs:
      - type: A
        port: {{ $port }}
        refresh_interval: 10s
        names:
          {{- range $one := eq $component "collector" | ternary (include "midwatch.collector.components" $root | fromYamlArray) (list $component) }}
          - {{ include "midwatch.name" (dict "root" $root "component" $one) }}-pods.{{ $root.Release.Namespace }}.svc
          {{- end }}
    relabel_configs:
      - target_label: k8s_namespace_name
        replacement: {{ $root.Release.Namespace }}
    {{- else }}
    static_configs:
      - targets: [{{ include "midwatch.address" $self | quote }}]
        labels:
          k8s_namespace_name: {{ $root.Release.Namespace }}
    {{- end }}
  {{- end }}
  {{- end }}
{{- end }}

{{/* How Prometheus checks a program that is installed here and serves TLS; takes root, component and indent. Pods are found by address, so the name is said. */}}
{{- define "midwatch.prometheus.tls" -}}
{{- if and (include "midwatch.installed" .) (include "midwatch.tls.serves" .) }}
{{- printf "tls_config:\n  ca_file: /etc/midwatch/tls/ca.crt\n  server_name: %s" (include "midwatch.name" .) | nindent (.indent | int) }}
{{- end }}
{{- end }}

{{/* Destinations with the preset remote_write: what is kept here is written on to a store for longer or for more. */}}
{{- define "midwatch.prometheus.remoteWrite" -}}
{{- $entries := dict }}
{{- range $name, $given := .Values.destinations }}
{{- if and (eq $given.preset "remote_write") (ne (toString $given.enabled) "false") }}{{ $_ := set $entries $name $given }}{{ end }}
{{- end }}
{{- with $entries }}
remote_write:
  {{- range $name, $given := . }}
  - name: {{ $name }}
    url: {{ $given.url | quote }}
    send_exemplars: true
    send_native_histograms: true
    {{- with $given.headers }}
    headers: {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- if and $given.existingSecret $given.username }}
    basic_auth:
      username: {{ $given.username | quote }}
      password_file: /etc/midwatch/secrets/{{ $name }}/password
    {{- else if $given.existingSecret }}
    authorization:
      credentials_file: /etc/midwatch/secrets/{{ $name }}/token
    {{- end }}
    queue_config:
      # Waits in the write-ahead log while the other side is away; this is how far one queue may grow in memory.
      capacity: 10000
      max_shards: 20
  {{- end }}
{{ end }}
{{- end }}

{{/* Secrets that the pod mounts, as a map of mount name to Secret. */}}
{{- define "midwatch.prometheus.secrets" -}}
{{- range $name, $given := .Values.destinations }}
{{- if and (eq $given.preset "remote_write") (ne (toString $given.enabled) "false") $given.existingSecret }}
{{ $name }}: {{ $given.existingSecret }}
{{- end }}
{{- end }}
{{- end }}

{{/* Serves the API over TLS; Alertmanager takes the same file. */}}
{{- define "midwatch.webConfig" -}}
tls_server_config:
  cert_file: /etc/midwatch/tls/tls.crt
  key_file: /etc/midwatch/tls/tls.key
{{- end }}

{{/*
Rule files as they lie in files/rules, without their comments (a release has to fit into a Secret), and with the roots of their links (prometheus-rules/catalog.yaml names them) replaced
by where the boards and the runbooks of this installation are.
*/}}
{{- define "midwatch.prometheus.rules" -}}
{{- $boards := .Values.grafana.externalUrl | default (include "midwatch.url" (dict "root" . "component" "grafana")) | trimSuffix "/" -}}
{{- $runbooks := .Values.prometheus.runbooksUrl | trimSuffix "/" -}}
{{- range $path, $content := .Files.Glob "files/rules/*.yaml" }}
{{ base $path }}: |
  {{- $text := $content | toString }}
  {{- if eq (base $path) "thresholds.rules.yaml" }}{{ $text = include "midwatch.prometheus.thresholds" $ }}{{ end }}
  {{- $text = regexReplaceAll "(?m)^ *#.*\\n" $text "" }}
  {{- $text | replace "https://grafana.midwatch.invalid" $boards | replace "https://midwatch.dev/runbooks" $runbooks | trim | nindent 2 }}
{{- end }}
{{- end }}
