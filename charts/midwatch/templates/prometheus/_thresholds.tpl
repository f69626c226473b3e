{{/*
Thresholds and objectives: the file that comes with the rules, with the numbers of this installation, and those of single
agents beside them. It is parsed and written anew, never edited as a text.
*/}}
{{- define "midwatch.prometheus.thresholds" -}}
{{- $values := .Values.prometheus -}}
{{- $file := .Files.Get "files/rules/thresholds.rules.yaml" | fromYaml -}}
# Rendered by the chart from prometheus.thresholds, agentThresholds, objectives and agentObjectives.
groups:
{{- range $group := $file.groups }}
  - name: {{ $group.name }}
    interval: {{ $group.interval }}
    rules:
      {{- range $rule := $group.rules }}
      {{- $expression := $rule.expr }}
      {{- if hasKey $values.thresholds ($rule.labels.alert | default "") }}{{ $expression = printf "vector(%v)" (get $values.thresholds $rule.labels.alert) }}{{ end }}
      {{- if hasKey $values.objectives ($rule.labels.slo | default "") }}{{ $expression = printf "vector(%v)" (get $values.objectives $rule.labels.slo) }}{{ end }}
      - record: {{ $rule.record }}
        expr: {{ $expression }}
        labels: {{- toYaml $rule.labels | nindent 10 }}
      {{- end }}
      {{- range $alert, $agents := $values.agentThresholds }}
      {{- range $agent, $threshold := $agents }}
      - record: alert_agent:midwatch_threshold:override
        expr: vector({{ $threshold }})
        labels: {{- toYaml (dict "alert" $alert "agent" $agent) | nindent 10 }}
      {{- end }}
      {{- end }}
      {{- range $slo, $agents := $values.agentObjectives }}
      {{- range $agent, $objective := $agents }}
      - record: slo_agent:midwatch_objective:override
        expr: vector({{ $objective }})
        labels: {{- toYaml (dict "slo" $slo "agent" $agent) | nindent 10 }}
      {{- end }}
      {{- end }}
{{- end }}
{{- end }}

{{/* Names that no rule has would change nothing and tell nobody. */}}
{{- define "midwatch.validations.thresholds" -}}
{{- $values := .Values.prometheus -}}
{{- $alerts := list -}}
{{- $slos := list -}}
{{- range $group := (.Files.Get "files/rules/thresholds.rules.yaml" | fromYaml).groups }}
{{- range $rule := $group.rules }}
{{- with $rule.labels.alert }}{{ $alerts = append $alerts . }}{{ end }}
{{- with $rule.labels.slo }}{{ $slos = append $slos . }}{{ end }}
{{- end }}
{{- end }}
{{- $rules := "" -}}
{{- range $path, $content := .Files.Glob "files/rules/*.yaml" }}{{ $rules = printf "%s%s" $rules ($content | toString) }}{{ end }}
{{- $ofAgents := list -}}
{{- range $alert := $alerts }}
{{- if contains (printf "alert_agent:midwatch_threshold:override{alert=%q}" $alert) $rules }}{{ $ofAgents = append $ofAgents $alert }}{{ end }}
{{- end }}
{{- $checks := list
  (dict "value" "thresholds" "given" (keys $values.thresholds) "allowed" $alerts "what" "alert whose threshold can be set")
  (dict "value" "agentThresholds" "given" (keys $values.agentThresholds) "allowed" $ofAgents "what" "alert whose threshold can be set for an agent")
  (dict "value" "objectives" "given" (keys $values.objectives) "allowed" $slos "what" "SLO")
  (dict "value" "agentObjectives" "given" (keys $values.agentObjectives) "allowed" $slos "what" "SLO") }}
{{- range $check := $checks }}
{{- range $name := $check.given | sortAlpha }}
{{- if not (has $name $check.allowed) }}
- problem: prometheus.{{ $check.value }}.{{ $name }} is no {{ $check.what }}.
  remedies:
    - 'use one of {{ join ", " ($check.allowed | sortAlpha) }}'
    - remove prometheus.{{ $check.value }}.{{ $name }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
