{{/*
Receivers. `page` wakes by every way that is on; `notify` tells in the channels (Slack, Teams, webhook), or by email where
there is no channel. A team's entry in alertmanager.routes says otherwise for its own. Backquoted text is for
Alertmanager's templates, not for Helm. Secrets are named by file only.
*/}}

{{- define "midwatch.alertmanager.slack" -}}
{{- $slack := .root.Values.alertmanager.slack -}}
slack_configs:
  - api_url_file: /etc/midwatch/secrets/slack/{{ $slack.urlKey }}
    channel: {{ .own.slackChannel | default $slack.channel | quote }}
    send_resolved: true
    title: '{{`{{ template "midwatch.title" . }}`}}'
    title_link: '{{`{{ template "midwatch.dashboard.link" . }}`}}'
    text: '{{`{{ template "midwatch.text" . }}`}}'
    fallback: '{{`{{ template "midwatch.title" . }}`}}'
    color: '{{`{{ template "midwatch.color" . }}`}}'
    actions:
      - type: button
        text: '{{`{{ template "midwatch.runbook.label" . }}`}}'
        url: '{{`{{ template "midwatch.runbook.link" . }}`}}'
      - type: button
        text: '{{`{{ template "midwatch.dashboard.label" . }}`}}'
        url: '{{`{{ template "midwatch.dashboard.link" . }}`}}'
      - type: button
        text: '{{`{{ template "midwatch.traces.label" . }}`}}'
        url: '{{`{{ template "midwatch.traces.link" . }}`}}'
      - type: button
        text: Silence
        url: '{{`{{ template "midwatch.silence" . }}`}}'
      {{- if .root.Values.ledger.externalUrl }}
      - type: button
        text: Acknowledge
        url: '{{`{{ template "midwatch.acknowledge" . }}`}}'
      {{- end }}
{{- end }}

{{- define "midwatch.alertmanager.email" -}}
{{- $email := .root.Values.alertmanager.email -}}
email_configs:
  - to: {{ .own.emailTo | default $email.to | quote }}
    from: {{ $email.from | quote }}
    smarthost: {{ $email.smarthost | quote }}
    require_tls: {{ $email.requireTls }}
    {{- with $email.username }}
    auth_username: {{ . | quote }}
    auth_password_file: /etc/midwatch/secrets/email/{{ $email.passwordKey }}
    {{- end }}
    send_resolved: true
    headers:
      Subject: '{{`{{ template "midwatch.email.subject" . }}`}}'
    html: '{{`{{ template "midwatch.email.html" . }}`}}'
    text: '{{`{{ template "midwatch.email.text" . }}`}}'
{{- end }}

{{- define "midwatch.alertmanager.webhook" -}}
{{- $webhook := .root.Values.alertmanager.webhook -}}
webhook_configs:
  - url_file: /etc/midwatch/secrets/webhook/{{ .own.webhookKey | default $webhook.urlKey }}
    send_resolved: true
{{- end }}

{{- define "midwatch.alertmanager.pagerDuty" -}}
{{- $pager := .root.Values.alertmanager.pagerDuty -}}
pagerduty_configs:
  - routing_key_file: /etc/midwatch/secrets/pagerduty/{{ .own.pagerDutyKey | default $pager.routingKeyKey }}
    {{- with $pager.url }}
    url: {{ . | quote }}
    {{- end }}
    send_resolved: true
    description: '{{`{{ template "midwatch.email.subject" . }}`}}'
    severity: '{{`{{ template "midwatch.pagerduty.severity" . }}`}}'
    class: '{{`{{ template "midwatch.name" . }}`}}'
    component: '{{`{{ .CommonLabels.agent }}`}}'
    group: '{{`{{ .CommonLabels.service_name }}`}}'
    client: Midwatch
    client_url: '{{`{{ template "midwatch.dashboard.link" . }}`}}'
    # Alertmanager takes a detail that reads as YAML for data; no YAML begins with this sign, so it stays a text.
    details:
      text: '{{`@midwatch {{ template "midwatch.email.text" . }}`}}'
    links:
      - href: '{{`{{ template "midwatch.runbook.link" . }}`}}'
        text: '{{`{{ template "midwatch.runbook.label" . }}`}}'
      - href: '{{`{{ template "midwatch.traces.link" . }}`}}'
        text: '{{`{{ template "midwatch.traces.label" . }}`}}'
      - href: '{{`{{ template "midwatch.silence" . }}`}}'
        text: Silence
{{- end }}

{{- define "midwatch.alertmanager.msTeams" -}}
{{- $teams := .root.Values.alertmanager.msTeams -}}
msteamsv2_configs:
  - webhook_url_file: /etc/midwatch/secrets/msteams/{{ .own.msTeamsKey | default $teams.urlKey }}
    send_resolved: true
    title: '{{`{{ template "midwatch.title" . }}`}}'
    text: '{{`{{ template "midwatch.teams.text" . }}`}}'
{{- end }}

{{/* The ways that are on, as a map of way to true. */}}
{{- define "midwatch.alertmanager.ways" -}}
{{- range $way := list "slack" "email" "webhook" "pagerDuty" "msTeams" }}
{{- if (get $.Values.alertmanager $way).enabled }}
{{ $way }}: true
{{- end }}
{{- end }}
{{- end }}

{{/* One receiver: takes root, name, kind (page or notify), and own: the team's entry of alertmanager.routes, or an empty map. */}}
{{- define "midwatch.alertmanager.receiver" -}}
{{- $on := include "midwatch.alertmanager.ways" .root | fromYaml -}}
{{- $channels := or $on.slack $on.msTeams $on.webhook -}}
{{- $page := eq .kind "page" -}}
{{- $default := dict "slack" true "webhook" true "msTeams" true "pagerDuty" $page "email" (or $page (not $channels)) -}}
{{- $said := get .own .kind | default dict -}}
- name: {{ .name }}
{{- range $way := list "slack" "email" "webhook" "pagerDuty" "msTeams" }}
{{- if and (get $on $way) (hasKey $said $way | ternary (get $said $way) (get $default $way)) }}
  {{- include (printf "midwatch.alertmanager.%s" $way) $ | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
