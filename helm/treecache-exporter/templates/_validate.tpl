{{/* Refuses what the schema cannot: values that contradict each other, or have no effect. */}}
{{- define "treecache-exporter.validate" -}}
{{- include "treecache-exporter.validateConfig" . }}
{{- include "treecache-exporter.validateWeb" . }}
{{- include "treecache-exporter.validateProbe" . }}
{{- include "treecache-exporter.validateTelemetryPath" . }}
{{- include "treecache-exporter.validateExtraArgs" . }}
{{- include "treecache-exporter.validateLabels" . }}
{{- include "treecache-exporter.validateContainers" . }}
{{- include "treecache-exporter.validateNetwork" . }}
{{- include "treecache-exporter.validateService" . }}
{{- include "treecache-exporter.validateIngress" . }}
{{- include "treecache-exporter.validateMonitors" . }}
{{- include "treecache-exporter.validateRules" . }}
{{- if and (include "treecache-exporter.isCount" .Values.podDisruptionBudget.minAvailable) (include "treecache-exporter.isCount" .Values.podDisruptionBudget.maxUnavailable) }}
{{- fail "podDisruptionBudget.minAvailable: set together with maxUnavailable; accepted: one of the two" }}
{{- end }}
{{- end }}

{{/* The default `config` of values.yaml, to detect whether one was given; a test compares them. */}}
{{- define "treecache-exporter.defaultConfig" -}}
{{- dict "ensembles" (list (dict "name" "default" "hosts" "zookeeper:2181" "trees" (list (dict "path" "/")))) | toJson }}
{{- end }}

{{/* Whether a number or a percentage is given, also 0: "true" or nothing. */}}
{{- define "treecache-exporter.isCount" -}}
{{- if not (or (kindIs "invalid" .) (eq (toString .) "")) }}true{{ end }}
{{- end }}

{{- define "treecache-exporter.validateConfig" -}}
{{- if not .Values.existingConfigMap }}
{{- include "treecache-exporter.validateSecrets" . }}
{{- else if ne (toJson .Values.config) (include "treecache-exporter.defaultConfig" .) }}
{{- fail "existingConfigMap: set together with config; accepted: one of the two" }}
{{- end }}
{{- end }}

{{/* The scheme must match the web configuration. */}}
{{- define "treecache-exporter.validateWeb" -}}
{{- $tls := (.Values.web.config | default dict).tls_server_config | default dict -}}
{{- $serves := ternary "HTTP" "HTTPS" (empty $tls.cert_file) -}}
{{- if and .Values.web.config .Values.web.existingSecret }}
{{- fail "web.existingSecret: set together with web.config; accepted: one of the two" }}
{{- end }}
{{- if and .Values.web.existingSecret (not .Values.web.scheme) }}
{{- fail "web.scheme: empty with web.existingSecret; accepted: HTTP or HTTPS, as the Secret has it" }}
{{- end }}
{{- if and .Values.web.scheme (not .Values.web.existingSecret) (ne .Values.web.scheme $serves) }}
{{- fail (printf "web.scheme: %s contradicts web.config, by which the exporter serves %s; accepted: %s, or nothing" .Values.web.scheme $serves $serves) }}
{{- end }}
{{- end }}

{{- define "treecache-exporter.validateProbe" -}}
{{- $certificate := .Values.web.probeCertificate -}}
{{- if ne (empty $certificate.certFile) (empty $certificate.keyFile) }}
{{- fail "web.probeCertificate: only one of certFile and keyFile is set; accepted: both or neither" }}
{{- end }}
{{- if and $certificate.certFile (ne (include "treecache-exporter.probe" .) "exec") }}
{{- fail "web.probeCertificate: an HTTP probe presents no certificate; accepted: with web.probe=exec" }}
{{- end }}
{{- $tls := (.Values.web.config | default dict).tls_server_config | default dict -}}
{{- if eq .Values.web.probe "http" }}
{{- if eq (default "" $tls.client_auth_type) "RequireAndVerifyClientCert" }}
{{- fail "web.probe: http has no certificate, which web.config requires; accepted: exec" }}
{{- end }}
{{- if include "treecache-exporter.isLocal" . }}
{{- fail (printf "web.probe: http probes come from outside the pod, and web.listenHost is %s; accepted: exec" .Values.web.listenHost) }}
{{- end }}
{{- end }}
{{- if and (eq (include "treecache-exporter.probe" .) "exec") (contains "$(" (.Values.web.listenHost | default "")) }}
{{- fail (printf "web.listenHost: %s is not filled in for a probe that runs a command; accepted: a host, or web.probe=http" .Values.web.listenHost) }}
{{- end }}
{{- end }}

{{/* The exporter's own pages; its flag refuses them too. */}}
{{- define "treecache-exporter.validateTelemetryPath" -}}
{{- $path := .Values.web.telemetryPath -}}
{{- $taken := list "/browse" "/docs" "/-/events" "/-/page.css" "/-/page.js" "/-/healthy" "/-/ready" "/-/reload" "/probe" -}}
{{- if or (has $path $taken) (has "." (splitList "/" $path)) (has ".." (splitList "/" $path)) }}
{{- fail (printf "web.telemetryPath: %s is taken by another page, or cannot be served; accepted: a path such as /metrics" $path) }}
{{- end }}
{{- end }}

{{/* The exporter refuses a flag given twice, and one that contradicts the configuration file. */}}
{{- define "treecache-exporter.validateExtraArgs" -}}
{{- $value := dict
    "--config.file" "config"
    "--config.check" "config"
    "--config.auto-reload" "autoReload.enabled"
    "--config.auto-reload-interval" "autoReload.interval"
    "--zookeeper.hosts" "config"
    "--zookeeper.name" "config"
    "--zookeeper.servers" "config"
    "--treecache.path" "config"
    "--pack" "config"
    "--freshness.interval" "config"
    "--freshness.timeout" "config"
    "--freshness.barrier" "config"
    "--audit.interval" "config"
    "--audit.sample" "config"
    "--web.listen-address" "web.listenHost and web.port"
    "--web.systemd-socket" "web.port"
    "--web.external-url" "web.externalUrl"
    "--web.route-prefix" "web.routePrefix"
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
{{- with get $value (regexReplaceAll "^--no-" $flag "--") }}
{{- fail (printf "extraArgs: %s is set by the chart; accepted: %s instead" $flag .) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Services, monitors and policies select the pods by these labels. */}}
{{- define "treecache-exporter.validateLabels" -}}
{{- $values := dict "commonLabels" .Values.commonLabels "podLabels" .Values.podLabels "service.labels" .Values.service.labels -}}
{{- range $value, $labels := $values }}
{{- range list "app.kubernetes.io/name" "app.kubernetes.io/instance" "treecache-exporter/replica" }}
{{- if hasKey ($labels | default dict) . }}
{{- fail (printf "%s: %s is set by the chart, as it selects pods; accepted: other labels, or nameOverride and another release" $value .) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "treecache-exporter.validateContainers" -}}
{{- $names := list "exporter" -}}
{{- range $value, $containers := dict "initContainers" .Values.initContainers "extraContainers" .Values.extraContainers }}
{{- range $containers }}
{{- if has .name $names }}
{{- fail (printf "%s: the name %s is taken by another container; accepted: each name once" $value .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- end }}
{{- end }}
{{- end }}

{{- define "treecache-exporter.validateNetwork" -}}
{{- if .Values.hostNetwork }}
{{- if .Values.sharding.enabled }}
{{- fail "hostNetwork: true together with sharding.enabled would give pods the host name of their node, but the host name of a pod has its shard; accepted: one of the two" }}
{{- end }}
{{- if .Values.networkPolicy.enabled }}
{{- fail "hostNetwork: true together with networkPolicy.enabled, which does not apply to the node's network; accepted: one of the two" }}
{{- end }}
{{- end }}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.zookeeperPorts) }}
{{- if .Values.existingConfigMap }}
{{- fail "networkPolicy.zookeeperPorts: empty with existingConfigMap, whose hosts the chart does not see; accepted: a list of ports" }}
{{- end }}
{{- range $index, $ensemble := .Values.config.ensembles }}
{{- if contains "${" $ensemble.hosts }}
{{- fail (printf "networkPolicy.zookeeperPorts: empty while config.ensembles[%d].hosts has a variable, which the chart does not see; accepted: a list of ports" $index) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Kubernetes drops or refuses settings that do not fit the Service's type. */}}
{{- define "treecache-exporter.validateService" -}}
{{- $service := .Values.service -}}
{{- $needs := dict
    "nodePort" (list "NodePort" "LoadBalancer")
    "externalTrafficPolicy" (list "NodePort" "LoadBalancer")
    "loadBalancerClass" (list "LoadBalancer")
    "loadBalancerSourceRanges" (list "LoadBalancer") -}}
{{- range $key, $types := $needs }}
{{- if and (get $service $key) (not (has $service.type $types)) }}
{{- fail (printf "service.%s: given with the type %s; accepted: with %s" $key $service.type (join " or " $types)) }}
{{- end }}
{{- end }}
{{- if and (eq $service.clusterIP "None") (ne $service.type "ClusterIP") }}
{{- fail (printf "service.clusterIP: None with the type %s; accepted: with ClusterIP" $service.type) }}
{{- end }}
{{- if and .Values.sharding.enabled (or (ne $service.type "ClusterIP") (not (has ($service.clusterIP | default "None") (list "None")))) }}
{{- fail "service.type: the Service of shards is headless; accepted: ClusterIP, without clusterIP" }}
{{- end }}
{{- if and (gt (len ($service.ipFamilies | default list)) 1) (not (has $service.ipFamilyPolicy (list "PreferDualStack" "RequireDualStack"))) }}
{{- fail "service.ipFamilies: two without service.ipFamilyPolicy; accepted: with PreferDualStack or RequireDualStack" }}
{{- end }}
{{- include "treecache-exporter.validatePort" (dict "root" . "value" "service.targetPort" "port" $service.targetPort) }}
{{- end }}

{{/* A port of the pods must exist and be reachable from outside. Arguments: root; value, its name; port. */}}
{{- define "treecache-exporter.validatePort" -}}
{{- if include "treecache-exporter.isOwnPort" . }}
{{- if include "treecache-exporter.isLocal" .root }}
{{- fail (printf "%s: %v is the exporter's own port, which web.listenHost keeps inside the pod; accepted: a port of extraContainers" .value .port) }}
{{- end }}
{{- else if kindIs "string" .port }}
{{- $names := list "metrics" }}
{{- range concat (.root.Values.initContainers | default list) (.root.Values.extraContainers | default list) }}
{{- range .ports }}{{ $names = append $names .name }}{{ end }}
{{- end }}
{{- if not (has .port $names) }}
{{- fail (printf "%s: no container has a port named %s; accepted: %s" .value .port (compact $names | join ", ")) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "treecache-exporter.validateIngress" -}}
{{- if .Values.ingress.enabled }}
{{- if .Values.sharding.enabled }}
{{- fail "ingress.enabled: true together with sharding.enabled would show a different shard on each request; accepted: one of the two" }}
{{- end }}
{{- if not (or .Values.ingress.hosts .Values.web.externalUrl) }}
{{- fail "ingress.hosts: empty without web.externalUrl; accepted: a list of {host, paths}, or the URL" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "treecache-exporter.validateMonitors" -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled }}
{{- fail "podMonitor.enabled: true together with serviceMonitor.enabled would scrape every pod twice; accepted: one of the two" }}
{{- end }}
{{- if .Values.serviceMonitor.enabled }}
{{- include "treecache-exporter.validateMonitor" (dict "root" . "name" "serviceMonitor" "monitor" .Values.serviceMonitor "port" .Values.service.targetPort) }}
{{- end }}
{{- if .Values.podMonitor.enabled }}
{{- include "treecache-exporter.validatePort" (dict "root" . "value" "podMonitor.port" "port" .Values.podMonitor.port) }}
{{- include "treecache-exporter.validateMonitor" (dict "root" . "name" "podMonitor" "monitor" .Values.podMonitor "port" .Values.podMonitor.port) }}
{{- end }}
{{- end }}

{{/* The exporter must accept the scrape. Arguments: root; name of the value; monitor; port that it scrapes. */}}
{{- define "treecache-exporter.validateMonitor" -}}
{{- $monitor := .monitor -}}
{{- $scheme := include "treecache-exporter.monitorScheme" . -}}
{{- if and (eq $scheme "https") (not (or $monitor.tlsConfig $monitor.scrapeClass)) }}
{{- fail (printf "%s.tlsConfig: empty, and the scrape is over HTTPS; accepted: how to verify the exporter, such as {ca: {secret: {name, key}}, serverName: NAME} or {insecureSkipVerify: true}, or a scrapeClass that says it" .name) }}
{{- end }}
{{- if and (eq $scheme "http") $monitor.tlsConfig }}
{{- fail (printf "%s.tlsConfig: given, and the scrape is over HTTP; accepted: with web.config.tls_server_config, or with scheme=https" .name) }}
{{- end }}
{{- if and $monitor.basicAuth (not (and $monitor.basicAuth.username $monitor.basicAuth.password)) }}
{{- fail (printf "%s.basicAuth: only one of username and password is set; accepted: both" .name) }}
{{- end }}
{{- $ways := list }}
{{- range list "basicAuth" "authorization" "oauth2" }}{{ if get $monitor . }}{{ $ways = append $ways . }}{{ end }}{{ end }}
{{- if gt (len $ways) 1 }}
{{- fail (printf "%s: has %s, and Prometheus Operator takes one of them; accepted: one" .name (join " and " $ways)) }}
{{- end }}
{{- if include "treecache-exporter.isOwnPort" . }}
{{- include "treecache-exporter.validateDirectMonitor" (merge (dict "scheme" $scheme) .) }}
{{- end }}
{{- end }}

{{/* For a monitor that scrapes the exporter directly. Arguments as above; scheme. */}}
{{- define "treecache-exporter.validateDirectMonitor" -}}
{{- $web := .root.Values.web -}}
{{- $config := $web.config | default dict -}}
{{- $tls := $config.tls_server_config | default dict -}}
{{- $shown := .monitor.tlsConfig | default dict -}}
{{- if and (eq .scheme "http") (eq (include "treecache-exporter.scheme" .root) "HTTPS") }}
{{- fail (printf "%s.scheme: http, and the exporter serves HTTPS; accepted: https, or nothing" .name) }}
{{- end }}
{{- $hasCertificate := or $shown.cert $shown.certFile .monitor.scrapeClass -}}
{{- if and (eq (default "" $tls.client_auth_type) "RequireAndVerifyClientCert") (not $hasCertificate) }}
{{- fail (printf "%s.tlsConfig: has no certificate, which web.config requires; accepted: cert and keySecret, or certFile and keyFile" .name) }}
{{- end }}
{{- if and $config.basic_auth_users (not .monitor.basicAuth) }}
{{- fail (printf "%s.basicAuth: empty, and web.config.basic_auth_users requires a password; accepted: {username: {name, key}, password: {name, key}}, keys of a Secret" .name) }}
{{- end }}
{{- if and .monitor.basicAuth (not (or $config.basic_auth_users $web.existingSecret)) }}
{{- fail (printf "%s.basicAuth: given, and the exporter has no users; accepted: with web.config.basic_auth_users or web.existingSecret" .name) }}
{{- end }}
{{- end }}

{{- define "treecache-exporter.validateRules" -}}
{{- if include "treecache-exporter.hasRules" . }}
{{- $known := list }}
{{- range include "treecache-exporter.ruleFiles" . | fromJsonArray }}
{{- range ($.Files.Get . | fromYaml).groups }}
{{- range .rules }}{{ $known = append $known .alert }}{{ end }}
{{- end }}
{{- end }}
{{- $known = compact $known | uniq | sortAlpha }}
{{- range .Values.prometheusRule.disabledAlerts }}
{{- if not (has . $known) }}
{{- fail (printf "prometheusRule.disabledAlerts: unknown alert %s; accepted: %s" . (join ", " $known)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* A ConfigMap must not contain secrets. */}}
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
{{- fail (printf "config.ensembles[%d].%s: would be readable in a ConfigMap; accepted: ${NAME} of extraEnv or extraEnvFrom, or %s in existingSecrets" $index $key $file) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
