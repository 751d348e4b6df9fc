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
app.kubernetes.io/name: {{ include "treecache-exporter.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
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
name: {{ printf "%s%s" (include "treecache-exporter.fullname" .root) (.suffix | default "") | quote }}
namespace: {{ .namespace | default .root.Release.Namespace | quote }}
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
    {{- with .root.Values.web.probeCertificate.certFile }}
    - --tls.cert-file={{ . }}
    - --tls.key-file={{ $.root.Values.web.probeCertificate.keyFile }}
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

{{/* Whether the cluster knows PrometheusRule, and not only others of the operator's kinds: "true" or nothing. */}}
{{- define "treecache-exporter.knowsRules" -}}
{{- if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1/PrometheusRule" }}true{{ end }}
{{- end }}

{{/* Refuses what the schema cannot. */}}
{{- define "treecache-exporter.validate" -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
{{- fail "podMonitor.enabled: true beside serviceMonitor.enabled would scrape every pod twice; accepted: one of the two" }}
{{- end }}
{{- if and .Values.web.config .Values.web.existingSecret }}
{{- fail "web.existingSecret: given beside web.config; accepted: one of the two" }}
{{- end }}
{{- include "treecache-exporter.validateProbe" . }}
{{- include "treecache-exporter.validateTelemetryPath" . }}
{{- include "treecache-exporter.validateExtraArgs" . }}
{{- if not .Values.existingConfigMap }}
{{- include "treecache-exporter.validateSecrets" . }}
{{- end }}
{{- end }}

{{- define "treecache-exporter.validateProbe" -}}
{{- $certificate := .Values.web.probeCertificate -}}
{{- if ne (empty $certificate.certFile) (empty $certificate.keyFile) }}
{{- fail "web.probeCertificate: has one of certFile and keyFile; accepted: both or neither" }}
{{- end }}
{{- if and $certificate.certFile (ne (include "treecache-exporter.probe" .) "exec") }}
{{- fail "web.probeCertificate: an HTTP probe shows no certificate; accepted: with web.probe=exec" }}
{{- end }}
{{- end }}

{{/* The exporter's own pages, which its flag does not take either. */}}
{{- define "treecache-exporter.validateTelemetryPath" -}}
{{- $path := .Values.web.telemetryPath -}}
{{- $taken := list "/browse" "/docs" "/-/events" "/-/page.css" "/-/page.js" "/-/healthy" "/-/ready" "/-/reload" -}}
{{- if or (has $path $taken) (has "." (splitList "/" $path)) (has ".." (splitList "/" $path)) }}
{{- fail (printf "web.telemetryPath: %s is taken by another page, or cannot be served; accepted: a path such as /metrics" $path) }}
{{- end }}
{{- end }}

{{/* The exporter takes no flag twice, and none beside a configuration file that contradicts it. */}}
{{- define "treecache-exporter.validateExtraArgs" -}}
{{- $value := dict
    "--config.file" "config"
    "--config.check" "config"
    "--zookeeper.hosts" "config"
    "--zookeeper.name" "config"
    "--treecache.path" "config"
    "--freshness.interval" "config"
    "--freshness.timeout" "config"
    "--freshness.barrier" "config"
    "--audit.interval" "config"
    "--audit.sample" "config"
    "--web.listen-address" "web.port"
    "--web.systemd-socket" "web.port"
    "--web.telemetry-path" "web.telemetryPath"
    "--web.config.file" "web.config"
    "--web.enable-lifecycle" "web.enableLifecycle"
    "--web.expose-data" "web.exposeData"
    "--log.level" "log.level"
    "--log.format" "log.format" -}}
{{- if .Values.sharding.enabled }}
{{- $_ := merge $value (dict "--shard.total" "sharding" "--shard.ordinal" "sharding" "--shard.from-hostname" "sharding") }}
{{- end }}
{{- range .Values.extraArgs }}
{{- $flag := regexFind "^[^=]*" . }}
{{- with get $value $flag }}
{{- fail (printf "extraArgs: %s is for the chart to give; accepted: %s in its place" $flag .) }}
{{- end }}
{{- end }}
{{- end }}

{{/* A ConfigMap is no place for a secret. */}}
{{- define "treecache-exporter.validateSecrets" -}}
{{- range $index, $ensemble := .Values.config.ensembles }}
{{- $secrets := dict }}
{{- range $user, $digest := $ensemble.digest }}
{{- $_ := set $secrets (printf "digest[%d].password" $user) $digest.password }}
{{- end }}
{{- with $ensemble.sasl }}{{ $_ := set $secrets "sasl.password" .password }}{{ end }}
{{- with $ensemble.tls }}{{ $_ := set $secrets "tls.key_password" .key_password }}{{ end }}
{{- range $key, $text := $secrets }}
{{- if and $text (not (regexMatch "^[$][{][A-Za-z_][A-Za-z0-9_]*[}]$" $text)) }}
{{- $file := printf "%s_file" (splitList "." $key | last) }}
{{- fail (printf "config.ensembles[%d].%s: would lie open in a ConfigMap; accepted: ${NAME} of extraEnv or extraEnvFrom, or %s in existingSecrets" $index $key $file) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
