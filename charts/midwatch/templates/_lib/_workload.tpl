{{/*
midwatch.workload renders one component's StatefulSet or Deployment with the posture that every pod of Midwatch has:
non-root, read-only root, no capabilities, no service-account token unless asked for. It takes a dict:
  root, component   as everywhere
  kind              StatefulSet (default) or Deployment
  args, env         the program's arguments (list) and environment (map: text, or a valueFrom map)
  ports             map: name to number
  configs           map: name to {path, configMap} for files from ConfigMaps
  secrets           map: name to Secret, or to {secret, keys} for some of its keys; mounted under /etc/midwatch/secrets/<name>
  data              true when the program keeps state under /var/lib/midwatch/<component>, or under dataPath
  ready, live       {port, path} of the probes
  token             true when the pod talks to the Kubernetes API
  go                true when GOMEMLIMIT applies
  checksum          text whose change restarts the pods
  grace             seconds between SIGTERM and SIGKILL
  pods              true when each pod of the StatefulSet has a name of its own (midwatch.podsService)
  init              map: name of an init container to its arguments; it has the image, files and environment of the main one
*/}}
{{- define "midwatch.workload" -}}
{{- $values := include "midwatch.values" . | fromYaml -}}
{{- $several := include "midwatch.several" . -}}
{{- $pod := mergeOverwrite (deepCopy .root.Values.global.pod) (deepCopy $values.pod) -}}
{{- $kind := .kind | default "StatefulSet" -}}
{{- $claim := and .data (eq $kind "StatefulSet") $values.persistence.enabled -}}
apiVersion: apps/v1
kind: {{ $kind }}
metadata: {{- include "midwatch.metadata" . | nindent 2 }}
spec:
  {{- if not (include "midwatch.autoscaled" .) }}
  replicas: {{ include "midwatch.replicas" . }}
  {{- end }}
  {{- if eq $kind "StatefulSet" }}
  serviceName: {{ include "midwatch.name" . }}{{ if .pods }}-pods{{ end }}
  podManagementPolicy: Parallel
  {{- end }}
  selector:
    matchLabels: {{- include "midwatch.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "midwatch.labels" . | nindent 8 }}
        {{- with $pod.labels }}{{ toYaml . | nindent 8 }}{{ end }}
      annotations:
        checksum/config: {{ .checksum | default "" | sha256sum }}
        {{- with .root.Values.global.annotations }}{{ toYaml . | nindent 8 }}{{ end }}
        {{- with $pod.annotations }}{{ toYaml . | nindent 8 }}{{ end }}
    spec:
      serviceAccountName: {{ include "midwatch.name" . }}
      automountServiceAccountToken: {{ .token | default false }}
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ .grace | default 30 }}
      {{- include "midwatch.pullSecrets" .root | nindent 6 }}
      {{- with $pod.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $pod.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $pod.tolerations }}
      tolerations:
        {{- range $name, $toleration := . }}
        - {{ toYaml $toleration | nindent 10 | trim }}
        {{- end }}
      {{- end }}
      {{- with $pod.affinity }}
      affinity: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if $several }}
      {{- with $pod.spread }}
      topologySpreadConstraints:
        {{- range $key, $otherwise := . }}
        - topologyKey: {{ $key }}
          maxSkew: 1
          whenUnsatisfiable: {{ $otherwise }}
          labelSelector:
            matchLabels: {{- include "midwatch.selectorLabels" $ | nindent 14 }}
        {{- end }}
      {{- end }}
      {{- end }}
      securityContext:
        {{- include "midwatch.podSecurity" $pod | nindent 8 }}
      {{- with .init }}
      initContainers:
        {{- range $name, $arguments := . }}
        {{- include "midwatch.container" (merge (dict "values" $values "container" $name "args" $arguments) (omit $ "ready" "live" "ports" "args")) | nindent 8 }}
        {{- end }}
      {{- end }}
      containers:
        {{- include "midwatch.container" (merge (dict "values" $values) .) | nindent 8 }}
      volumes:
        - name: tmp
          emptyDir:
            sizeLimit: 256Mi
        {{- range $name, $config := .configs }}
        - name: {{ $name }}
          configMap:
            name: {{ $config.configMap }}
        {{- end }}
        {{- range $name, $secret := .secrets }}
        - name: secret-{{ $name }}
          secret:
            {{- if kindIs "map" $secret }}
            secretName: {{ $secret.secret }}
            items:
              {{- range $secret.keys }}
              - key: {{ . }}
                path: {{ . }}
              {{- end }}
            {{- else }}
            secretName: {{ $secret }}
            {{- end }}
        {{- end }}
        {{- if include "midwatch.tls.serves" . }}
        - name: tls
          secret:
            secretName: {{ include "midwatch.tls.secret" . }}
        {{- end }}
        {{- if and .data (not $claim) }}
        - name: data
          emptyDir:
            sizeLimit: {{ $values.persistence.size }}
        {{- end }}
  {{- if $claim }}
  volumeClaimTemplates:
    - metadata:
        name: data
        labels: {{- include "midwatch.selectorLabels" . | nindent 10 }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with $values.persistence.storageClass | default .root.Values.global.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
        resources:
          requests:
            storage: {{ $values.persistence.size }}
  {{- end }}
{{- end }}

{{/* Pull secrets of a pod; takes the root. Empty when there are none. */}}
{{- define "midwatch.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets -}}
imagePullSecrets:
  {{- range $name, $used := . }}{{ if $used }}
  - name: {{ $name }}
  {{- end }}{{ end }}
{{- end }}
{{- end }}

{{/* What every pod of Midwatch runs as; takes the settings of the pod. */}}
{{- define "midwatch.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .runAsUser | int64 }}
runAsGroup: {{ .runAsUser | int64 }}
fsGroup: {{ .runAsUser | int64 }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* What no container of Midwatch may do. */}}
{{- define "midwatch.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* A container of a component's pod; takes the workload's dict and the component's values. */}}
{{- define "midwatch.container" -}}
- name: {{ .container | default .component }}
  image: {{ include "midwatch.image" (dict "root" .root "image" .values.image) }}
  imagePullPolicy: {{ .root.Values.global.imagePullPolicy }}
  {{- with .args }}
  args:
    {{- range . }}
    - {{ . | quote }}
    {{- end }}
  {{- end }}
  {{- include "midwatch.env" . | nindent 2 }}
  {{- with .ports }}
  ports:
    {{- range $name, $port := . }}
    - name: {{ $name }}
      containerPort: {{ toString $port | trimSuffix "/UDP" }}
      protocol: {{ hasSuffix "/UDP" (toString $port) | ternary "UDP" "TCP" }}
    {{- end }}
  {{- end }}
  {{- if .ready }}
  readinessProbe:
    httpGet:
      path: {{ .ready.path }}
      port: {{ .ready.port }}
      {{- if and (eq .ready.port "http") (include "midwatch.tls.serves" .) }}
      scheme: HTTPS
      {{- end }}
    periodSeconds: 5
    timeoutSeconds: 3
    failureThreshold: 3
  # Ten minutes: the ledger migrates a large database first, and a busy node starts anything slowly.
  startupProbe:
    httpGet:
      path: {{ .live.path }}
      port: {{ .live.port }}
      {{- if and (eq .live.port "http") (include "midwatch.tls.serves" .) }}
      scheme: HTTPS
      {{- end }}
    periodSeconds: 2
    timeoutSeconds: 5
    failureThreshold: 300
  livenessProbe:
    httpGet:
      path: {{ .live.path }}
      port: {{ .live.port }}
      {{- if and (eq .live.port "http") (include "midwatch.tls.serves" .) }}
      scheme: HTTPS
      {{- end }}
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 6
  {{- end }}
  resources: {{- toYaml .values.resources | nindent 4 }}
  securityContext: {{- include "midwatch.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - name: tmp
      mountPath: /tmp
    {{- range $name, $config := .configs }}
    - name: {{ $name }}
      mountPath: {{ $config.path }}
      readOnly: true
    {{- end }}
    {{- range $name, $secret := .secrets }}
    - name: secret-{{ $name }}
      mountPath: /etc/midwatch/secrets/{{ $name }}
      readOnly: true
    {{- end }}
    {{- if include "midwatch.tls.serves" . }}
    - name: tls
      mountPath: /etc/midwatch/tls
      readOnly: true
    {{- end }}
    {{- if .data }}
    - name: data
      mountPath: {{ .dataPath | default (printf "/var/lib/midwatch/%s" .component) }}
    {{- end }}
{{- end }}

{{/* Environment: the component's own, GOMEMLIMIT for Go programs, then what the values add. */}}
{{- define "midwatch.env" -}}
{{- $env := deepCopy (.env | default dict) -}}
{{- $memory := dig "limits" "memory" "" .values.resources -}}
{{- if and .go $memory -}}
{{- $bytes := include "midwatch.bytes" $memory | int64 -}}
{{- $_ := set $env "GOMEMLIMIT" (printf "%dMiB" (div (mul $bytes 8) 10485760)) -}}
{{- end -}}
{{- $env = mergeOverwrite $env (deepCopy .values.env) -}}
{{- with $env }}
env:
  {{- range $name, $value := . }}
  - name: {{ $name }}
    {{- if kindIs "map" $value }}
    {{- toYaml $value | nindent 4 }}
    {{- else }}
    value: {{ $value | toString | quote }}
    {{- end }}
  {{- end }}
{{- end }}
{{- end }}
