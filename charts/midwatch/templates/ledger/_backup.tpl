{{/* What both containers of a backup have. */}}
{{- define "midwatch.ledger.backupContainer" -}}
resources: {{- toYaml .Values.ledger.backup.resources | nindent 2 }}
securityContext: {{- include "midwatch.containerSecurity" . | nindent 2 }}
volumeMounts:
  - name: tmp
    mountPath: /tmp
  - name: script
    mountPath: /etc/midwatch/backup
    readOnly: true
  - name: backups
    mountPath: /backups
  {{- if not .Values.ledger.database.existingSecret }}
  - name: data
    mountPath: /var/lib/midwatch/ledger
  {{- end }}
{{- end }}
