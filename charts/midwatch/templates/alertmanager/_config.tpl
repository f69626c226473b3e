{{/*
Alertmanager's configuration. Every alert goes to the ledger's history first and then on: the watchdog outside, critical
alerts to people awake, warnings to the channel, the rest to nobody.
*/}}
{{- define "midwatch.alertmanager.config" -}}
{{- $root := . -}}
{{- $values := .Values.alertmanager -}}
{{- $ledger := include "midwatch.present" (dict "root" . "component" "ledger") -}}
global:
  resolve_timeout: 5m

templates:
  - /etc/midwatch/alertmanager/templates/*.tmpl

route:
  receiver: notify
  group_by: [alertname, k8s_namespace_name, service_namespace, service_name, agent]
  group_wait: {{ $values.timing.groupWait }}
  group_interval: {{ $values.timing.groupInterval }}
  repeat_interval: {{ $values.timing.repeatInterval }}
  routes:
    {{- if $ledger }}
    - receiver: ledger
      continue: true
      group_by: [alertname]
      group_wait: 1s
      group_interval: 10s
      repeat_interval: 1h
    {{- end }}
    - receiver: {{ $values.deadMansSwitch.enabled | ternary "dead-mans-switch" "none" }}
      matchers:
        - alertname="Watchdog"
      group_wait: 0s
      group_interval: {{ $values.deadMansSwitch.interval }}
      repeat_interval: {{ $values.deadMansSwitch.interval }}
    - receiver: none
      matchers:
        - severity=~"info|none"
    {{- range $team, $ways := $values.teams }}
    - receiver: page-{{ $team }}
      matchers:
        - severity="critical"
        - team={{ $team | quote }}
      {{- include "midwatch.alertmanager.pageTiming" $values | nindent 6 }}
    - receiver: notify-{{ $team }}
      matchers:
        - severity="warning"
        - team={{ $team | quote }}
    {{- end }}
    - receiver: page
      matchers:
        - severity="critical"
      {{- include "midwatch.alertmanager.pageTiming" $values | nindent 6 }}
    # Said once more than the root says it: an alert that only the ledger's route took would never come back to the root.
    - receiver: notify

# Every alert carries k8s_namespace_name, service_namespace, service_name and agent (prometheus-rules/catalog.yaml):
# Alertmanager takes labels that are missing on both sides for equal, and would mute strangers.
inhibit_rules:
  # The same trouble at a higher severity says it all.
  - source_matchers:
      - severity="critical"
    target_matchers:
      - severity=~"warning|info"
    equal: [alertname, k8s_namespace_name, service_namespace, service_name, agent]
  - source_matchers:
      - severity="warning"
    target_matchers:
      - severity="info"
    equal: [alertname, k8s_namespace_name, service_namespace, service_name, agent]
  # Without the collector nothing arrives: what is then told of silence and of queues is its consequence.
  - source_matchers:
      - alertname="CollectorDown"
    target_matchers:
      - alertname=~"AgentSilent|AgentThroughputDrop|AgentOutcomeDrop|TelemetryBackendUnreachable|CollectorQueueFilling"

receivers:
  - name: none
  {{- if $ledger }}
  - name: ledger
    webhook_configs:
      - url: {{ include "midwatch.url" (dict "root" . "component" "ledger") }}/alerts/webhook
        send_resolved: true
  {{- end }}
  {{- if $values.deadMansSwitch.enabled }}
  - name: dead-mans-switch
    webhook_configs:
      - url_file: /etc/midwatch/secrets/dead-mans-switch/{{ $values.deadMansSwitch.urlKey }}
        send_resolved: false
  {{- end }}
  {{- include "midwatch.alertmanager.receiver" (dict "root" $root "name" "page" "page" true) | nindent 2 }}
  {{- include "midwatch.alertmanager.receiver" (dict "root" $root "name" "notify") | nindent 2 }}
  {{- range $team, $ways := $values.teams }}
  {{- $own := dict "root" $root "channel" ($ways.slackChannel | default "") "to" ($ways.emailTo | default "") }}
  {{- include "midwatch.alertmanager.receiver" (merge (dict "name" (printf "page-%s" $team) "page" true) $own) | nindent 2 }}
  {{- include "midwatch.alertmanager.receiver" (merge (dict "name" (printf "notify-%s" $team)) $own) | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "midwatch.alertmanager.pageTiming" -}}
group_wait: {{ .timing.page.groupWait }}
group_interval: {{ .timing.page.groupInterval }}
repeat_interval: {{ .timing.page.repeatInterval }}
{{- end }}

{{/* Message templates as they lie in files/alertmanager. */}}
{{- define "midwatch.alertmanager.templates" -}}
{{- range $path, $content := .Files.Glob "files/alertmanager/*.tmpl" }}
{{ base $path }}: |
  {{- $content | toString | trim | nindent 2 }}
{{- end }}
{{- end }}

{{/* Secrets that the pod mounts, as a map of mount name to Secret. */}}
{{- define "midwatch.alertmanager.secrets" -}}
{{- with .Values.alertmanager }}
{{- if .slack.enabled }}
slack: {{ .slack.existingSecret }}
{{- end }}
{{- if and .email.enabled .email.username }}
email: {{ .email.existingSecret }}
{{- end }}
{{- if .deadMansSwitch.enabled }}
dead-mans-switch: {{ .deadMansSwitch.existingSecret }}
{{- end }}
{{- end }}
{{- end }}
