{{/*
Who may talk to the Kubernetes API, and for what: only roles of the collector, and only when a value asks for it. Takes root
and component.
*/}}
{{- define "midwatch.collector.token" -}}
{{- $values := .root.Values.collector -}}
{{- $attributes := and (eq .component "collector") $values.kubernetesAttributes.enabled -}}
{{- $roles := include "midwatch.collector.roles" . | fromYaml -}}
{{- $discovers := and $roles.scrapes $values.scrape.pods.enabled -}}
{{- $resolves := and $roles.balances (eq $values.sampler.balanceBy "exporter") -}}
{{- if or $attributes $discovers $resolves }}true{{ end -}}
{{- end }}

{{/* Namespaces to whose pods a Role can keep the reading of a role of the collector, as a JSON list; empty where it must be the whole cluster, or none. */}}
{{- define "midwatch.collector.podNamespaces" -}}
{{- $values := .root.Values.collector -}}
{{- $roles := include "midwatch.collector.roles" . | fromYaml -}}
{{- $names := list -}}
{{- $all := false -}}
{{- if and (eq .component "collector") $values.kubernetesAttributes.enabled -}}
{{- with $values.kubernetesAttributes.namespace }}{{ $names = append $names . }}{{ else }}{{ $all = true }}{{ end -}}
{{- end -}}
{{- if and $roles.scrapes $values.scrape.pods.enabled -}}
{{- $named := list -}}
{{- range $name, $used := $values.scrape.pods.namespaces }}{{ if $used }}{{ $named = append $named $name }}{{ end }}{{ end -}}
{{- if $named }}{{ $names = concat $names $named }}{{ else }}{{ $all = true }}{{ end -}}
{{- end -}}
{{- if $all }}all{{ else }}{{ $names | uniq | sortAlpha | toJson }}{{ end -}}
{{- end }}
