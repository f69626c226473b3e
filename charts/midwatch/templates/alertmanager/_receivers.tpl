{{/*
Receivers. `page` wakes (Slack and email), `notify` tells (Slack, or email without Slack); each team may have its own
channel and address. Backquoted text is for Alertmanager's templates, not for Helm.
*/}}

{{- define "midwatch.alertmanager.slack" -}}
{{- $slack := .root.Values.alertmanager.slack -}}
slack_configs:
  - api_url_file: /etc/midwatch/secrets/slack/{{ $slack.urlKey }}
    channel: {{ .channel | default $slack.channel | quote }}
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
        text: Silence
        url: '{{`{{ template "midwatch.silence" . }}`}}'
{{- end }}

{{- define "midwatch.alertmanager.email" -}}
{{- $email := .root.Values.alertmanager.email -}}
email_configs:
  - to: {{ .to | default $email.to | quote }}
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

{{/* One receiver: takes root, name, page (true to use every way), and a team's channel and address where it has them. */}}
{{- define "midwatch.alertmanager.receiver" -}}
- name: {{ .name }}
{{- $values := .root.Values.alertmanager }}
{{- if $values.slack.enabled }}
  {{- include "midwatch.alertmanager.slack" . | nindent 2 }}
{{- end }}
{{- if and $values.email.enabled (or .page (not $values.slack.enabled)) }}
  {{- include "midwatch.alertmanager.email" . | nindent 2 }}
{{- end }}
{{- end }}
