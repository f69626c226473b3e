{{/*
How traces get from the receiving tier to the samplers, whole: by the trace's id to a sampler's name. Names stay when pods
restart, and each sampler has a queue of its own on disk, so that one that restarts gets what it missed and delays nobody.
*/}}

{{/* Names of exporters and connectors to which the receiving tier gives traces, as a list. */}}
{{- define "midwatch.collector.balancers" -}}
{{- if eq .Values.collector.sampler.balanceBy "shards" -}}
{{- range $number := until (include "midwatch.replicas" (dict "root" . "component" "sampler") | int) }}
- forward/shard-{{ $number }}
{{- end }}
{{- else }}
- load_balancing/samplers
{{- end }}
{{- end }}

{{/* With shards, a pipeline for each sampler keeps the traces that are its own, told by the last digit of their ids. */}}
{{- define "midwatch.collector.shardPipelines" -}}
{{- if eq .Values.collector.sampler.balanceBy "shards" }}
{{- range $number := until (include "midwatch.replicas" (dict "root" . "component" "sampler") | int) }}
traces/shard-{{ $number }}:
  receivers: [forward/shard-{{ $number }}]
  processors: [filter/shard-{{ $number }}]
  exporters: [otlp_grpc/sampler-{{ $number }}]
{{- end }}
{{- end }}
{{- end }}

{{/*
The digits of each shard, as a JSON object by its number. A shard that is added takes an even share from those that have most
and moves no other: a trace that is under way then seldom changes its sampler.
*/}}
{{- define "midwatch.collector.shards" -}}
{{- $shards := dict "0" "0123456789abcdef" }}
{{- range $number := untilStep 1 (int .count) 1 }}
{{- $taken := "" }}
{{- range until (div 16 (add1 $number) | int) }}
{{- $longest := "0" }}
{{- range $other, $digits := $shards }}
{{- if gt (len $digits) (len (get $shards $longest)) }}{{ $longest = $other }}{{ end }}
{{- end }}
{{- $digits := get $shards $longest }}
{{- $kept := sub (len $digits) 1 | int }}
{{- $taken = print $taken (substr $kept -1 $digits) }}
{{- $_ := set $shards $longest (trunc $kept $digits) }}
{{- end }}
{{- $_ := set $shards (toString $number) $taken }}
{{- end }}
{{- toJson $shards }}
{{- end }}

{{- define "midwatch.collector.shardProcessors" -}}
{{- if and (eq .Values.profile "ha") (eq .Values.collector.sampler.balanceBy "shards") }}
{{- $count := include "midwatch.replicas" (dict "root" . "component" "sampler") | int }}
{{- $shards := include "midwatch.collector.shards" (dict "count" $count) | fromJson }}
{{- range $number := until $count }}
filter/shard-{{ $number }}:
  error_mode: propagate
  traces:
    span:
      - not IsMatch(span.trace_id.string, "[{{ get $shards (toString $number) }}]$$")
{{- end }}
{{- end }}
{{- end }}

{{- define "midwatch.collector.balancingExporters" -}}
{{- $sampler := dict "root" .root "component" "sampler" -}}
{{- if has "load_balancing/samplers" .used.exporters }}
load_balancing/samplers:
  routing_key: traceID
  protocol:
    otlp:
      {{- include "midwatch.tls.client" (merge (dict "indent" 6) $sampler) | default "\n      tls:\n        insecure: true" }}
      {{- include "midwatch.collector.delivery" .root | nindent 6 }}
  resolver:
    k8s:
      service: {{ include "midwatch.name" $sampler }}-pods.{{ .root.Release.Namespace }}
      ports: [4317]
      return_hostnames: true
{{- end }}
{{- $used := .used }}
{{- range $number := until (include "midwatch.replicas" $sampler | int) }}
{{- $name := printf "otlp_grpc/sampler-%d" $number }}
{{- if has $name $used.exporters }}
{{ $name }}:
  endpoint: {{ include "midwatch.podAddress" (merge (dict "port" 4317 "number" $number) $sampler) }}
  {{- include "midwatch.tls.client" (merge (dict "indent" 2) $sampler) | default "\n  tls:\n    insecure: true" }}
  {{- include "midwatch.collector.delivery" $sampler.root | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
