{{/* Prometheus' configuration: what it receives over OTLP becomes labels as promoted here; it scrapes only Midwatch's own programs. */}}
{{- define "midwatch.prometheus.config" -}}
{{- $root := . -}}
global:
  scrape_interval: {{ .Values.prometheus.scrapeInterval }}
  scrape_timeout: {{ .Values.prometheus.scrapeInterval }}
  evaluation_interval: {{ .Values.prometheus.evaluationInterval }}
  {{- with .Values.prometheus.externalLabels }}
  external_labels: {{- toYaml . | nindent 4 }}
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
{{- $url := urlParse (include "midwatch.url" (dict "root" . "component" "alertmanager")) }}
alerting:
  alertmanagers:
    - api_version: v2
      scheme: {{ $url.scheme }}
      {{- with $url.path }}
      path_prefix: {{ . }}
      {{- end }}
      static_configs:
        - targets: [{{ $url.host | quote }}]
{{ end }}
scrape_configs:
  {{- $ports := dict "collector" 8888 "prometheus" 9090 "alertmanager" 9093 "tempo" 3200 "grafana" 3000 "ledger" 8088 }}
  {{- range $component, $port := $ports }}
  {{- if include "midwatch.installed" (dict "root" $root "component" $component) }}
  - job_name: {{ $component }}
    static_configs:
      - targets: [{{ include "midwatch.address" (dict "root" $root "component" $component "port" $port) | quote }}]
        labels:
          k8s_namespace_name: {{ $root.Release.Namespace }}
  {{- end }}
  {{- end }}
{{- end }}

{{/*
Rule files as they lie in files/rules, with the roots of their links (prometheus-rules/catalog.yaml names them) replaced
by where the boards and the runbooks of this installation are.
*/}}
{{- define "midwatch.prometheus.rules" -}}
{{- $boards := .Values.grafana.externalUrl | default (include "midwatch.url" (dict "root" . "component" "grafana")) | trimSuffix "/" -}}
{{- $runbooks := .Values.prometheus.runbooksUrl | trimSuffix "/" -}}
{{- range $path, $content := .Files.Glob "files/rules/*.yaml" }}
{{ base $path }}: |
  {{- $text := $content | toString }}
  {{- if eq (base $path) "thresholds.rules.yaml" }}{{ $text = include "midwatch.prometheus.thresholds" $ }}{{ end }}
  {{- $text | replace "https://grafana.midwatch.invalid" $boards | replace "https://midwatch.dev/runbooks" $runbooks | trim | nindent 2 }}
{{- end }}
{{- end }}
