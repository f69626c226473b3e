{{/*
Who may call the ledger. One Secret has a key for each purpose, and each pod mounts no more than its own: the collector may
write telemetry, Alertmanager may tell of alerts, admins may do everything.
*/}}

{{/* Name of the Secret; empty where the ledger asks nobody, or is yours and asks for no key that is known here. */}}
{{- define "midwatch.ledger.keys" -}}
{{- $keys := .Values.ledger.keys -}}
{{- if and $keys.required (include "midwatch.present" (dict "root" . "component" "ledger")) -}}
{{- if $keys.existingSecret -}}
{{ $keys.existingSecret }}
{{- else if include "midwatch.installed" (dict "root" . "component" "ledger") -}}
{{ include "midwatch.name" (dict "root" . "component" "ledger") }}-keys
{{- end -}}
{{- end -}}
{{- end }}

{{/* What a pod mounts: takes root and keys (list of keys of the Secret). */}}
{{- define "midwatch.ledger.mountedKeys" -}}
{{- with include "midwatch.ledger.keys" .root }}
ledger:
  secret: {{ . }}
  keys: {{ toYaml $.keys | nindent 4 }}
{{- end }}
{{- end }}
