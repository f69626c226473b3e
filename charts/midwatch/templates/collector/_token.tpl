{{/* The collector is the one component that may talk to the Kubernetes API, and only when a value asks for it. */}}
{{- define "midwatch.collector.token" -}}
{{- $scrape := .Values.collector.scrape -}}
{{- if or .Values.collector.kubernetesAttributes.enabled (and $scrape.enabled $scrape.pods.enabled) }}true{{ end -}}
{{- end }}
