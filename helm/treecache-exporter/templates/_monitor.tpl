{{/* An endpoint of a ServiceMonitor or a PodMonitor. Arguments: root; monitor, its values; port, by name. */}}
{{- define "treecache-exporter.endpoint" -}}
port: {{ .port }}
path: {{ include "treecache-exporter.routePrefix" .root }}{{ .root.Values.web.telemetryPath }}
scheme: {{ include "treecache-exporter.monitorScheme" . }}
{{- $keys := list
    "interval" "scrapeTimeout" "tlsConfig" "basicAuth" "authorization" "oauth2" "proxyUrl" "enableHttp2" "followRedirects"
    "params" "honorLabels" "honorTimestamps" "relabelings" "metricRelabelings" }}
{{- with include "treecache-exporter.given" (dict "values" .monitor "keys" $keys) }}
{{ . }}
{{- end }}
{{- end }}

{{- define "treecache-exporter.monitorScheme" -}}
{{- .monitor.scheme | default (include "treecache-exporter.scheme" .root | lower) }}
{{- end }}

{{/* What a monitor says of all its targets, in another namespace or in the release's. Arguments: root; monitor, its values. */}}
{{- define "treecache-exporter.monitorTargets" -}}
jobLabel: {{ .monitor.jobLabel | quote }}
namespaceSelector:
  matchNames:
    - {{ .root.Release.Namespace | quote }}
selector:
  matchLabels:
    {{- include "treecache-exporter.selectorLabels" .root | nindent 4 }}
{{- $keys := list
    "scrapeClass" "scrapeProtocols" "fallbackScrapeProtocol" "sampleLimit" "targetLimit" "labelLimit"
    "labelNameLengthLimit" "labelValueLengthLimit" "bodySizeLimit" "keepDroppedTargets" "attachMetadata" "targetLabels"
    "podTargetLabels" }}
{{- with include "treecache-exporter.given" (dict "values" .monitor "keys" $keys) }}
{{ . }}
{{- end }}
{{- end }}

