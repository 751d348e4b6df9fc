{{/* An endpoint of a ServiceMonitor or a PodMonitor. Arguments: root; monitor, its values. */}}
{{- define "treecache-exporter.endpoint" -}}
port: metrics
path: {{ .root.Values.web.telemetryPath }}
scheme: {{ include "treecache-exporter.scheme" .root | lower }}
{{- with .monitor.interval }}
interval: {{ . }}
{{- end }}
{{- with .monitor.scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- with .monitor.tlsConfig }}
tlsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .monitor.basicAuth }}
basicAuth:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .monitor.relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .monitor.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What a monitor in another namespace, or in the release's, selects. Arguments: root; monitor, its values. */}}
{{- define "treecache-exporter.monitorTargets" -}}
jobLabel: {{ .monitor.jobLabel | quote }}
namespaceSelector:
  matchNames:
    - {{ .root.Release.Namespace | quote }}
selector:
  matchLabels:
    {{- include "treecache-exporter.selectorLabels" .root | nindent 4 }}
{{- end }}
