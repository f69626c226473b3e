{{/* Names and labels. A component's workload, Service and ConfigMaps are all called <release>-<component>. */}}

{{- define "midwatch.name" -}}
{{- printf "%s-%s" (.root.Release.Name | trunc 40 | trimSuffix "-") .component -}}
{{- end }}

{{/* host:port of a component's Service, as every other component writes it. */}}
{{- define "midwatch.address" -}}
{{- printf "%s.%s.svc:%v" (include "midwatch.name" .) .root.Release.Namespace .port -}}
{{- end }}

{{- define "midwatch.selectorLabels" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "midwatch.labels" -}}
{{ include "midwatch.selectorLabels" . }}
app.kubernetes.io/part-of: midwatch
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.global.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* metadata of an object: takes root, component, and optionally a suffix of the name, extra labels and annotations. */}}
{{- define "midwatch.metadata" -}}
name: {{ include "midwatch.name" . }}{{ with .suffix }}-{{ . }}{{ end }}
namespace: {{ .root.Release.Namespace }}
labels: {{- include "midwatch.labels" . | nindent 2 }}
{{- with .extra }}{{ toYaml . | nindent 2 }}{{ end }}
{{- with mergeOverwrite (deepCopy .root.Values.global.annotations) (.annotations | default dict) }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* metadata of an object of the whole cluster: its name begins with the release's namespace. */}}
{{- define "midwatch.clusterMetadata" -}}
name: {{ .root.Release.Namespace }}-{{ include "midwatch.name" . }}
labels: {{- include "midwatch.labels" . | nindent 2 }}
{{- with .root.Values.global.annotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
