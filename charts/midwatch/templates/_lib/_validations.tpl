{{/*
Combinations that no schema can refuse. Every problem is found before any is told, each with the ways out of it.
A check appends dict "problem" ... "remedies" (list) to .problems.
*/}}

{{- define "midwatch.validations" -}}
{{- $problems := list -}}
{{- range $check := list "external" "collector" "profile" "destinations" "tls" "operator" "thresholds" "alertmanager" "grafana" "ledger" "injection" -}}
{{- $found := include (printf "midwatch.validations.%s" $check) $ | fromYamlArray -}}
{{- $problems = concat $problems $found -}}
{{- end -}}
{{- if $problems -}}
{{- $lines := list (printf "Midwatch can not be installed with these values (%d to change):" (len $problems)) -}}
{{- range $index, $entry := $problems -}}
{{- $lines = append $lines "" -}}
{{- $lines = append $lines (printf "%d. %s" (add1 $index) $entry.problem) -}}
{{- range $number, $remedy := $entry.remedies -}}
{{- $lines = append $lines (printf "   %d) %s" (add1 $number) $remedy) -}}
{{- end -}}
{{- end -}}
{{- fail (printf "\n\n%s\n" (join "\n" $lines)) -}}
{{- end -}}
{{- end }}

{{- define "midwatch.validations.external" -}}
{{- $root := . -}}
{{- range $component := list "collector" "prometheus" "alertmanager" "tempo" "grafana" "ledger" }}
{{- $values := get $root.Values $component }}
{{- if and (eq (toString $values.enabled) "external") (not $values.external.url) }}
- problem: {{ $component }}.enabled is external, but {{ $component }}.external.url is empty.
  remedies:
    - set {{ $component }}.external.url to where yours answers, for example http://{{ $component }}.monitoring.svc
    - set {{ $component }}.enabled to true to install one, or to false to do without
{{- end }}
{{- end }}
{{- if and (eq (toString .Values.tempo.enabled) "external") (eq (toString .Values.collector.enabled) "true") (not .Values.tempo.external.otlpUrl) }}
- problem: tempo.enabled is external, but the collector does not know where to send traces (tempo.external.otlpUrl is empty).
  remedies:
    - 'set tempo.external.otlpUrl to its OTLP receiver, for example http://tempo-distributor.tempo.svc:4317'
    - set tempo.enabled to true to install one, or to false to do without
{{- end }}
{{- range $component := list "prometheus" "tempo" }}
{{- $external := (get $root.Values $component).external }}
{{- if eq (include "midwatch.mode" (dict "root" $root "component" $component)) "external" }}
{{- if and $external.secretHeaders (not $external.existingSecret) }}
- problem: {{ $component }}.external.secretHeaders is set, but {{ $component }}.external.existingSecret is empty.
  remedies:
    - 'create it: kubectl --namespace {{ $root.Release.Namespace }} create secret generic {{ $component }}-headers --from-literal={{ values $external.secretHeaders | sortAlpha | first }}=..., then set {{ $component }}.external.existingSecret to {{ $component }}-headers'
    - give what is no secret in {{ $component }}.external.headers
{{- end }}
{{- range $header := keys $external.headers | sortAlpha }}
{{- if hasKey $external.secretHeaders $header }}
- problem: {{ $component }}.external gives the header {{ $header }} twice, in headers and in secretHeaders.
  remedies:
    - remove {{ $header }} from {{ $component }}.external.headers, for a value that is secret
    - remove {{ $header }} from {{ $component }}.external.secretHeaders, for one that everybody may read
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "midwatch.validations.collector" -}}
{{- $collector := .Values.collector -}}
{{- if eq (toString $collector.enabled) "true" }}
{{- if not (include "midwatch.collector.destinations" . | fromYaml) }}
- problem: the collector has nowhere to send to (prometheus, tempo and ledger are all false).
  remedies:
    - set one of prometheus.enabled, tempo.enabled, ledger.enabled to true or external
    - set collector.enabled to false
{{- end }}
{{- if and $collector.scrape.enabled (not $collector.scrape.pods.enabled) (not $collector.scrape.targets) }}
- problem: collector.scrape.enabled is true, but there is nothing to scrape.
  remedies:
    - 'set collector.scrape.pods.enabled to true and annotate pods with midwatch.dev/scrape: "true"'
    - add a target to collector.scrape.targets
    - set collector.scrape.enabled to false
{{- end }}
{{- if and $collector.scrape.enabled (eq (toString .Values.prometheus.enabled) "false") }}
- problem: collector.scrape.enabled is true, but there is no Prometheus to keep what it scrapes.
  remedies:
    - set prometheus.enabled to true or external
    - set collector.scrape.enabled to false
{{- end }}
{{- end }}
{{- end }}

{{- define "midwatch.validations.alertmanager" -}}
{{- $values := .Values.alertmanager -}}
{{- if eq (toString $values.enabled) "true" }}
{{- if eq (toString .Values.prometheus.enabled) "false" }}
- problem: alertmanager.enabled is true, but there is no Prometheus to send it alerts.
  remedies:
    - set prometheus.enabled to true, or to external and point your Prometheus at this Alertmanager
    - set alertmanager.enabled to false
{{- end }}
{{- if and $values.slack.enabled (not $values.slack.existingSecret) }}
- problem: alertmanager.slack.enabled is true, but alertmanager.slack.existingSecret is empty.
  remedies:
    - 'create it: kubectl --namespace {{ .Release.Namespace }} create secret generic slack-webhook --from-literal={{ $values.slack.urlKey }}=https://hooks.slack.com/services/..., then set alertmanager.slack.existingSecret to slack-webhook'
    - set alertmanager.slack.enabled to false
{{- end }}
{{- if $values.email.enabled }}
{{- range $key, $example := dict "to" "on-call@example.com" "from" "midwatch@example.com" "smarthost" "smtp.example.com:587" }}
{{- if not (get $values.email $key) }}
- problem: alertmanager.email.enabled is true, but alertmanager.email.{{ $key }} is empty.
  remedies:
    - 'set alertmanager.email.{{ $key }}, for example {{ $example }}'
    - set alertmanager.email.enabled to false
{{- end }}
{{- end }}
{{- if and $values.email.username (not $values.email.existingSecret) }}
- problem: alertmanager.email.username is set, but alertmanager.email.existingSecret is empty.
  remedies:
    - 'create it: kubectl --namespace {{ .Release.Namespace }} create secret generic smtp --from-literal={{ $values.email.passwordKey }}=..., then set alertmanager.email.existingSecret to smtp'
    - clear alertmanager.email.username, for a mail server that asks for no password
{{- end }}
{{- end }}
{{- range $way, $entry := dict "webhook" (list $values.webhook.urlKey "https://...") "pagerDuty" (list $values.pagerDuty.routingKeyKey "...") "msTeams" (list $values.msTeams.urlKey "https://...") }}
{{- $said := get $values $way }}
{{- if and $said.enabled (not $said.existingSecret) }}
- problem: alertmanager.{{ $way }}.enabled is true, but alertmanager.{{ $way }}.existingSecret is empty.
  remedies:
    - 'create it: kubectl --namespace {{ $.Release.Namespace }} create secret generic {{ $way | lower }} --from-literal={{ first $entry }}={{ last $entry }}, then set alertmanager.{{ $way }}.existingSecret to {{ $way | lower }}'
    - set alertmanager.{{ $way }}.enabled to false
{{- end }}
{{- end }}
{{- range $team, $own := $values.routes }}
{{- range $key, $way := dict "slackChannel" "slack" "emailTo" "email" "webhookKey" "webhook" "pagerDutyKey" "pagerDuty" "msTeamsKey" "msTeams" }}
{{- if and (get $own $key) (not (get $values $way).enabled) }}
- problem: alertmanager.routes.{{ $team }}.{{ $key }} is set, but alertmanager.{{ $way }}.enabled is false.
  remedies:
    - set alertmanager.{{ $way }}.enabled to true
    - remove alertmanager.routes.{{ $team }}.{{ $key }}
{{- end }}
{{- end }}
{{- end }}
{{- if and $values.deadMansSwitch.enabled (not $values.deadMansSwitch.existingSecret) }}
- problem: alertmanager.deadMansSwitch.enabled is true, but alertmanager.deadMansSwitch.existingSecret is empty.
  remedies:
    - 'create it: kubectl --namespace {{ .Release.Namespace }} create secret generic heartbeat --from-literal={{ $values.deadMansSwitch.urlKey }}=https://..., then set alertmanager.deadMansSwitch.existingSecret to heartbeat'
    - set alertmanager.deadMansSwitch.enabled to false
{{- end }}
{{- end }}
{{- end }}

{{- define "midwatch.validations.grafana" -}}
{{- if and (eq (toString .Values.grafana.enabled) "true") (eq (toString .Values.prometheus.enabled) "false") (eq (toString .Values.tempo.enabled) "false") }}
- problem: grafana.enabled is true, but there is nothing to show (prometheus and tempo are both false).
  remedies:
    - set prometheus.enabled or tempo.enabled to true or external
    - set grafana.enabled to false
{{- end }}
{{- if and .Values.grafana.ledgerDatabase.host (not .Values.grafana.ledgerDatabase.existingSecret) }}
- problem: grafana.ledgerDatabase.host is set, but grafana.ledgerDatabase.existingSecret is empty.
  remedies:
    - 'create it: kubectl --namespace {{ .Release.Namespace }} create secret generic ledger-reader --from-literal={{ .Values.grafana.ledgerDatabase.passwordKey }}=..., then set grafana.ledgerDatabase.existingSecret to ledger-reader'
    - clear grafana.ledgerDatabase.host, to do without the ledger's board
{{- end }}
{{- $grafana := .Values.grafana }}
{{- if eq (toString $grafana.enabled) "true" }}
{{- if and (gt (int $grafana.replicas) 1) (not $grafana.database.existingSecret) }}
- problem: grafana.replicas is {{ $grafana.replicas }}, but each would have a database of its own.
  remedies:
    - set grafana.database.existingSecret to a Secret with the URL of a PostgreSQL or MySQL
    - set grafana.replicas to 1
{{- end }}
{{- if and $grafana.authProxy.enabled (not $grafana.authProxy.trusted) }}
- problem: grafana.authProxy.enabled is true, but grafana.authProxy.trusted is empty; anybody could say who they are.
  remedies:
    - 'set grafana.authProxy.trusted to the networks that your proxy sends from, for example {10.0.0.0/8: true}'
    - set grafana.authProxy.enabled to false
{{- end }}
{{- if $grafana.oidc.enabled }}
{{- range $key := list "clientId" "existingSecret" "authUrl" "tokenUrl" }}
{{- if not (get $grafana.oidc $key) }}
- problem: grafana.oidc.enabled is true, but grafana.oidc.{{ $key }} is empty.
  remedies:
    - set grafana.oidc.{{ $key }} to what your provider says of the client
    - set grafana.oidc.enabled to false
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if and (ne $grafana.external.boards "none") (ne (toString $grafana.enabled) "external") }}
- problem: grafana.external.boards is {{ $grafana.external.boards }}, but grafana.enabled is {{ $grafana.enabled }}.
  remedies:
    - set grafana.enabled to external and grafana.external.url to where yours answers
    - set grafana.external.boards to none, since the Grafana that is installed here has the boards
{{- end }}
{{- end }}

{{- define "midwatch.validations.ledger" -}}
{{- $several := gt (include "midwatch.replicas" (dict "root" . "component" "ledger") | int) 1 -}}
{{- if and (eq (toString .Values.ledger.enabled) "true") $several (not .Values.ledger.database.existingSecret) }}
- problem: {{ gt (.Values.ledger.replicas | int) 1 | ternary (printf "ledger.replicas is %v" .Values.ledger.replicas) "profile is ha, which runs two of the ledger" }}, but SQLite serves one process only.
  remedies:
    - set ledger.database.existingSecret to a Secret with the URL of a PostgreSQL
    - set ledger.replicas to 1
{{- end }}
{{- if and (eq (toString .Values.ledger.enabled) "true") .Values.ledger.backup.enabled (not .Values.ledger.database.existingSecret) (not .Values.ledger.persistence.enabled) }}
- problem: ledger.backup.enabled is true, but a database in an emptyDir can not be reached by another pod.
  remedies:
    - set ledger.persistence.enabled to true
    - set ledger.database.existingSecret to a Secret with the URL of a PostgreSQL
    - set ledger.backup.enabled to false
{{- end }}
{{- end }}
