"""The chart refuses values that contradict each other or would have no effect, with one line that says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.chart import CHART, RELEASE, helm

_TLS = {"tls_server_config": {"cert_file": "a", "key_file": "b"}}
_MUTUAL = {"tls_server_config": {**_TLS["tls_server_config"], "client_auth_type": "RequireAndVerifyClientCert"}}
_USERS = {"basic_auth_users": {"a": "$2b$10$"}}
_LOGIN = {"username": {"name": "a", "key": "b"}, "password": {"name": "a", "key": "c"}}
_VERIFIED = {"insecureSkipVerify": True}


def _monitored(**monitor: Any) -> dict[str, Any]:
    return {"serviceMonitor": {"enabled": True, **monitor}}


def _contradictions() -> list[tuple[dict[str, Any], str]]:
    """Values, and the beginning of the line about them."""
    ensemble = {"name": "a", "hosts": "${HOSTS}", "trees": [{"path": "/"}]}
    policy = {"networkPolicy": {"enabled": True}}
    return [
        (
            {"existingConfigMap": "a", "config": {"ensembles": [ensemble]}},
            "existingConfigMap: set together with config",
        ),
        ({"web": {"existingSecret": "a"}}, "web.scheme: empty with web.existingSecret; accepted: HTTP or HTTPS"),
        ({"web": {"scheme": "HTTPS"}}, "web.scheme: HTTPS contradicts web.config, by which the exporter serves HTTP"),
        ({"web": {"scheme": "HTTP", "config": _TLS}}, "web.scheme: HTTP contradicts web.config, by which the exporter"),
        (
            {"web": {"probe": "http", "config": _MUTUAL}},
            "web.probe: http has no certificate, which web.config requires",
        ),
        ({"web": {"probe": "http", "listenHost": "::1"}}, "web.probe: http probes come from outside the pod, and"),
        ({"web": {"probe": "exec", "listenHost": "$(A)"}}, "web.listenHost: $(A) is not filled in for a probe that"),
        ({"web": {"listenHost": "127.0.0.1"}}, "service.targetPort: metrics is the exporter's own port, which"),
        ({"service": {"targetPort": "proxy"}}, "service.targetPort: no container has a port named proxy"),
        ({"podMonitor": {"enabled": True, "port": "proxy"}}, "podMonitor.port: no container has a port named proxy"),
        ({"commonLabels": {"app.kubernetes.io/name": "a"}}, "commonLabels: app.kubernetes.io/name is set by the chart"),
        (
            {"podLabels": {"treecache-exporter/replica": "a"}},
            "podLabels: treecache-exporter/replica is set by the chart",
        ),
        ({"service": {"labels": {"app.kubernetes.io/instance": "a"}}}, "service.labels: app.kubernetes.io/instance is"),
        ({"extraContainers": [{"name": "exporter"}]}, "extraContainers: the name exporter is taken by another"),
        ({"initContainers": [{"name": "a"}, {"name": "a"}]}, "initContainers: the name a is taken by another"),
        (
            {"hostNetwork": True, "sharding": {"enabled": True}},
            "hostNetwork: true together with sharding.enabled would give",
        ),
        (
            {"hostNetwork": True, **policy},
            "hostNetwork: true together with networkPolicy.enabled, which does not apply",
        ),
        ({"existingConfigMap": "a", **policy}, "networkPolicy.zookeeperPorts: empty with existingConfigMap, whose"),
        (
            {"config": {"ensembles": [ensemble]}, **policy},
            "networkPolicy.zookeeperPorts: empty while config.ensembles[0].hosts has a variable",
        ),
        ({"service": {"nodePort": 30000}}, "service.nodePort: given with the type ClusterIP; accepted: with NodePort"),
        ({"service": {"externalTrafficPolicy": "Local"}}, "service.externalTrafficPolicy: given with the type Cluster"),
        (
            {"service": {"type": "NodePort", "loadBalancerClass": "a"}},
            "service.loadBalancerClass: given with the type NodePort; accepted: with LoadBalancer",
        ),
        ({"service": {"loadBalancerSourceRanges": ["::/0"]}}, "service.loadBalancerSourceRanges: given with the type"),
        ({"service": {"type": "NodePort", "clusterIP": "None"}}, "service.clusterIP: None with the type NodePort"),
        ({"service": {"type": "NodePort"}, "sharding": {"enabled": True}}, "service.type: the Service of shards is"),
        ({"service": {"clusterIP": "10.0.0.1"}, "sharding": {"enabled": True}}, "service.type: the Service of shards"),
        ({"service": {"ipFamilies": ["IPv4", "IPv6"]}}, "service.ipFamilies: two without service.ipFamilyPolicy"),
        ({"ingress": {"enabled": True}}, "ingress.hosts: empty without web.externalUrl; accepted: a list of"),
        (
            {"ingress": {"enabled": True, "hosts": [{"host": "a"}]}, "sharding": {"enabled": True}},
            "ingress.enabled: true together with sharding.enabled would show a different shard on each request",
        ),
        ({"web": {"config": _TLS}, **_monitored()}, "serviceMonitor.tlsConfig: empty, and the scrape is over HTTPS"),
        (_monitored(scheme="https"), "serviceMonitor.tlsConfig: empty, and the scrape is over HTTPS"),
        (_monitored(tlsConfig=_VERIFIED), "serviceMonitor.tlsConfig: given, and the scrape is over HTTP"),
        (
            {"web": {"config": _MUTUAL}, **_monitored(tlsConfig=_VERIFIED)},
            "serviceMonitor.tlsConfig: has no certificate, which web.config requires",
        ),
        (
            {"web": {"config": _TLS}, **_monitored(scheme="http")},
            "serviceMonitor.scheme: http, and the exporter serves",
        ),
        (
            {"web": {"config": _USERS}, **_monitored()},
            "serviceMonitor.basicAuth: empty, and web.config.basic_auth_users",
        ),
        (
            {"web": {"config": _USERS}, "podMonitor": {"enabled": True}},
            "podMonitor.basicAuth: empty, and web.config.basic_auth_users",
        ),
        (_monitored(basicAuth=_LOGIN), "serviceMonitor.basicAuth: given, and the exporter has no users"),
        (
            {"web": {"config": _USERS}, **_monitored(basicAuth={"username": _LOGIN["username"]})},
            "serviceMonitor.basicAuth: only one of username and password is set; accepted: both",
        ),
        (
            _monitored(basicAuth=_LOGIN, authorization={"credentials": {"name": "a", "key": "b"}}),
            "serviceMonitor: has basicAuth and authorization, and Prometheus Operator takes one of them",
        ),
        (
            {"prometheusRule": {"enabled": True, "disabledAlerts": ["TreeCacheLagg"]}},
            "prometheusRule.disabledAlerts: unknown alert TreeCacheLagg; accepted: TreeCache",
        ),
        (
            {"prometheusRule": {"enabled": True, "packs": ["solr"], "disabledAlerts": ["KafkaBrokersMissing"]}},
            "prometheusRule.disabledAlerts: unknown alert KafkaBrokersMissing; accepted: Solr",
        ),
        (
            {"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}},
            "podDisruptionBudget.minAvailable: set together with maxUnavailable; accepted: one of the two",
        ),
        ({"extraArgs": ["--no-web.expose-data"]}, "extraArgs: --no-web.expose-data is set by the chart"),
        ({"extraArgs": ["--web.route-prefix=/a"]}, "extraArgs: --web.route-prefix is set by the chart"),
        # The schema refuses this.
        ({"prometheusRule": {"enabled": "yes"}}, "prometheusRule.enabled must be one of"),
        ({"hostAliases": [{"ip": "192.0.2.1"}]}, "hostAliases.0: hostnames is required"),
        ({"dnsPolicy": "Cluster"}, "dnsPolicy must be one of"),
        ({"web": {"externalUrl": "monitor.example"}}, "web.externalUrl: Does not match pattern"),
        ({"web": {"externalUrl": "https://a:b@monitor.example"}}, "web.externalUrl: Does not match pattern"),
        ({"web": {"routePrefix": "zookeeper"}}, "web.routePrefix: Does not match pattern"),
        ({"web": {"listenHost": "a b"}}, "web.listenHost: Does not match pattern"),
        ({"service": {"ipFamilies": ["IPv5"]}}, "service.ipFamilies.0 must be one of"),
        (_monitored(sampleLimit="many"), "serviceMonitor.sampleLimit: Invalid type"),
        (_monitored(scrapeProtocols=["OpenMetrics"]), "serviceMonitor.scrapeProtocols.0 must be one of"),
        ({"global": {"imagePullSecrets": [{"named": "a"}]}}, "global.imagePullSecrets.0"),
    ]


@pytest.mark.parametrize(
    ("values", "said"), _contradictions(), ids=lambda given: given if isinstance(given, str) else ""
)
def test_contradictions_are_refused_by_name(values: dict[str, Any], said: str, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(values))
    refused = helm("template", RELEASE, CHART, "--values", file)
    assert refused.returncode != 0
    assert said in refused.stderr, refused.stderr


@pytest.mark.parametrize(
    "values",
    [
        # The scrape class has the settings, which the operator knows.
        {"web": {"config": _TLS}, **_monitored(scrapeClass="tls")},
        {"web": {"existingSecret": "a", "scheme": "HTTP"}, **_monitored(basicAuth=_LOGIN)},
        # A mesh that speaks TLS for the exporter.
        _monitored(scheme="https", tlsConfig=_VERIFIED),
        {"global": {"imageRegistry": None, "imagePullSecrets": None}},
        {"existingConfigMap": "a", "networkPolicy": {"enabled": True, "zookeeperPorts": [2181]}},
        {"podDisruptionBudget": {"enabled": True, "maxUnavailable": 0}},
        {"prometheusRule": {"enabled": False, "disabledAlerts": ["Unknown"]}},
        {"web": {"listenHost": "$(POD_ADDRESS)"}},
        {"web": {"externalUrl": "/zookeeper/"}, "ingress": {"enabled": True}},
    ],
    ids=json.dumps,
)
def test_what_is_no_contradiction_is_taken(values: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(values))
    rendered = helm("template", RELEASE, CHART, "--values", file)
    assert rendered.returncode == 0, rendered.stderr
