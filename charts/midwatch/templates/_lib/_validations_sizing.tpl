{{/* What can not be in a profile, in destinations, with TLS, or beside an operator. */}}

{{- define "midwatch.validations.profile" -}}
{{- $collector := .Values.collector -}}
{{- if eq (toString $collector.enabled) "true" }}
{{- if and (eq .Values.profile "small") (gt (int $collector.replicas) 1) }}
- problem: collector.replicas is {{ $collector.replicas }}, but in the profile small one collector sees each trace whole and scrapes.
  remedies:
    - set profile to ha, which balances traces onto samplers
    - set collector.replicas to 1
{{- end }}
{{- if and (eq .Values.profile "ha") (eq $collector.sampler.balanceBy "shards") }}
{{- if $collector.sampler.autoscaling.enabled }}
- problem: collector.sampler.balanceBy is shards, which is for a fixed number, but collector.sampler.autoscaling.enabled is true.
  remedies:
    - set collector.sampler.autoscaling.enabled to false, and collector.sampler.replicas to how many you want
    - set collector.sampler.balanceBy to exporter, which follows the autoscaler
{{- end }}
{{- end }}
{{- range $way, $of := dict "collector.autoscaling" (dict "scaling" $collector.autoscaling "resources" $collector.resources) "collector.sampler.autoscaling" (dict "scaling" $collector.sampler.autoscaling "resources" $collector.sampler.resources) }}
{{- if and (eq $.Values.profile "ha") $of.scaling.enabled (not (dig "requests" "cpu" "" $of.resources)) }}
- problem: {{ $way }}.enabled is true, but without a CPU request there is nothing to measure the load by.
  remedies:
    - set {{ $way | replace "autoscaling" "resources" }}.requests.cpu
    - set {{ $way }}.enabled to false
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "midwatch.validations.destinations" -}}
{{- range $name, $given := .Values.destinations }}
{{- if ne (toString $given.enabled) "false" }}
{{- $keys := include "midwatch.collector.presetKeys" $given | fromJsonArray }}
{{- if and $keys (not $given.existingSecret) }}
- problem: destinations.{{ $name }} needs {{ join " and " $keys }}, but destinations.{{ $name }}.existingSecret is empty.
  remedies:
    - 'create it: kubectl --namespace {{ $.Release.Namespace }} create secret generic {{ $name }}{{ range $keys }} --from-literal={{ . }}=...{{ end }}, then set destinations.{{ $name }}.existingSecret to {{ $name }}'
    - set destinations.{{ $name }}.enabled to false
{{- end }}
{{- if and (has $given.preset (list "otlp" "remote_write")) (not $given.url) }}
- problem: destinations.{{ $name }} has the preset {{ $given.preset }}, but destinations.{{ $name }}.url is empty.
  remedies:
    - set destinations.{{ $name }}.url to where it takes data, for example {{ get (dict "otlp" "https://otlp.example.com" "remote_write" "https://mimir.example.com/api/v1/push") $given.preset }}
    - set destinations.{{ $name }}.enabled to false
{{- end }}
{{- if and (eq $given.preset "remote_write") (ne (toString $.Values.prometheus.enabled) "true") }}
- problem: destinations.{{ $name }} has the preset remote_write, but there is no Prometheus here to write (prometheus.enabled is {{ $.Values.prometheus.enabled }}).
  remedies:
    - set prometheus.enabled to true
    - give the remote write to your own Prometheus, and set destinations.{{ $name }}.enabled to false
    - set destinations.{{ $name }}.preset to otlp and its url to the store's OTLP receiver
{{- end }}
{{- if and (ne $given.preset "remote_write") (ne (toString $.Values.collector.enabled) "true") }}
- problem: destinations.{{ $name }} has the preset {{ $given.preset }}, but there is no collector here to send (collector.enabled is {{ $.Values.collector.enabled }}).
  remedies:
    - set collector.enabled to true
    - set destinations.{{ $name }}.enabled to false
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "midwatch.validations.tls" -}}
{{- if and (eq .Values.tls.mode "certManager") (not .Values.tls.issuer.name) }}
- problem: tls.mode is certManager, but tls.issuer.name is empty.
  remedies:
    - set tls.issuer.name to an issuer that signs with a CA of its own
    - set tls.mode to secrets, and make the Secrets yourself
    - set tls.mode to "off"
{{- end }}
{{- end }}

{{- define "midwatch.validations.operator" -}}
{{- if and .Values.prometheusOperator.rules (eq (toString .Values.prometheus.enabled) "true") }}
- problem: prometheusOperator.rules is true, but the Prometheus that is installed here evaluates the rules already; each alert would come twice.
  remedies:
    - set prometheus.enabled to external and prometheus.external.url to where yours answers
    - set prometheusOperator.rules to false
{{- end }}
{{- end }}
