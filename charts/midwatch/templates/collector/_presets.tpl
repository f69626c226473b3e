{{/*
Destinations of the user's own, by preset. Each becomes what the built-in ones are: {exporter, signals, settings}, and what it
needs besides: an extension for its credentials, statements that map attributes, environment variables from its Secret.
`remote_write` is not here: Prometheus itself writes on, with everything that rules have made of it.

A queue that is full refuses what comes, and the collector would hand that refusal on to agents, which would then send
everything again to everybody. So these destinations are apart: a batch processor, which keeps nothing back, hands over to
their queues and answers for itself. What the full queue of a dead destination refuses is dropped, counted, and told by
CollectorDataLost; what it was handed before an end, it has passed on by then.
*/}}
{{- define "midwatch.collector.presets" -}}
{{- $root := . -}}
{{- range $name, $given := .Values.destinations }}
{{- if and (ne (toString $given.enabled) "false") (ne $given.preset "remote_write") }}
{{- $variable := include "midwatch.collector.variable" (dict "name" $name) }}
{{- $exporter := get (dict "file" "file" "otlp" (ternary "otlp_grpc" "otlp_http" (eq ($given.protocol | default "http") "grpc"))) $given.preset | default "otlp_http" }}
{{ $name }}:
  exporter: {{ $exporter }}/{{ $name }}
  traces: {{ $given.traces | default "sampled" }}
  metrics: {{ has $given.preset (list "otlp" "file") | ternary (ne (toString $given.metrics) "false") false }}
  logs: {{ has $given.preset (list "otlp" "file") | ternary (ne (toString $given.logs) "false") false }}
  apart: {{ ne $given.preset "file" }}
  settings:
    {{- if eq $given.preset "file" }}
    path: /var/lib/midwatch/collector/files/{{ $name }}.jsonl
    create_directory: true
    rotation:
      max_megabytes: {{ $given.maxMegabytes | default 100 | int }}
      max_backups: {{ $given.maxFiles | default 5 | int }}
    {{- else if eq $given.preset "langfuse" }}
    endpoint: {{ $given.url | default "https://cloud.langfuse.com" | trimSuffix "/" }}/api/public/otel
    auth:
      authenticator: basicauth/{{ $name }}
    {{- else if eq $given.preset "langsmith" }}
    endpoint: {{ $given.url | default "https://api.smith.langchain.com" | trimSuffix "/" }}/otel
    headers:
      x-api-key: ${env:{{ $variable }}_API_KEY}
      Langsmith-Project: {{ $given.project | default $root.Values.global.project | quote }}
    {{- else }}
    endpoint: {{ $given.url | default "" | trimSuffix "/" | quote }}
    {{- include "midwatch.collector.headers" (dict "name" $name "given" $given) }}
    {{- end }}
  {{- if eq $given.preset "langfuse" }}
  extension:
    basicauth/{{ $name }}:
      client_auth:
        username: ${env:{{ $variable }}_PUBLIC_KEY}
        password: ${env:{{ $variable }}_SECRET_KEY}
  {{- end }}
  {{- if has $given.preset (list "langfuse" "langsmith") }}
  mapping: {{ $given.preset }}
  {{- end }}
  keys: {{ include "midwatch.collector.presetKeys" $given }}
{{- end }}
{{- end }}
{{- end }}

{{/* Keys that a destination reads from its Secret, as a JSON list. */}}
{{- define "midwatch.collector.presetKeys" -}}
{{- get (dict "langfuse" (list "public-key" "secret-key") "langsmith" (list "api-key")) .preset | default (values (.secretHeaders | default dict) | uniq | sortAlpha) | toJson -}}
{{- end }}

{{/* Headers of an exporter, for its settings; takes the name of the destination and what is given of it. */}}
{{- define "midwatch.collector.headers" -}}
{{- if or .given.headers .given.secretHeaders }}
    headers:
      {{- range $header, $value := .given.headers }}
      {{ $header }}: {{ $value | quote }}
      {{- end }}
      {{- range $header, $key := .given.secretHeaders }}
      {{ $header }}: ${env:{{ include "midwatch.collector.variable" (dict "name" $.name "key" $key) }}}
      {{- end }}
{{- end }}
{{- end }}

{{/* The environment variable with a key of a destination's Secret; without a key, how all of them begin. */}}
{{- define "midwatch.collector.variable" -}}
{{- printf "MIDWATCH_DESTINATION_%s%s" .name (.key | default "" | empty | ternary "" (printf "_%s" (.key | default ""))) | upper | replace "-" "_" | replace "." "_" -}}
{{- end }}

{{/* Environment of the collector's pods: the keys of destinations from their Secrets, as a map. */}}
{{- define "midwatch.collector.env" -}}
{{- $all := dict }}
{{- range $name, $given := .Values.destinations }}
{{- if and (ne (toString $given.enabled) "false") (ne $given.preset "remote_write") }}{{ $_ := set $all $name $given }}{{ end }}
{{- end }}
{{- range $name := list "prometheus" "tempo" }}
{{- if eq (include "midwatch.mode" (dict "root" $ "component" $name)) "external" }}
{{- $_ := set $all $name (merge (dict "preset" "otlp") (get $.Values $name).external) }}
{{- end }}
{{- end }}
{{- range $name, $given := $all }}
{{- if $given.existingSecret }}
{{- range $key := include "midwatch.collector.presetKeys" $given | fromJsonArray }}
{{ include "midwatch.collector.variable" (dict "name" $name "key" $key) }}:
  valueFrom:
    secretKeyRef:
      name: {{ $given.existingSecret }}
      key: {{ $key }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* What Langfuse and LangSmith read besides the conventions; the shim says the same when it sends to them directly. */}}
{{- define "midwatch.collector.mappings" -}}
{{- range $name, $given := .Values.destinations }}
{{- if and (ne (toString $given.enabled) "false") (has $given.preset (list "langfuse" "langsmith")) }}
transform/{{ $name }}:
  error_mode: ignore
  trace_statements:
    - context: span
      statements: {{- include (printf "midwatch.collector.mapping.%s" $given.preset) . | nindent 8 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "midwatch.collector.mapping.langfuse" -}}
- set(span.attributes["langfuse.session.id"], span.attributes["gen_ai.conversation.id"]) where span.attributes["gen_ai.conversation.id"] != nil
- set(span.attributes["langfuse.session.id"], span.attributes["session.id"]) where span.attributes["session.id"] != nil
- set(span.attributes["langfuse.environment"], ToLowerCase(resource.attributes["deployment.environment.name"])) where resource.attributes["deployment.environment.name"] != nil
- set(span.attributes["langfuse.release"], resource.attributes["service.version"]) where resource.attributes["service.version"] != nil
- set(span.attributes["langfuse.trace.name"], span.name) where IsRootSpan()
- set(span.attributes["langfuse.observation.type"], "span")
- set(span.attributes["langfuse.observation.type"], "generation") where IsMatch(span.attributes["gen_ai.operation.name"], "^(chat|text_completion|generate_content)$$")
- set(span.attributes["langfuse.observation.type"], "embedding") where span.attributes["gen_ai.operation.name"] == "embeddings"
- set(span.attributes["langfuse.observation.type"], "tool") where span.attributes["gen_ai.operation.name"] == "execute_tool"
- set(span.attributes["langfuse.observation.type"], "agent") where IsMatch(span.attributes["gen_ai.operation.name"], "^(invoke|create)_agent$$")
- set(span.attributes["langfuse.observation.type"], "chain") where span.attributes["gen_ai.operation.name"] == "invoke_workflow"
- set(span.attributes["langfuse.observation.type"], "retriever") where span.attributes["gen_ai.operation.name"] == "retrieval"
- set(span.attributes["langfuse.observation.level"], "ERROR") where span.status.code == STATUS_CODE_ERROR
{{- end }}

{{- define "midwatch.collector.mapping.langsmith" -}}
- set(span.attributes["langsmith.metadata.thread_id"], span.attributes["gen_ai.conversation.id"]) where span.attributes["gen_ai.conversation.id"] != nil
- set(span.attributes["langsmith.metadata.session_id"], span.attributes["session.id"]) where span.attributes["session.id"] != nil
- set(span.attributes["langsmith.metadata.environment"], resource.attributes["deployment.environment.name"]) where resource.attributes["deployment.environment.name"] != nil
- set(span.attributes["langsmith.metadata.release"], resource.attributes["service.version"]) where resource.attributes["service.version"] != nil
- set(span.attributes["langsmith.trace.name"], span.name)
- set(span.attributes["langsmith.span.kind"], "chain")
- set(span.attributes["langsmith.span.kind"], "llm") where IsMatch(span.attributes["gen_ai.operation.name"], "^(chat|text_completion|generate_content)$$")
- set(span.attributes["langsmith.span.kind"], "embedding") where span.attributes["gen_ai.operation.name"] == "embeddings"
- set(span.attributes["langsmith.span.kind"], "tool") where span.attributes["gen_ai.operation.name"] == "execute_tool"
- set(span.attributes["langsmith.span.kind"], "retriever") where span.attributes["gen_ai.operation.name"] == "retrieval"
- set(span.attributes["gen_ai.system"], span.attributes["gen_ai.provider.name"]) where span.attributes["gen_ai.provider.name"] != nil
{{- end }}
