{{/* Names, at most 63 characters as DNS labels are. */}}
{{- define "treecache-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Short enough for what is appended to it: the names of dashboards, and a StatefulSet's number and its pods'. */}}
{{- define "treecache-exporter.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 46 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 46 | trimSuffix "-" }}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 46 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* The labels that select pods: they never change. */}}
{{- define "treecache-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "treecache-exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The labels of every resource; the chart's own win over `commonLabels`. */}}
{{- define "treecache-exporter.labels" -}}
{{- $own := dict
    "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
    "app.kubernetes.io/version" .Chart.AppVersion
    "app.kubernetes.io/managed-by" .Release.Service
    "app.kubernetes.io/part-of" "treecache-exporter" -}}
{{- $selector := include "treecache-exporter.selectorLabels" . | fromYaml -}}
{{- merge $selector $own .Values.commonLabels | toYaml }}
{{- end }}

{{/* Metadata of a resource. Arguments: root; suffix, namespace, labels and annotations as needed. */}}
{{- define "treecache-exporter.metadata" -}}
name: {{ include "treecache-exporter.fullname" .root }}{{ .suffix }}
namespace: {{ .namespace | default .root.Release.Namespace }}
labels:
  {{- merge (include "treecache-exporter.labels" .root | fromYaml) (.labels | default dict) | toYaml | nindent 2 }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "treecache-exporter.image" -}}
{{- $name := .Values.image.repository -}}
{{- with .Values.image.registry }}{{ $name = printf "%s/%s" . $name }}{{ end -}}
{{- if .Values.image.digest -}}
{{ $name }}@{{ .Values.image.digest }}
{{- else -}}
{{ $name }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "treecache-exporter.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "treecache-exporter.fullname" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{/* The Service's name says whether it is headless: the kind of an existing Service cannot be changed. */}}
{{- define "treecache-exporter.serviceName" -}}
{{ include "treecache-exporter.fullname" . }}{{ if .Values.sharding.enabled }}-shards{{ end }}
{{- end }}

{{/* Whether there is a web configuration: "true" or nothing. */}}
{{- define "treecache-exporter.hasWebConfig" -}}
{{- if or .Values.web.config .Values.web.existingSecret }}true{{ end }}
{{- end }}

{{- define "treecache-exporter.scheme" -}}
{{- $tls := .Values.web.config.tls_server_config | default dict -}}
{{- .Values.web.scheme | default (ternary "HTTPS" "HTTP" (not (empty $tls.cert_file))) }}
{{- end }}

{{/* An HTTP probe has no certificate to show. */}}
{{- define "treecache-exporter.probe" -}}
{{- $tls := .Values.web.config.tls_server_config | default dict -}}
{{- .Values.web.probe | default (ternary "exec" "http" (eq (default "" $tls.client_auth_type) "RequireAndVerifyClientCert")) }}
{{- end }}

{{/* What a probe does. Arguments: root; path, and the flag of `healthcheck` that means it. */}}
{{- define "treecache-exporter.probeHandler" -}}
{{- if eq (include "treecache-exporter.probe" .root) "exec" -}}
exec:
  command:
    - treecache-exporter
    - healthcheck
    - --web.listen-address=:{{ .root.Values.web.port }}
    {{- if include "treecache-exporter.hasWebConfig" .root }}
    - --web.config.file=/etc/treecache-exporter/web/web-config.yml
    {{- end }}
    {{- with .flag }}
    - {{ . }}
    {{- end }}
{{- else -}}
httpGet:
  path: {{ .path }}
  port: metrics
  scheme: {{ include "treecache-exporter.scheme" .root }}
{{- end }}
{{- end }}

{{/* Refuses what the schema cannot. */}}
{{- define "treecache-exporter.validate" -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
{{- fail "podMonitor.enabled: true beside serviceMonitor.enabled would scrape every pod twice; accepted: one of the two" }}
{{- end }}
{{- if and .Values.web.config .Values.web.existingSecret }}
{{- fail "web.existingSecret: given beside web.config; accepted: one of the two" }}
{{- end }}
{{- end }}
