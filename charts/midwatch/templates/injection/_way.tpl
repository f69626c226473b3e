{{/* How pods are instrumented, and with what. */}}

{{/* Version of the API that has policies which change what is admitted; empty where the cluster has none. */}}
{{- define "midwatch.injection.api" -}}
{{- $group := "admissionregistration.k8s.io" -}}
{{- if .Capabilities.APIVersions.Has (printf "%s/v1/MutatingAdmissionPolicy" $group) -}}
v1
{{- else if .Capabilities.APIVersions.Has (printf "%s/v1beta1/MutatingAdmissionPolicy" $group) -}}
v1beta1
{{- end -}}
{{- end }}

{{/* Where injected pods send to; empty if nobody said. */}}
{{- define "midwatch.injection.endpoint" -}}
{{- if .Values.injection.collectorUrl -}}
{{- .Values.injection.collectorUrl | trimSuffix "/" -}}
{{- else if include "midwatch.present" (dict "root" . "component" "collector") -}}
{{- include "midwatch.url" (dict "root" . "component" "collector") -}}
{{- end -}}
{{- end }}

{{/*
image-volume, init-container, or empty for none. What a value says is done, whatever the cluster seems to have: tools
that render without one know nothing of it. Volumes of images are on by default since Kubernetes 1.35, and need
containerd 2.1 or CRI-O 1.31 on every node.
*/}}
{{- define "midwatch.injection.way" -}}
{{- $mode := .Values.injection.mode -}}
{{- if ne $mode "auto" -}}
{{- if ne $mode "none" }}{{ $mode }}{{ end -}}
{{- else if and (include "midwatch.injection.api" .) (include "midwatch.injection.endpoint" .) -}}
{{- $old := semverCompare "<1.35.0-0" .Capabilities.KubeVersion.Version -}}
{{- $nodes := dig "items" list (lookup "v1" "Node" "" "") -}}
{{- range $nodes -}}
{{- $runtime := .status.nodeInfo.containerRuntimeVersion -}}
{{- $version := regexFind "[0-9]+\\.[0-9]+\\.[0-9]+" $runtime | default "0.0.0" -}}
{{- if or (and (hasPrefix "containerd:" $runtime) (semverCompare "<2.1.0-0" $version)) (and (hasPrefix "cri-o:" $runtime) (semverCompare "<1.31.0-0" $version)) -}}
{{- $old = true -}}
{{- end -}}
{{- end -}}
{{- if $old }}init-container{{ else }}image-volume{{ end -}}
{{- end -}}
{{- end }}

{{/* Settings of injected pods, for what they leave open. */}}
{{- define "midwatch.injection.settings" -}}
{{- $settings := dict "OTEL_EXPORTER_OTLP_ENDPOINT" (include "midwatch.injection.endpoint" .) "MIDWATCH_CONTENT" .Values.content -}}
{{- range $name, $value := .Values.injection.env -}}
{{- $_ := set $settings $name (toString $value) -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end }}

{{- define "midwatch.validations.injection" -}}
{{- if and (has .Values.injection.mode (list "image-volume" "init-container")) (not (include "midwatch.injection.endpoint" .)) }}
- problem: injection.mode is {{ .Values.injection.mode }}, but injected pods would have nowhere to send to (collector.enabled is false).
  remedies:
    - set injection.collectorUrl to the OTLP/HTTP receiver of a collector, for example http://collector.telemetry.svc:4318
    - set collector.enabled to true or external
    - set injection.mode to none
{{- end }}
{{- end }}
