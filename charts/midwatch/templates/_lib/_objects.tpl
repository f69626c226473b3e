{{/* The small objects that every component has beside its workload. */}}

{{/* Takes root, component, ports (map: name to number); each Service port has the container port's name and number. */}}
{{- define "midwatch.service" -}}
apiVersion: v1
kind: Service
metadata: {{- include "midwatch.metadata" (merge (dict "extra" (include "midwatch.jobLabel" . | fromYaml)) .) | nindent 2 }}
spec:
  type: ClusterIP
  {{- if .sticky }}
  # What is asked of one of several is asked of the same again: each has its own copy.
  sessionAffinity: ClientIP
  {{- end }}
  selector: {{- include "midwatch.selectorLabels" . | nindent 4 }}
  ports:
    {{- range $name, $port := .ports }}
    - name: {{ $name }}
      port: {{ $port }}
      targetPort: {{ $name }}
      protocol: TCP
    {{- end }}
{{- end }}

{{/* The label by which ServiceMonitors find Services and name jobs; rules know all tiers of the collector as one. */}}
{{- define "midwatch.jobLabel" -}}
{{- if .root.Values.prometheusOperator.monitors }}
midwatch.dev/job: {{ has .component (list "sampler" "scraper") | ternary "collector" .component }}
{{- end }}
{{- end }}

{{/* The Service without an address of its own that gives each pod a name: takes root, component and ports. */}}
{{- define "midwatch.podsService" -}}
apiVersion: v1
kind: Service
metadata: {{- include "midwatch.metadata" (merge (dict "suffix" "pods" "extra" (has .component (list "sampler" "scraper") | ternary (include "midwatch.jobLabel" . | fromYaml) dict)) .) | nindent 2 }}
spec:
  type: ClusterIP
  clusterIP: None
  # A pod that restarts keeps its name: what is meant for it waits for it.
  publishNotReadyAddresses: true
  selector: {{- include "midwatch.selectorLabels" . | nindent 4 }}
  ports:
    {{- range $name, $port := .ports }}
    - name: {{ $name }}
      port: {{ $port }}
      targetPort: {{ $name }}
      protocol: TCP
    {{- end }}
{{- end }}

{{/* What holds for a component of which several run: a disruption budget, and an autoscaler where its values ask for one. */}}
{{- define "midwatch.several.objects" -}}
{{- if and (include "midwatch.several" .) .root.Values.global.disruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{- include "midwatch.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ .root.Values.global.disruptionBudget.maxUnavailable }}
  selector:
    matchLabels: {{- include "midwatch.selectorLabels" . | nindent 6 }}
{{- end }}
{{- if include "midwatch.autoscaled" . }}
{{- $scaling := (include "midwatch.values" . | fromYaml).autoscaling }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{- include "midwatch.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: StatefulSet
    name: {{ include "midwatch.name" . }}
  minReplicas: {{ include "midwatch.replicas" . }}
  maxReplicas: {{ max ($scaling.maxReplicas | int) (include "midwatch.replicas" . | int) }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ $scaling.cpuPercent | int }}
  behavior:
    scaleUp:
      stabilizationWindowSeconds: 0
    # One at a time and late: each step moves traces to other pods, and what waits on the disk of the one that goes waits
    # until it is back.
    scaleDown:
      stabilizationWindowSeconds: {{ $scaling.scaleDownAfterSeconds | int }}
      policies:
        - type: Pods
          value: 1
          periodSeconds: 300
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
any pod of the cluster may use). What is not listed is refused. What it may call is limited where networkPolicy.egress says so.
*/}}
{{- define "midwatch.networkPolicy" -}}
{{- $root := .root -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{- include "midwatch.metadata" . | nindent 2 }}
spec:
  podSelector:
    matchLabels: {{- include "midwatch.selectorLabels" . | nindent 6 }}
  policyTypes: [Ingress{{ if $root.Values.networkPolicy.egress.restricted }}, Egress{{ end }}]
  {{- if $root.Values.networkPolicy.egress.restricted }}
  egress: {{- include "midwatch.networkPolicy.egress" . | nindent 4 }}
  {{- end }}
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
          protocol: {{ hasSuffix "-udp" $port | ternary "UDP" "TCP" }}
      from:
        {{- $outside := false }}
        {{- range $component := $components }}
        {{- if and (hasKey $root.Values $component) (eq (include "midwatch.mode" (dict "root" $root "component" $component)) "external") }}
        {{- $outside = true }}
        {{- else }}
        - podSelector:
            matchLabels: {{- include "midwatch.selectorLabels" (dict "root" $root "component" $component) | nindent 14 }}
        {{- end }}
        {{- end }}
        {{- if $outside }}
        # One of those is yours, and where it runs is not known here.
        - namespaceSelector: {}
        {{- end }}
    {{- end }}
{{- end }}

{{/*
What a component may call where that is limited; takes root and component. Policies see the port of the pod that answers,
which for DNS is another than 53 in some clusters, and no policy can name the API server.
*/}}
{{- define "midwatch.networkPolicy.egress" -}}
{{- $ofCollector := has .component (list "collector" "sampler" "scraper") -}}
- ports:
    {{- range $port := list 53 5353 }}{{ range $protocol := list "UDP" "TCP" }}
    - port: {{ $port }}
      protocol: {{ $protocol }}
    {{- end }}{{ end }}
- to:
    - podSelector:
        matchLabels:
          app.kubernetes.io/name: {{ .root.Chart.Name }}
          app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- if and $ofCollector (include "midwatch.collector.token" .) }}
- ports:
    - port: 443
      protocol: TCP
    - port: 6443
      protocol: TCP
{{- end }}
{{- $component := ternary "collector" .component $ofCollector -}}
{{- range $name, $allowed := .root.Values.networkPolicy.egress.allow }}
{{- $rule := include "midwatch.networkPolicy.allowed" $allowed | fromYaml }}
{{- $components := $allowed.components | default dict }}
{{- /* Ports that are all switched off are none, not all. */}}
{{- if and (or (not $components) (get $components $component)) (or (not $allowed.ports) $rule.ports) }}
# {{ $name }}
- {{ toYaml $rule | nindent 2 | trim }}
{{- end }}
{{- end }}
{{- end }}

{{/* The rule of one entry of networkPolicy.egress.allow, as a map in YAML. */}}
{{- define "midwatch.networkPolicy.allowed" -}}
{{- $peers := list -}}
{{- with .namespace }}{{ $peers = append $peers (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" .))) }}{{ end -}}
{{- with .cidr }}{{ $peers = append $peers (dict "ipBlock" (dict "cidr" .)) }}{{ end -}}
{{- $ports := list -}}
{{- range $port, $used := .ports }}{{ if $used }}{{ $ports = append $ports (dict "port" (int $port) "protocol" "TCP") }}{{ end }}{{ end -}}
{{- $rule := dict -}}
{{- with $peers }}{{ $_ := set $rule "to" . }}{{ end -}}
{{- with $ports }}{{ $_ := set $rule "ports" . }}{{ end -}}
{{ toYaml $rule }}
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
