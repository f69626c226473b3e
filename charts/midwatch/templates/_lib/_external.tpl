{{/*
Headers that a store of yours wants with each request, as a list of {name, value} and of {name, key}, a key of
external.existingSecret. Takes root and component.
*/}}
{{- define "midwatch.external.headers" -}}
{{- if eq (include "midwatch.mode" .) "external" }}
{{- $given := (get .root.Values .component).external }}
{{- range $name, $value := $given.headers }}
- name: {{ $name | quote }}
  value: {{ $value | quote }}
{{- end }}
{{- range $name, $key := $given.secretHeaders }}
- name: {{ $name | quote }}
  key: {{ $key | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* Stores that are yours and want secret headers, each with its Secret and the keys that hold them. Takes the root. */}}
{{- define "midwatch.external.secrets" -}}
{{- range $component := list "prometheus" "tempo" }}
{{- if eq (include "midwatch.mode" (dict "root" $ "component" $component)) "external" }}
{{- $given := (get $.Values $component).external }}
{{- if $given.secretHeaders }}
{{ $component }}:
  secret: {{ $given.existingSecret }}
  keys: {{ values $given.secretHeaders | uniq | sortAlpha | toJson }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
