{{/* Components that the collector is made of, as a list: none where it is not installed. */}}
{{- define "midwatch.collector.components" -}}
{{- if include "midwatch.installed" (dict "root" . "component" "collector") }}
- collector
{{- if eq .Values.profile "ha" }}
- sampler
{{- if .Values.collector.scrape.enabled }}
- scraper
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* What k8s_attributes, pod discovery and the search for samplers read, and nothing else: never Secrets or ConfigMaps. */}}
{{- define "midwatch.collector.rights" -}}
{{- $self := . -}}
{{- $name := include "midwatch.name" . -}}
{{- $namespaces := include "midwatch.collector.podNamespaces" . -}}
{{- if eq $namespaces "all" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{- include "midwatch.clusterMetadata" . | nindent 2 }}
rules:
  - apiGroups: [""]
    resources: [pods, namespaces]
    verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{- include "midwatch.clusterMetadata" . | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ .root.Release.Namespace }}-{{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ $name }}
    namespace: {{ .root.Release.Namespace }}
{{- else }}
{{- range $namespace := fromJsonArray $namespaces }}
{{- include "midwatch.collector.role" (merge (dict "namespace" $namespace "suffix" "pods" "group" "" "resource" "pods") $self) }}
{{- end }}
{{- end }}
{{- if and (include "midwatch.collector.roles" . | fromYaml).balances (eq .root.Values.collector.sampler.balanceBy "exporter") }}
{{- include "midwatch.collector.role" (merge (dict "namespace" .root.Release.Namespace "suffix" "samplers" "group" "discovery.k8s.io" "resource" "endpointslices") .) }}
{{- end }}
{{- end }}

{{/* The right to read one kind of object in one namespace; takes root, component, namespace, suffix, group and resource. */}}
{{- define "midwatch.collector.role" -}}
{{- $name := printf "%s-%s" (include "midwatch.name" .) .suffix -}}
{{- if ne .namespace .root.Release.Namespace }}{{ $name = printf "%s-%s" .root.Release.Namespace $name }}{{ end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ .namespace }}
  labels: {{- include "midwatch.labels" . | nindent 4 }}
  {{- with .root.Values.global.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
rules:
  - apiGroups: [{{ .group | quote }}]
    resources: [{{ .resource }}]
    verbs: [get, list, watch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ .namespace }}
  labels: {{- include "midwatch.labels" . | nindent 4 }}
  {{- with .root.Values.global.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "midwatch.name" . }}
    namespace: {{ .root.Release.Namespace }}
{{- end }}
