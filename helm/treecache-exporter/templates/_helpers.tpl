{{/* Names, with at most 63 characters, like DNS labels. */}}
{{- define "treecache-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Short enough for suffixes: the names of dashboards, and the numbers of StatefulSets and pods. */}}
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

{{/* The labels of every resource; `commonLabels` override them, except those that select pods. */}}
{{- define "treecache-exporter.labels" -}}
{{- $own := dict
    "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
    "app.kubernetes.io/version" .Chart.AppVersion
    "app.kubernetes.io/managed-by" .Release.Service
    "app.kubernetes.io/part-of" "treecache-exporter" -}}
{{- $selector := include "treecache-exporter.selectorLabels" . | fromYaml -}}
{{- merge $selector (.Values.commonLabels | default dict) $own | toYaml }}
{{- end }}

{{/* Metadata of a resource. Arguments: root; suffix, namespace, labels (which take precedence) and annotations as needed. */}}
{{- define "treecache-exporter.metadata" -}}
name: {{ printf "%s%s" (include "treecache-exporter.fullname" .root) (.suffix | default "") | quote }}
namespace: {{ .namespace | default .root.Release.Namespace | quote }}
labels:
  {{- merge (.labels | default dict | deepCopy) (include "treecache-exporter.labels" .root | fromYaml) | toYaml | nindent 2 }}
{{- with .annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The given values among these keys, as YAML; false counts as given, empty and 0 do not. Arguments: values; keys. */}}
{{- define "treecache-exporter.given" -}}
{{- $given := dict }}
{{- range .keys }}
{{- $value := get $.values . }}
{{- if kindIs "float64" $value }}{{ $value = int64 $value }}{{ end }}
{{- if or (kindIs "bool" $value) $value }}{{ $_ := set $given . $value }}{{ end }}
{{- end }}
{{- with $given }}{{ toYaml . }}{{ end }}
{{- end }}

{{/* With a digest, a tag is for information only. */}}
{{- define "treecache-exporter.image" -}}
{{- $image := .Values.image.repository -}}
{{- with (.Values.global | default dict).imageRegistry | default .Values.image.registry }}{{ $image = printf "%s/%s" . $image }}{{ end -}}
{{- $tag := .Values.image.tag | default (ternary "" .Chart.AppVersion (not (empty .Values.image.digest))) -}}
{{- with $tag }}{{ $image = printf "%s:%s" $image . }}{{ end -}}
{{- with .Values.image.digest }}{{ $image = printf "%s@%s" $image . }}{{ end -}}
{{ $image }}
{{- end }}

{{- define "treecache-exporter.imagePullSecrets" -}}
{{- $secrets := list }}
{{- $global := .Values.global | default dict }}
{{- range concat ($global.imagePullSecrets | default list) (.Values.imagePullSecrets | default list) }}
{{- if kindIs "string" . }}{{ $secrets = append $secrets (dict "name" .) }}{{ else }}{{ $secrets = append $secrets . }}{{ end }}
{{- end }}
{{- with uniq $secrets }}
{{- toYaml . }}
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
{{- $tls := (.Values.web.config | default dict).tls_server_config | default dict -}}
{{- .Values.web.scheme | default (ternary "HTTPS" "HTTP" (not (empty $tls.cert_file))) }}
{{- end }}

{{/* The path of the external URL, without a slash at its end; nothing for the root. */}}
{{- define "treecache-exporter.externalPath" -}}
{{- regexReplaceAll "^https?://[^/]*" (.Values.web.externalUrl | default "") "" | trimSuffix "/" }}
{{- end }}

{{/* The prefix of all paths of the exporter, with the semantics of its flags; nothing for the root. */}}
{{- define "treecache-exporter.routePrefix" -}}
{{- .Values.web.routePrefix | default (include "treecache-exporter.externalPath" .) | trimSuffix "/" }}
{{- end }}

{{/* The flags for the listen address and the prefix, which `healthcheck` takes too. */}}
{{- define "treecache-exporter.addressFlags" -}}
{{- $host := .Values.web.listenHost | default "" -}}
{{- if and (contains ":" $host) (not (hasPrefix "[" $host)) }}{{ $host = printf "[%s]" $host }}{{ end -}}
- --web.listen-address={{ $host }}:{{ .Values.web.port }}
{{- with .Values.web.externalUrl }}
- --web.external-url={{ . }}
{{- end }}
{{- with .Values.web.routePrefix }}
- --web.route-prefix={{ . }}
{{- end }}
{{- end }}

{{/* Whether the exporter is reachable only from inside the pod: "true" or nothing. */}}
{{- define "treecache-exporter.isLocal" -}}
{{- if regexMatch "^(localhost|127[.].*|\\[?::1\\]?)$" (.Values.web.listenHost | default "") }}true{{ end }}
{{- end }}

{{/* Whether a port of the pods is the exporter's own, not another container's: "true" or nothing. Arguments: root; port. */}}
{{- define "treecache-exporter.isOwnPort" -}}
{{- if has (toString .port) (list "metrics" (toString .root.Values.web.port)) }}true{{ end }}
{{- end }}

{{/* An HTTP probe has no certificate, and comes from outside the pod. */}}
{{- define "treecache-exporter.probe" -}}
{{- $tls := (.Values.web.config | default dict).tls_server_config | default dict -}}
{{- $needsCommand := or (eq (default "" $tls.client_auth_type) "RequireAndVerifyClientCert") (include "treecache-exporter.isLocal" .) -}}
{{- .Values.web.probe | default (ternary "http" "exec" (empty $needsCommand)) }}
{{- end }}

{{/* The handler of a probe. Arguments: root; path, and the flag of `healthcheck` for it. */}}
{{- define "treecache-exporter.probeHandler" -}}
{{- if eq (include "treecache-exporter.probe" .root) "exec" -}}
exec:
  command:
    - treecache-exporter
    - healthcheck
    {{- include "treecache-exporter.addressFlags" .root | nindent 4 }}
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
  path: {{ include "treecache-exporter.routePrefix" .root }}{{ .path }}
  port: metrics
  scheme: {{ include "treecache-exporter.scheme" .root }}
{{- end }}
{{- end }}

{{/* The ports of an ensemble's hosts, or those that are given, as JSON. */}}
{{- define "treecache-exporter.zookeeperPorts" -}}
{{- $ports := list }}
{{- range .Values.config.ensembles }}
{{- range splitList "," (splitList "/" .hosts | first) }}
{{- $ports = append $ports (regexFind ":[0-9]+$" (trim .) | trimPrefix ":" | default "2181" | int) }}
{{- end }}
{{- end }}
{{- .Values.networkPolicy.zookeeperPorts | default (uniq $ports) | toJson }}
{{- end }}

{{/* Whether the rules are rendered: "true" or nothing. */}}
{{- define "treecache-exporter.hasRules" -}}
{{- $wanted := toString .Values.prometheusRule.enabled -}}
{{- if or (eq $wanted "true") (and (eq $wanted "auto") (include "treecache-exporter.knowsRules" .)) }}true{{ end }}
{{- end }}

{{/* The packs of all trees in `config`, as JSON. */}}
{{- define "treecache-exporter.packsOfTrees" -}}
{{- $packs := list -}}
{{- range .Values.config.ensembles }}
{{- range .trees }}{{ $packs = concat $packs (.packs | default list) }}{{ end }}
{{- end }}
{{- toJson $packs }}
{{- end }}

{{/*
The rule files of the release, as JSON. The alerts of packs are for trees that no shards divide. A pack may also be named
by a variable of `extraEnv`, whose value is not known here.
*/}}
{{- define "treecache-exporter.ruleFiles" -}}
{{- $files := list -}}
{{- $packs := .Values.prometheusRule.packs | default list -}}
{{- if not .Values.sharding.enabled }}{{ $packs = concat $packs (include "treecache-exporter.packsOfTrees" . | fromJsonArray) }}{{ end -}}
{{- range $path, $_ := .Files.Glob "files/rules/*.yml" }}{{ $files = append $files $path }}{{ end -}}
{{- range $path, $_ := .Files.Glob "files/packs/*.yml" }}
{{- if has (base $path | trimSuffix ".yml") $packs }}{{ $files = append $files $path }}{{ end }}
{{- end }}
{{- toJson $files }}
{{- end }}

{{/*
Whether the cluster has PrometheusRule, not only other kinds of the operator: "true" or nothing. A cluster lists every
kind; without a cluster, `--api-versions` may name only the version.
*/}}
{{- define "treecache-exporter.knowsRules" -}}
{{- $version := "monitoring.coreos.com/v1" -}}
{{- $others := list -}}
{{- range list "Alertmanager" "PodMonitor" "Probe" "Prometheus" "ServiceMonitor" "ThanosRuler" -}}
{{- if $.Capabilities.APIVersions.Has (printf "%s/%s" $version .) }}{{ $others = append $others . }}{{ end -}}
{{- end -}}
{{- $known := .Capabilities.APIVersions -}}
{{- if or ($known.Has (printf "%s/PrometheusRule" $version)) (and ($known.Has $version) (empty $others)) }}true{{ end }}
{{- end }}

{{/* The suffix of a release's dashboards: nothing if they have the repository's own addresses. */}}
{{- define "treecache-exporter.dashboardMark" -}}
{{- if .Values.dashboards.perRelease -}}
-{{ printf "%s/%s" .Release.Namespace (include "treecache-exporter.fullname" .) | sha256sum | trunc 8 }}
{{- end }}
{{- end }}

{{/* A text with the addresses of dashboards replaced by those of the release. Arguments: root; text. */}}
{{- define "treecache-exporter.withDashboards" -}}
{{- regexReplaceAll "(/d/|\"uid\": \")(treecache-[a-z-]+)" .text (printf "${1}${2}%s" (include "treecache-exporter.dashboardMark" .root)) }}
{{- end }}
