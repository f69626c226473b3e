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
{{ include "midwatch.tls.serves" . | empty | ternary "http" "https" }}://{{ include "midwatch.address" (merge (dict "port" (get $ports .component)) .) }}
{{- end -}}
{{- end }}

{{/* How many of a component run: what its values say, else what the profile says. Takes root and component, which may be a role of the collector. */}}
{{- define "midwatch.replicas" -}}
{{- $given := (include "midwatch.values" . | fromYaml).replicas | int -}}
{{- $grafana := ternary 2 1 (ne .root.Values.grafana.database.existingSecret "") -}}
{{- $many := dict "collector" 2 "sampler" 2 "prometheus" 2 "alertmanager" 3 "ledger" 2 "grafana" $grafana -}}
{{- if gt $given 0 -}}
{{ $given }}
{{- else if eq .root.Values.profile "ha" -}}
{{ get $many .component | default 1 }}
{{- else -}}
1
{{- end -}}
{{- end }}

{{/*
Values of a component, or of a role of the collector (sampler, scraper), whose own lie over the collector's. A map as YAML:
numbers in it need `int`.
*/}}
{{- define "midwatch.values" -}}
{{- if eq .component "sampler" -}}
{{- $own := .root.Values.collector.sampler -}}
{{- merge (pick $own "replicas" "resources" "persistence" "autoscaling") (omit .root.Values.collector "replicas" "resources" "persistence" "autoscaling" "sampler") | toYaml -}}
{{- else if eq .component "scraper" -}}
{{- omit .root.Values.collector "replicas" "sampler" | toYaml -}}
{{- else -}}
{{- get .root.Values .component | toYaml -}}
{{- end -}}
{{- end }}

{{/* Whether a HorizontalPodAutoscaler says how many there are. */}}
{{- define "midwatch.autoscaled" -}}
{{- if and (eq .root.Values.profile "ha") (has .component (list "collector" "sampler")) -}}
{{- if (include "midwatch.values" . | fromYaml).autoscaling.enabled }}true{{ end -}}
{{- end -}}
{{- end }}

{{/* Whether several run at once, so that they are spread and keep a disruption budget. */}}
{{- define "midwatch.several" -}}
{{- if or (include "midwatch.autoscaled" .) (gt (include "midwatch.replicas" . | int) 1) }}true{{ end -}}
{{- end }}

{{/* host:port of one pod of a component, by its number; takes root, component, port and number. */}}
{{- define "midwatch.podAddress" -}}
{{- $name := include "midwatch.name" . -}}
{{- printf "%s-%v.%s-pods.%s.svc:%v" $name .number $name .root.Release.Namespace .port -}}
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
