{{/* The small objects that every component has beside its workload. */}}

{{/* Takes root, component, ports (map: name to number); each Service port has the container port's name and number. */}}
{{- define "midwatch.service" -}}
apiVersion: v1
kind: Service
metadata: {{- include "midwatch.metadata" . | nindent 2 }}
spec:
  type: ClusterIP
  selector: {{- include "midwatch.selectorLabels" . | nindent 4 }}
  ports:
    {{- range $name, $port := .ports }}
    - name: {{ $name }}
      port: {{ $port }}
      targetPort: {{ $name }}
      protocol: TCP
    {{- end }}
{{- end }}

{{- define "midwatch.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata: {{- include "midwatch.metadata" . | nindent 2 }}
automountServiceAccountToken: false
{{- end }}

{{/*
Who may connect: takes root, component, allow (map: port name to a list of components), open (list of port names that
any pod of the cluster may use). What is not listed is refused.
*/}}
{{- define "midwatch.networkPolicy" -}}
{{- $root := .root -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{- include "midwatch.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels: {{- include "midwatch.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress]
  ingress:
    {{- range $port := .open }}
    - ports:
        - port: {{ $port }}
          protocol: TCP
      from:
        - namespaceSelector: {}
    {{- end }}
    {{- range $port, $components := .allow }}
    - ports:
        - port: {{ $port }}
          protocol: TCP
      from:
        {{- range $component := $components }}
        - podSelector:
            matchLabels: {{- include "midwatch.selectorLabels" (dict "root" $root "component" $component) | nindent 14 }}
        {{- end }}
    {{- end }}
{{- end }}

{{/* A ConfigMap: takes root, component, suffix, files (map: name to text). */}}
{{- define "midwatch.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata: {{- include "midwatch.metadata" . | nindent 2 }}
data:
  {{- range $name, $text := .files }}
  {{ $name }}: |
    {{- $text | trim | nindent 4 }}
  {{- end }}
{{- end }}
