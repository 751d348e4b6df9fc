{{/* The template of the pods. Arguments: root; labels, those that select them. */}}
{{- define "treecache-exporter.podTemplate" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- merge (deepCopy .labels) (include "treecache-exporter.labels" $root | fromYaml) $root.Values.podLabels | toYaml | nindent 4 }}
  annotations:
    {{- if not $root.Values.existingConfigMap }}
    checksum/config: {{ toYaml $root.Values.config | sha256sum | quote }}
    {{- end }}
    {{- with $root.Values.web.config }}
    checksum/web-config: {{ toYaml . | sha256sum | quote }}
    {{- end }}
    kubectl.kubernetes.io/default-container: exporter
    {{- with $root.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "treecache-exporter.serviceAccountName" $root | quote }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml $root.Values.podSecurityContext | nindent 4 }}
  terminationGracePeriodSeconds: {{ $root.Values.terminationGracePeriodSeconds }}
  containers:
    - {{ include "treecache-exporter.container" $root | nindent 6 | trim }}
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
  {{- with $root.Values.priorityClassName }}
  priorityClassName: {{ . | quote }}
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

{{- define "treecache-exporter.container" -}}
name: exporter
image: {{ include "treecache-exporter.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args:
  - --config.file=/etc/treecache-exporter/config/config.yml
  - --web.listen-address=:{{ .Values.web.port }}
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
