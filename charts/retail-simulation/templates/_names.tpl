{{- define "retail-simulation.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name }}{{ end -}}
{{- end }}

{{- define "retail-simulation.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: {{ .Chart.Name }}
{{- end }}

{{- define "retail-simulation.labels" -}}
{{ include "retail-simulation.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The key for the model's provider comes from a Secret; the demo's scripted model server asks for none. */}}
{{- define "retail-simulation.modelKey" -}}
- name: OPENAI_API_KEY
  {{- if .Values.model.existingSecret }}
  valueFrom:
    secretKeyRef:
      name: {{ .Values.model.existingSecret }}
      key: {{ .Values.model.apiKeyKey }}
  {{- else }}
  value: none
  {{- end }}
{{- end }}
