{{/* Tempo 3, everything in one process on one volume. */}}
{{- define "midwatch.tempo.config" -}}
server:
  http_listen_address: 0.0.0.0
  http_listen_port: 3200
  grpc_listen_address: 0.0.0.0
  grpc_listen_port: 9095
  log_level: {{ .Values.tempo.logLevel }}
  # The frontend and the queriers talk over gRPC inside the process; a trace may be larger than the default of 4 MiB.
  grpc_server_max_recv_msg_size: 16777216
  grpc_server_max_send_msg_size: 16777216
  {{- if include "midwatch.tls.on" . }}
  http_tls_config:
    cert_file: /etc/midwatch/tls/tls.crt
    key_file: /etc/midwatch/tls/tls.key
  {{- end }}

memberlist:
  # One process: gossip stays inside the pod.
  bind_addr: [127.0.0.1]
  bind_port: 7946

distributor:
  # Prompts and tool results are longer than Tempo's default of 2048; the collector cuts at the same length.
  max_attribute_bytes: {{ .Values.collector.maxAttributeBytes | int }}
  receivers:
    otlp:
      protocols:
        grpc:
          endpoint: 0.0.0.0:4317
          {{- include "midwatch.tls.server" (dict "root" . "component" "tempo" "indent" 10) }}
        http:
          endpoint: 0.0.0.0:4318
          {{- include "midwatch.tls.server" (dict "root" . "component" "tempo" "indent" 10) }}

# The parts of the one process find each other by these two addresses; left empty they guess them, with a warning.
querier:
  frontend_worker:
    frontend_address: 127.0.0.1:9095

query_frontend:
  # A page links to the trace of a moment ago: search up to now.
  query_end_cutoff: 0s

live_store:
  flush_check_period: 1s
  max_trace_idle: 2s
  max_block_duration: 30s
  wal:
    path: /var/lib/midwatch/tempo/live-store
  shutdown_marker_dir: /var/lib/midwatch/tempo/shutdown-marker

backend_scheduler:
  local_work_path: /var/lib/midwatch/tempo/work

backend_worker:
  backend_scheduler_addr: 127.0.0.1:9095
  # Having no block to compact is its ordinary state, which it logs as an error each time it asks.
  backoff:
    min_period: 30s
    max_period: 1m
  # It waits this long at every stop, work or no work; a compaction that is cut short is begun again.
  finish_on_shutdown_timeout: 2s
  compaction:
    # The one key that deletes blocks in Tempo 3.
    block_retention: {{ .Values.tempo.retention }}

storage:
  trace:
    backend: local
    wal:
      path: /var/lib/midwatch/tempo/wal
    local:
      path: /var/lib/midwatch/tempo/blocks

usage_report:
  reporting_enabled: false
{{- end }}
