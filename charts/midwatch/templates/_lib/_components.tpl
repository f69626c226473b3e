{{/*
How components are found. A component is `true` (installed here), `false` (absent) or `external` (yours, at external.url).
Boolean questions are answered with "true" or the empty string, so that `if` can ask them.
*/}}

{{- define "midwatch.mode" -}}
{{- get (get .root.Values .component) "enabled" | toString -}}
{{- end }}

{{- define "midwatch.installed" -}}
{{- if eq (include "midwatch.mode" .) "true" }}true{{ end -}}
{{- end }}

{{- define "midwatch.present" -}}
{{- if ne (include "midwatch.mode" .) "false" }}true{{ end -}}
{{- end }}

{{/* Base URL of a component that is installed or external, without a trailing slash. */}}
{{- define "midwatch.url" -}}
{{- $ports := dict "collector" 4318 "prometheus" 9090 "alertmanager" 9093 "tempo" 3200 "grafana" 3000 "ledger" 8088 -}}
{{- if eq (include "midwatch.mode" .) "external" -}}
{{- get (get .root.Values .component) "external" | dig "url" "" | trimSuffix "/" -}}
{{- else -}}
http://{{ include "midwatch.address" (merge (dict "port" (get $ports .component)) .) }}
{{- end -}}
{{- end }}

{{/* Image reference: registry, repository, and a digest that wins over the tag. */}}
{{- define "midwatch.image" -}}
{{- $image := .image -}}
{{- $repository := $image.repository -}}
{{- with .root.Values.global.imageRegistry -}}
{{- $repository = printf "%s/%s" . (regexReplaceAll "^[^/]*[.:][^/]*/" $repository "") -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository ($image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{/* Bytes of a Kubernetes quantity such as 512Mi, 2Gi or 1G. */}}
{{- define "midwatch.bytes" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9]+" $text | int64 -}}
{{- $factors := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- mul $number (get $factors (regexFind "[A-Za-z]*$" $text) | int64) -}}
{{- end }}
