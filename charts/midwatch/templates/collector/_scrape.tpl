{{/*
Scrape mode: pods that carry the annotation midwatch.dev/scrape: "true", in the namespaces where they run, and static
targets. The metrics namespace that an application puts before its names is taken off again, so that rules and
dashboards know one name. "$$" is the collector's way to write "$".
*/}}
{{- define "midwatch.collector.scrapeReceiver" -}}
{{- $scrape := .Values.collector.scrape -}}
prometheus:
  config:
    global:
      scrape_interval: {{ $scrape.interval }}
      scrape_timeout: {{ $scrape.interval }}
    scrape_configs:
      {{- if $scrape.pods.enabled }}
      - job_name: pods
        kubernetes_sd_configs:
          - role: pod
            {{- $names := list }}
            {{- range $name, $used := $scrape.pods.namespaces }}{{ if $used }}{{ $names = append $names $name }}{{ end }}{{ end }}
            {{- with $names }}
            namespaces:
              names: {{ toJson . }}
            {{- end }}
        relabel_configs:
          - source_labels: [__meta_kubernetes_pod_annotation_midwatch_dev_scrape]
            regex: "true"
            action: keep
          - source_labels: [__meta_kubernetes_pod_phase]
            regex: Pending|Succeeded|Failed
            action: drop
          # One target a pod: the annotated port, or the declared port named metrics or http.
          - source_labels: [__meta_kubernetes_pod_annotation_midwatch_dev_port, __meta_kubernetes_pod_container_port_name]
            regex: \d+;.*|;(metrics|http)
            action: keep
          - source_labels: [__meta_kubernetes_pod_ip, __meta_kubernetes_pod_annotation_midwatch_dev_port]
            regex: (.+);(\d+)
            target_label: __address__
            replacement: $$1:$$2
          - source_labels: [__meta_kubernetes_pod_annotation_midwatch_dev_path]
            regex: (.+)
            target_label: __metrics_path__
          - source_labels: [__meta_kubernetes_pod_container_name]
            target_label: job
          - source_labels: [__meta_kubernetes_pod_label_app_kubernetes_io_name]
            regex: (.+)
            target_label: job
          - source_labels: [__meta_kubernetes_pod_annotation_midwatch_dev_metrics_namespace]
            regex: (.+)
            target_label: midwatch_metrics_namespace
      {{- end }}
      {{- range $name, $target := $scrape.targets }}
      - job_name: {{ $name }}
        metrics_path: {{ $target.path | default "/metrics" }}
        static_configs:
          - targets: [{{ $target.address | quote }}]
            {{- with $target.metricsNamespace }}
            labels:
              midwatch_metrics_namespace: {{ . }}
            {{- end }}
      {{- end }}
{{- end }}

{{- define "midwatch.collector.scrapeProcessor" -}}
transform/scrape:
  error_mode: ignore
  metric_statements:
    - context: datapoint
      statements:
        - set(resource.attributes["midwatch.metrics_namespace"], datapoint.attributes["midwatch_metrics_namespace"]) where datapoint.attributes["midwatch_metrics_namespace"] != nil
        - delete_key(datapoint.attributes, "midwatch_metrics_namespace")
    - context: metric
      statements:
        - set(metric.name, Substring(metric.name, Len(resource.attributes["midwatch.metrics_namespace"]) + 1, Len(metric.name) - Len(resource.attributes["midwatch.metrics_namespace"]) - 1)) where resource.attributes["midwatch.metrics_namespace"] != nil and HasPrefix(metric.name, Concat([resource.attributes["midwatch.metrics_namespace"], ""], "_"))
    - context: resource
      statements:
        - delete_key(resource.attributes, "midwatch.metrics_namespace")
{{- end }}
