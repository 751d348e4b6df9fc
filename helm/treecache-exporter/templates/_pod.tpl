{{/* The template of the pods. Arguments: root; labels that select them. */}}
{{- define "treecache-exporter.podTemplate" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- merge (deepCopy .labels) ($root.Values.podLabels | default dict) (include "treecache-exporter.labels" $root | fromYaml) | toYaml | nindent 4 }}
  annotations:
    {{- include "treecache-exporter.podAnnotations" $root | nindent 4 }}
spec:
  serviceAccountName: {{ include "treecache-exporter.serviceAccountName" $root | quote }}
  automountServiceAccountToken: {{ $root.Values.serviceAccount.automountServiceAccountToken }}
  enableServiceLinks: false
  {{- with include "treecache-exporter.imagePullSecrets" $root }}
  imagePullSecrets:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with include "treecache-exporter.podNetwork" $root | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  securityContext:
    {{- toYaml $root.Values.podSecurityContext | nindent 4 }}
  terminationGracePeriodSeconds: {{ $root.Values.terminationGracePeriodSeconds }}
  {{- with $root.Values.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - {{ include "treecache-exporter.container" $root | nindent 6 | trim }}
    {{- with $root.Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ $root.Values.existingConfigMap | default (include "treecache-exporter.fullname" $root) | quote }}
    {{- if include "treecache-exporter.hasWebConfig" $root }}
    - name: web-config
      secret:
        secretName: {{ $root.Values.web.existingSecret | default (printf "%s-web" (include "treecache-exporter.fullname" $root)) | quote }}
        defaultMode: 0440
    {{- end }}
    {{- range $index, $secret := $root.Values.existingSecrets }}
    - name: secret-{{ $index }}
      secret:
        secretName: {{ $secret.name | quote }}
        defaultMode: 0440
    {{- end }}
    {{- with $root.Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- range $key := list "priorityClassName" "runtimeClassName" "schedulerName" }}
  {{- with get $root.Values $key }}
  {{ $key }}: {{ . | quote }}
  {{- end }}
  {{- end }}
  {{- with $root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $root.Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- $own := dict "labelSelector" (dict "matchLabels" .labels) }}
    {{- range $root.Values.topologySpreadConstraints }}
    - {{ merge (deepCopy .) $own | toYaml | nindent 6 | trim }}
    {{- end }}
  {{- end }}
{{- end }}

{{/* What is given wins; a changed configuration file makes new pods, unless the exporter looks for changes itself. */}}
{{- define "treecache-exporter.podAnnotations" -}}
{{- $own := dict "kubectl.kubernetes.io/default-container" "exporter" }}
{{- if not (or .Values.existingConfigMap .Values.autoReload.enabled) }}
{{- $_ := set $own "checksum/config" (toYaml .Values.config | sha256sum) }}
{{- end }}
{{- with .Values.web.config }}
{{- $_ := set $own "checksum/web-config" (toYaml . | sha256sum) }}
{{- end }}
{{- merge (.Values.podAnnotations | default dict | deepCopy) $own | toYaml }}
{{- end }}

{{/* On the node's network, only this policy resolves the names of the cluster's Services. */}}
{{- define "treecache-exporter.podNetwork" -}}
{{- if .Values.hostNetwork }}
hostNetwork: true
{{- end }}
{{- with .Values.dnsPolicy | default (ternary "ClusterFirstWithHostNet" "" .Values.hostNetwork) }}
dnsPolicy: {{ . | quote }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "treecache-exporter.container" -}}
name: exporter
image: {{ include "treecache-exporter.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args:
  - --config.file=/etc/treecache-exporter/config/config.yml
  {{- if .Values.autoReload.enabled }}
  - --config.auto-reload
  {{- with .Values.autoReload.interval }}
  - --config.auto-reload-interval={{ . }}
  {{- end }}
  {{- end }}
  {{- include "treecache-exporter.addressFlags" . | nindent 2 }}
  - --web.telemetry-path={{ .Values.web.telemetryPath }}
  {{- if include "treecache-exporter.hasWebConfig" . }}
  - --web.config.file=/etc/treecache-exporter/web/web-config.yml
  {{- end }}
  {{- if .Values.web.enableLifecycle }}
  - --web.enable-lifecycle
  {{- end }}
  {{- if .Values.web.exposeData }}
  - --web.expose-data
  {{- end }}
  - --log.level={{ .Values.log.level }}
  - --log.format={{ .Values.log.format }}
  {{- if .Values.sharding.enabled }}
  - --shard.total={{ .Values.sharding.shards }}
  - --shard.from-hostname
  {{- end }}
  {{- with .Values.extraArgs }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.extraEnv }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - name: metrics
    containerPort: {{ .Values.web.port }}
    protocol: TCP
{{- with .Values.startupProbe }}
startupProbe:
  {{- include "treecache-exporter.probeHandler" (dict "root" $ "path" "/-/healthy") | nindent 2 }}
  {{- toYaml . | nindent 2 }}
{{- end }}
livenessProbe:
  {{- include "treecache-exporter.probeHandler" (dict "root" . "path" "/-/healthy") | nindent 2 }}
  {{- with .Values.livenessProbe }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
readinessProbe:
  {{- include "treecache-exporter.probeHandler" (dict "root" . "path" "/-/ready" "flag" "--ready") | nindent 2 }}
  {{- with .Values.readinessProbe }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.lifecycle }}
lifecycle:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
volumeMounts:
  - name: config
    mountPath: /etc/treecache-exporter/config
    readOnly: true
  {{- if include "treecache-exporter.hasWebConfig" . }}
  - name: web-config
    mountPath: /etc/treecache-exporter/web
    readOnly: true
  {{- end }}
  {{- range $index, $secret := .Values.existingSecrets }}
  - name: secret-{{ $index }}
    mountPath: /etc/treecache-exporter/secrets/{{ $secret.name }}
    readOnly: true
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
