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
    # That a way is dead can't be told by that way alone: by every one that is on, as a page, and as seldom as a ticket.
    # A webhook is mostly the ledger's: the channel for tickets is well then, where there is one beside.
    {{- $other := and (or $values.slack.enabled $values.msTeams.enabled) "integration!=\"webhook\"" }}
    {{- range $team, $own := $values.routes }}
    - receiver: page-{{ $team }}
      matchers:
        - alertname="AlertmanagerNotificationsFailing"
        {{- with $other }}
        - {{ . }}
        {{- end }}
        - team={{ $team | quote }}
    {{- end }}
    - receiver: page
      matchers:
        - alertname="AlertmanagerNotificationsFailing"
        {{- with $other }}
        - {{ . }}
        {{- end }}
    {{- range $team, $own := $values.routes }}
    - receiver: page-{{ $team }}
      matchers:
        - severity="critical"
        - team={{ $team | quote }}
      {{- include "midwatch.alertmanager.pageTiming" $values | nindent 6 }}
    - receiver: notify-{{ $team }}
      matchers:
        - severity="warning"
        - team={{ $team | quote }}
      {{- include "midwatch.alertmanager.quiet" $values | nindent 6 }}
    {{- end }}
    - receiver: page
      matchers:
        - severity="critical"
      {{- include "midwatch.alertmanager.pageTiming" $values | nindent 6 }}
    # Said once more than the root says it: an alert that only the ledger's route took would never come back to the root.
    - receiver: notify
      {{- include "midwatch.alertmanager.quiet" $values | nindent 6 }}
{{- with $values.muteTimeIntervals }}

time_intervals:
  {{- range $name, $intervals := . }}
  - name: {{ $name }}
    time_intervals: {{- $intervals | toYaml | nindent 6 }}
  {{- end }}
{{- end }}

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
  # Who is up for an agent sees the rest of it on the board: its warnings wait until the page is over. What concerns
  # money is no consequence of a fault and is told all the same.
  - source_matchers:
      - severity="critical"
      - team!="platform"
    target_matchers:
      - severity="warning"
      - team!="platform"
      - alertname!~"LlmBudget.*|LlmCost.*|LlmToken.*"
    equal: [k8s_namespace_name, service_namespace, service_name, agent]
  # Without the collector nothing arrives: what is then told of silence and of queues is its consequence.
  - source_matchers:
      - alertname="CollectorDown"
    target_matchers:
      - alertname=~"AgentSilent|AgentThroughputDrop|AgentOutcomeDrop|TraceSuccessLow|TelemetryBackendUnreachable|CollectorQueueFilling"

receivers:
  - name: none
  {{- if $ledger }}
  - name: ledger
    webhook_configs:
      - url: {{ include "midwatch.url" (dict "root" . "component" "ledger") }}/alerts/webhook
        send_resolved: true
        {{- if or $values.ledgerKey.existingSecret (include "midwatch.ledger.keys" $root) }}
        http_config:
          authorization:
            type: Bearer
            credentials_file: /etc/midwatch/secrets/ledger/{{ $values.ledgerKey.existingSecret | empty | ternary "alerts-key" $values.ledgerKey.key }}
        {{- end }}
  {{- end }}
  {{- if $values.deadMansSwitch.enabled }}
  - name: dead-mans-switch
    webhook_configs:
      - url_file: /etc/midwatch/secrets/dead-mans-switch/{{ $values.deadMansSwitch.urlKey }}
        send_resolved: false
  {{- end }}
  {{- range $kind := list "page" "notify" }}
  {{- include "midwatch.alertmanager.receiver" (dict "root" $root "name" $kind "kind" $kind "own" dict) | nindent 2 }}
  {{- range $team, $own := $values.routes }}
  {{- include "midwatch.alertmanager.receiver" (dict "root" $root "name" (printf "%s-%s" $kind $team) "kind" $kind "own" $own) | nindent 2 }}
  {{- end }}
  {{- end }}
{{- end }}

{{/* When tickets wait; pages never do. */}}
{{- define "midwatch.alertmanager.quiet" -}}
{{- with .muteTimeIntervals -}}
mute_time_intervals: {{ keys . | sortAlpha | toJson }}
{{- end }}
{{- end }}

{{- define "midwatch.alertmanager.pageTiming" -}}
group_wait: {{ .timing.page.groupWait }}
group_interval: {{ .timing.page.groupInterval }}
repeat_interval: {{ .timing.page.repeatInterval }}
{{- end }}

{{/*
Message templates as they lie in files/alertmanager, with the roots of their links (prometheus-rules/catalog.yaml names
them) replaced by where things are here. Without a public address of the ledger its root is empty and its link left out.
*/}}
{{- define "midwatch.alertmanager.templates" -}}
{{- $boards := .Values.grafana.externalUrl | default (include "midwatch.url" (dict "root" . "component" "grafana")) | trimSuffix "/" -}}
{{- $ledger := .Values.ledger.externalUrl | trimSuffix "/" -}}
{{- range $path, $content := .Files.Glob "files/alertmanager/*.tmpl" }}
{{ base $path }}: |
  {{- $content | toString | replace "https://grafana.midwatch.invalid" $boards | replace "https://ledger.midwatch.invalid" $ledger | trim | nindent 2 }}
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
{{- if .webhook.enabled }}
webhook: {{ .webhook.existingSecret }}
{{- end }}
{{- if .pagerDuty.enabled }}
pagerduty: {{ .pagerDuty.existingSecret }}
{{- end }}
{{- if .msTeams.enabled }}
msteams: {{ .msTeams.existingSecret }}
{{- end }}
{{- if .ledgerKey.existingSecret }}
ledger: {{ .ledgerKey.existingSecret }}
{{- else }}
{{- include "midwatch.ledger.mountedKeys" (dict "root" $ "keys" (list "alerts-key")) }}
{{- end }}
{{- if .deadMansSwitch.enabled }}
dead-mans-switch: {{ .deadMansSwitch.existingSecret }}
{{- end }}
{{- end }}
{{- end }}
