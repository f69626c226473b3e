{{/* grafana.ini; secrets are read from files by Grafana itself. */}}
{{- define "midwatch.grafana.config" -}}
[server]
http_addr = 0.0.0.0
http_port = 3000
{{- if include "midwatch.tls.on" . }}
protocol = https
cert_file = /etc/midwatch/tls/tls.crt
cert_key = /etc/midwatch/tls/tls.key
{{- end }}
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
# Who signs in for the first time sees what the content policy lets everybody see: with `content: full` nothing, until an
# administrator says otherwise. Viewers never explore, which is where whole traces are.
auto_assign_org_role = {{ eq .Values.content "full" | ternary "None" "Viewer" }}
viewers_can_edit = false
{{- include "midwatch.grafana.auth" . }}

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
      {{- include "midwatch.grafana.headerNames" (dict "root" . "component" "prometheus") }}
      {{- include "midwatch.grafana.tls" (dict "root" . "component" "prometheus") }}
      {{- if $tempo }}
      exemplarTraceIdDestinations:
        - name: trace_id
          datasourceUid: tempo
          urlDisplayLabel: Trace
      {{- end }}
    {{- include "midwatch.grafana.ca" (dict "root" . "component" "prometheus") }}
    {{- include "midwatch.grafana.headerValues" (dict "root" . "component" "prometheus") }}
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
      {{- include "midwatch.grafana.headerNames" (dict "root" . "component" "tempo") }}
      {{- include "midwatch.grafana.tls" (dict "root" . "component" "tempo") }}
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
    {{- include "midwatch.grafana.ca" (dict "root" . "component" "tempo") }}
    {{- include "midwatch.grafana.headerValues" (dict "root" . "component" "tempo") }}
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
      {{- include "midwatch.grafana.tls" (dict "root" . "component" "alertmanager") }}
    {{- include "midwatch.grafana.ca" (dict "root" . "component" "alertmanager") }}
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

{{/* How a data source checks a program that is installed here and serves TLS; takes root and component. */}}
{{- define "midwatch.grafana.tls" -}}
{{- if and (include "midwatch.installed" .) (include "midwatch.tls.serves" .) }}
      tlsAuthWithCACert: true
{{- end }}
{{- end }}

{{- define "midwatch.grafana.ca" -}}
{{- if and (include "midwatch.installed" .) (include "midwatch.tls.serves" .) }}
    secureJsonData:
      tlsCACert: $__file{/etc/midwatch/tls/ca.crt}
{{- end }}
{{- end }}

{{/* Headers that a data source of yours wants, of which Grafana holds names and values apart; takes root and component. */}}
{{- define "midwatch.grafana.headerNames" -}}
{{- range $index, $header := include "midwatch.external.headers" . | fromYamlArray }}
      httpHeaderName{{ add1 $index }}: {{ $header.name | quote }}
{{- end }}
{{- end }}

{{- define "midwatch.grafana.headerValues" -}}
{{- range $index, $header := include "midwatch.external.headers" . | fromYamlArray }}
{{- if eq $index 0 }}
    secureJsonData:
{{- end }}
      {{- if $header.key }}
      httpHeaderValue{{ add1 $index }}: $__file{/etc/midwatch/secrets/{{ $.component }}-headers/{{ $header.key }}}
      {{- else }}
      httpHeaderValue{{ add1 $index }}: {{ $header.value | replace "$" "$$" | quote }}
      {{- end }}
{{- end }}
{{- end }}

{{/* Sign-in by a proxy in front or by an OpenID Connect provider; takes the root. */}}
{{- define "midwatch.grafana.auth" -}}
{{- with .Values.grafana.authProxy }}
{{- if .enabled }}

[auth.proxy]
enabled = true
header_name = {{ .header }}
header_property = username
auto_sign_up = true
{{- if .groupsHeader }}
headers = Groups:{{ .groupsHeader }}
{{- end }}
whitelist = {{ .trusted | keys | sortAlpha | join ", " }}
{{- end }}
{{- end }}
{{- with .Values.grafana.oidc }}
{{- if .enabled }}

[auth.generic_oauth]
enabled = true
name = {{ .name }}
client_id = {{ .clientId }}
client_secret = $__file{/etc/midwatch/secrets/oidc/{{ .secretKey }}}
scopes = {{ .scopes }}
auth_url = {{ .authUrl }}
token_url = {{ .tokenUrl }}
api_url = {{ .userInfoUrl }}
use_pkce = true
allow_sign_up = true
{{- with .roles }}
role_attribute_path = {{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Secrets that the pod mounts, as a map of mount name to Secret. */}}
{{- define "midwatch.grafana.secrets" -}}
admin: {{ include "midwatch.grafana.adminSecret" . }}
{{- if .Values.grafana.ledgerDatabase.host }}
ledger-database: {{ .Values.grafana.ledgerDatabase.existingSecret }}
{{- end }}
{{- if .Values.grafana.oidc.enabled }}
oidc: {{ .Values.grafana.oidc.existingSecret }}
{{- end }}
{{- range $component, $secret := include "midwatch.external.secrets" . | fromYaml }}
{{ $component }}-headers: {{ toJson $secret }}
{{- end }}
{{- end }}

{{- define "midwatch.grafana.adminSecret" -}}
{{- .Values.grafana.admin.existingSecret | default (printf "%s-admin" (include "midwatch.name" (dict "root" . "component" "grafana"))) -}}
{{- end }}
