{{/*
TLS between Midwatch's own programs. Each pod mounts one Secret with tls.crt, tls.key and ca.crt, made by cert-manager or by
the user; clients check servers against ca.crt. The ledger speaks plain HTTP, and so do the collectors' own metrics.
*/}}

{{- define "midwatch.tls.on" -}}
{{- if ne .Values.tls.mode "off" }}true{{ end -}}
{{- end }}

{{/* Components that serve TLS; takes root and component. */}}
{{- define "midwatch.tls.serves" -}}
{{- if and (include "midwatch.tls.on" .root) (has .component (list "collector" "sampler" "prometheus" "alertmanager" "tempo" "grafana")) }}true{{ end -}}
{{- end }}

{{/* Name of the Secret that a component's pods mount. */}}
{{- define "midwatch.tls.secret" -}}
{{- get .root.Values.tls.secrets .component | default (printf "%s-tls" (include "midwatch.name" .)) -}}
{{- end }}

{{/* Scheme of addresses of Midwatch's own programs, but for the ledger; takes the root. */}}
{{- define "midwatch.scheme" -}}
{{- ternary "https" "http" (ne (include "midwatch.tls.on" .) "") -}}
{{- end }}

{{/* The tls block of a collector's receiver; takes root, component and indent. */}}
{{- define "midwatch.tls.server" -}}
{{- if include "midwatch.tls.serves" . }}
{{- "tls:\n  cert_file: /etc/midwatch/tls/tls.crt\n  key_file: /etc/midwatch/tls/tls.key" | nindent (.indent | int) }}
{{- end }}
{{- end }}

{{/* The tls block of an exporter to a component that is installed here; takes root, component and indent. Empty without TLS. */}}
{{- define "midwatch.tls.client" -}}
{{- $installed := or (eq .component "sampler") (include "midwatch.installed" .) -}}
{{- if and $installed (include "midwatch.tls.serves" .) }}
{{- "tls:\n  ca_file: /etc/midwatch/tls/ca.crt" | nindent (.indent | int) }}
{{- end }}
{{- end }}

{{/* A certificate of cert-manager for a component; takes root and component. */}}
{{- define "midwatch.certificate" -}}
{{- $values := .root.Values.tls -}}
{{- $name := include "midwatch.name" . -}}
{{- if and (eq $values.mode "certManager") (not (get $values.secrets .component)) }}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {{- include "midwatch.metadata" . | nindent 2 }}
spec:
  secretName: {{ include "midwatch.tls.secret" . }}
  commonName: {{ $name | trunc 64 }}
  dnsNames:
    {{- range $service := list $name (printf "%s-pods" $name) (printf "*.%s-pods" $name) }}
    - {{ printf "%s.%s.svc" $service $.root.Release.Namespace | quote }}
    - {{ printf "%s.%s.svc.%s" $service $.root.Release.Namespace $values.clusterDomain | quote }}
    {{- end }}
    - {{ printf "*.%s-pods.%s" $name .root.Release.Namespace | quote }}
    - {{ $name }}
    - localhost
  usages: [server auth, client auth]
  privateKey:
    algorithm: ECDSA
    size: 256
    rotationPolicy: Always
  issuerRef:
    name: {{ $values.issuer.name }}
    kind: {{ $values.issuer.kind }}
    group: {{ $values.issuer.group }}
{{- end }}
{{- end }}
