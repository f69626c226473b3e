{{/* Attributes that hold what people and models wrote. `content: off` removes them. */}}
{{- define "midwatch.collector.contentKeys" -}}
^(gen_ai\\.(input\\.messages|output\\.messages|system_instructions|tool\\.definitions|tool\\.call\\.(arguments|result)|prompt.*|completion.*|retrieval\\.(query\\.text|documents))|prompt_text|response_text|comment|midwatch\\.span\\.status_message|(input|output)\\.value)$
{{- end }}

{{/* Secrets are masked unless `content: full`; personal data as well when `content: redacted`. */}}
{{- define "midwatch.collector.secretPatterns" -}}
- 'sk-[A-Za-z0-9_-]{20,}'
- 'gh[pousr]_[A-Za-z0-9]{36,}'
- 'xox[abprs]-[A-Za-z0-9-]{10,}'
- 'AKIA[0-9A-Z]{16}'
- 'eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}'
- '-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(-----END [A-Z ]*PRIVATE KEY-----)?'
- '(?i)bearer +[A-Za-z0-9._~+/-]{16,}=*'
{{- end }}

{{- define "midwatch.collector.personPatterns" -}}
- '[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}'
- '\b[A-Z]{2}[0-9]{2}( ?[A-Z0-9]{4}){3,7}( ?[A-Z0-9]{1,3})?\b'
- '\b(4[0-9]{3}|5[1-5][0-9]{2}|6(011|5[0-9]{2})|3[47][0-9]{2})([ -]?[0-9]{4}){2}[ -]?[0-9]{3,4}\b'
- '\+[0-9]{1,3}[ .-]?(\([0-9]{1,4}\)[ .-]?)?[0-9]{2,4}([ .-]?[0-9]{2,4}){2,4}\b'
{{- end }}

{{- define "midwatch.collector.processors" -}}
{{- $collector := .Values.collector -}}
batch/handover:
  timeout: 0s
  send_batch_size: 0
memory_limiter:
  check_interval: 1s
  limit_percentage: 80
  spike_limit_percentage: 20
{{- if $collector.kubernetesAttributes.enabled }}
k8s_attributes:
  {{- with $collector.kubernetesAttributes.namespace }}
  filter:
    namespace: {{ . }}
  {{- end }}
  extract:
    metadata:
      - k8s.namespace.name
      - k8s.pod.name
      - k8s.pod.uid
      - k8s.deployment.name
      - k8s.statefulset.name
      - k8s.node.name
  pod_association:
    - sources:
        - from: resource_attribute
          name: k8s.pod.uid
    - sources:
        - from: resource_attribute
          name: k8s.pod.ip
    - sources:
        - from: connection
{{- end }}
resource:
  attributes:
    - key: midwatch.project
      value: {{ .Values.global.project | quote }}
      action: insert
    - key: deployment.environment.name
      value: {{ .Values.global.environment | quote }}
      action: insert
{{- if eq .Values.content "off" }}
transform/content:
  error_mode: ignore
  trace_statements:
    - context: span
      statements:
        - delete_matching_keys(span.attributes, "{{ include "midwatch.collector.contentKeys" . }}")
    - context: spanevent
      statements:
        - delete_matching_keys(spanevent.attributes, "{{ include "midwatch.collector.contentKeys" . }}")
  log_statements:
    - context: log
      statements:
        - delete_matching_keys(log.attributes, "{{ include "midwatch.collector.contentKeys" . }}")
{{- end }}
{{- if ne .Values.content "full" }}
redaction:
  allow_all_keys: true
  summary: silent
  blocked_values:
    {{- include "midwatch.collector.secretPatterns" . | replace "$" "$$" | nindent 4 }}
    {{- if eq .Values.content "redacted" }}
    {{- include "midwatch.collector.personPatterns" . | replace "$" "$$" | nindent 4 }}
    {{- end }}
{{- end }}
{{- /* Tempo refuses a whole request for one span whose trace has no id. The ledger gets such spans, refuses these alone and counts them. */}}
filter/nameless:
  error_mode: ignore
  traces:
    span:
      - trace_id == TraceID(0x00000000000000000000000000000000)
transform/limits:
  error_mode: ignore
  trace_statements:
    - context: span
      statements:
        - truncate_all(span.attributes, {{ $collector.maxAttributeBytes | int }})
    - context: spanevent
      statements:
        - truncate_all(spanevent.attributes, {{ $collector.maxAttributeBytes | int }})
  log_statements:
    - context: log
      statements:
        - truncate_all(log.attributes, {{ $collector.maxAttributeBytes | int }})
{{- include "midwatch.collector.mappings" . }}
{{- include "midwatch.collector.shardProcessors" . }}
{{- if $collector.scrape.enabled }}
{{- include "midwatch.collector.scrapeProcessor" . | nindent 0 }}
{{- end }}
{{- if $collector.tailSampling.enabled }}
{{- include "midwatch.collector.tailSampling" . | nindent 0 }}
{{- end }}
{{- end }}

{{/* Keep what on-call needs (errors, slow turns, and what the conditions name), sample the rest. */}}
{{- define "midwatch.collector.tailSampling" -}}
{{- $sampling := .Values.collector.tailSampling -}}
tail_sampling:
  decision_wait: {{ $sampling.decisionWait }}
  decision_wait_after_root_received: {{ $sampling.decisionWaitAfterRoot }}
  num_traces: {{ $sampling.tracesInMemory | int }}
  maximum_trace_size_bytes: 10485760
  decision_cache:
    sampled_cache_size: 100000
    non_sampled_cache_size: 100000
  policies:
    - name: errors
      type: status_code
      status_code:
        status_codes: [ERROR]
    - name: slow-turns
      type: latency
      latency:
        threshold_ms: {{ $sampling.slowTurnMilliseconds | int }}
    - name: marked-turns
      type: ottl_condition
      ottl_condition:
        error_mode: ignore
        span:
          {{- range $condition, $kept := $sampling.keep }}{{ if $kept }}
          - {{ $condition | quote }}
          {{- end }}{{ end }}
    - name: rest
      type: probabilistic
      probabilistic:
        sampling_percentage: {{ $sampling.percentage }}
{{- end }}
