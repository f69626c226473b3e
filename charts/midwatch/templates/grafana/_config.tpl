{{/* grafana.ini; secrets are read from files by Grafana itself. */}}
{{- define "midwatch.grafana.config" -}}
[server]
http_addr = 0.0.0.0
http_port = 3000
root_url = {{ .Values.grafana.externalUrl | default (include "midwatch.url" (dict "root" . "component" "grafana")) }}

[paths]
data = /var/lib/midwatch/grafana
plugins = /var/lib/midwatch/grafana/plugins
provisioning = /etc/midwatch/grafana/provisioning

[log]
mode = console
level = {{ .Values.grafana.logLevel }}

[security]
admin_user = {{ .Values.grafana.admin.user }}
admin_password = $__file{/etc/midwatch/secrets/admin/{{ .Values.grafana.admin.passwordKey }}}
secret_key = $__file{/etc/midwatch/secrets/admin/{{ .Values.grafana.admin.secretKeyKey }}}
disable_gravatar = true
cookie_samesite = strict

[users]
allow_sign_up = false

[auth.anonymous]
enabled = false

[analytics]
reporting_enabled = false
check_for_updates = false
check_for_plugin_updates = false

[plugins]
preinstall_disabled = true

[news]
news_feed_enabled = false
{{- end }}

{{/* Data sources with fixed uids, which dashboards and links rely on. "$$" is Grafana's way to write "$" here. */}}
{{- define "midwatch.grafana.datasources" -}}
{{- $prometheus := include "midwatch.present" (dict "root" . "component" "prometheus") -}}
{{- $tempo := include "midwatch.present" (dict "root" . "component" "tempo") -}}
apiVersion: 1
prune: true
datasources:
  {{- if $prometheus }}
  - name: Prometheus
    uid: prometheus
    type: prometheus
    access: proxy
    isDefault: true
    editable: false
    url: {{ include "midwatch.url" (dict "root" . "component" "prometheus") }}
    jsonData:
      httpMethod: POST
      prometheusType: Prometheus
      timeInterval: {{ .Values.prometheus.scrapeInterval }}
      {{- if $tempo }}
      exemplarTraceIdDestinations:
        - name: trace_id
          datasourceUid: tempo
          urlDisplayLabel: Trace
      {{- end }}
  {{- end }}
  {{- if $tempo }}
  - name: Tempo
    uid: tempo
    type: tempo
    access: proxy
    editable: false
    url: {{ include "midwatch.url" (dict "root" . "component" "tempo") }}
    jsonData:
      nodeGraph:
        enabled: true
      {{- if $prometheus }}
      serviceMap:
        datasourceUid: prometheus
      tracesToMetrics:
        datasourceUid: prometheus
        spanStartTimeShift: -5m
        spanEndTimeShift: 5m
        tags:
          - key: service.name
            value: service_name
        queries:
          - name: Turns
            query: sum by (outcome) (rate(agent_turns_total{$$__tags}[5m]))
          - name: Model calls
            query: sum by (model, status) (rate(agent_llm_requests_total{$$__tags}[5m]))
      {{- end }}
  {{- end }}
  {{- if include "midwatch.present" (dict "root" . "component" "alertmanager") }}
  - name: Alertmanager
    uid: alertmanager
    type: alertmanager
    access: proxy
    editable: false
    url: {{ include "midwatch.url" (dict "root" . "component" "alertmanager") }}
    jsonData:
      implementation: prometheus
  {{- end }}
  {{- with .Values.grafana.ledgerDatabase }}
  {{- if .host }}
  - name: Ledger
    uid: ledger
    type: grafana-postgresql-datasource
    access: proxy
    editable: false
    url: {{ .host }}
    user: {{ .user | quote }}
    jsonData:
      database: {{ .name | quote }}
      sslmode: {{ .sslMode }}
      postgresVersion: 1500
    secureJsonData:
      password: $__file{/etc/midwatch/secrets/ledger-database/{{ .passwordKey }}}
  {{- end }}
  {{- end }}
{{- end }}

{{- define "midwatch.grafana.provider" -}}
apiVersion: 1
providers:
  - name: midwatch
    folder: Midwatch
    type: file
    disableDeletion: true
    allowUiUpdates: false
    updateIntervalSeconds: 30
    options:
      path: /etc/midwatch/grafana/dashboards
{{- end }}

{{/*
Dashboards as they lie in files/dashboards, with the roots of their links (prometheus-rules/catalog.yaml names them)
replaced by where things are here, and without blanks: what is applied by kubectl must fit into an annotation of 256 KiB.
The ledger's board needs its PostgreSQL and is left out without.
*/}}
{{- define "midwatch.grafana.dashboards" -}}
{{- $runbooks := .Values.prometheus.runbooksUrl | trimSuffix "/" -}}
{{- $ledger := .Values.ledger.externalUrl | default (include "midwatch.url" (dict "root" . "component" "ledger")) | trimSuffix "/" -}}
{{- range $path, $content := .Files.Glob "files/dashboards/*.json" }}
{{- if or (ne (base $path) "midwatch-ledger.json") $.Values.grafana.ledgerDatabase.host }}
{{ base $path }}: |
  {{- $content | toString | replace "https://midwatch.dev/runbooks" $runbooks | replace "https://ledger.midwatch.invalid" $ledger | fromJson | toRawJson | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Secrets that the pod mounts, as a map of mount name to Secret. */}}
{{- define "midwatch.grafana.secrets" -}}
admin: {{ include "midwatch.grafana.adminSecret" . }}
{{- if .Values.grafana.ledgerDatabase.host }}
ledger-database: {{ .Values.grafana.ledgerDatabase.existingSecret }}
{{- end }}
{{- end }}

{{- define "midwatch.grafana.adminSecret" -}}
{{- .Values.grafana.admin.existingSecret | default (printf "%s-admin" (include "midwatch.name" (dict "root" . "component" "grafana"))) -}}
{{- end }}
