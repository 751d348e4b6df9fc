"""Every value of the chart has an effect: changing it changes the manifests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ruamel.yaml import YAML

from scripts import chart as generator
from tests.packaging.chart import CHART, NAMESPACE, RELEASE, case, helm


class Change(NamedTuple):
    """A value that differs from everything-values.yaml, and by path other values that it needs to have an effect."""

    value: Any
    given: Mapping[str, Any] = {}


_CONFIG = {"ensembles": [{"name": "other", "hosts": "other:2191", "trees": [{"path": "/"}]}]}
_DEFAULT_CONFIG = {"ensembles": [{"name": "default", "hosts": "zookeeper:2181", "trees": [{"path": "/"}]}]}
_OTHER = [{"name": "other"}]
_CONTAINERS = [{"name": "beside", "image": "other", "ports": [{"name": "beside", "containerPort": 1}]}]
_LOCAL = {"service.type": "ClusterIP", "service.nodePort": "", "service.externalTrafficPolicy": ""}
_CLUSTER_IP = {**_LOCAL, "service.loadBalancerClass": "", "service.loadBalancerSourceRanges": []}
_SHARDED = {"ingress.enabled": False, "updateStrategy": {}, "service.clusterIP": "", **_CLUSTER_IP}
#: The web configuration is empty, and no client certificate is presented.
_BARE = {
    "web.config": {},
    "web.scheme": "",
    "web.probe": "",
    "web.probeCertificate": {},
    "serviceMonitor.enabled": False,
}
_BESIDE = {"service.targetPort": "beside"}

_MONITOR = {
    "enabled": Change(False),
    "namespace": Change("other"),
    "labels": Change({"release": "other"}),
    "annotations": Change({"note": "other"}),
    "jobLabel": Change("other"),
    "interval": Change("16s"),
    "scrapeTimeout": Change("11s"),
    "scheme": Change("http", {"{monitor}.tlsConfig": {}, **_BESIDE, "podMonitor.port": "beside"}),
    "tlsConfig": Change({"certFile": "other", "keyFile": "other"}),
    "basicAuth": Change({"username": {"name": "a", "key": "b"}, "password": {"name": "c", "key": "d"}}),
    "authorization": Change(
        {"credentials": {"name": "a", "key": "b"}},
        {"{monitor}.basicAuth": {}, **_BESIDE, "podMonitor.port": "beside"},
    ),
    "oauth2": Change({"scopes": ["other"]}, {"{monitor}.basicAuth": {}, **_BESIDE, "podMonitor.port": "beside"}),
    "proxyUrl": Change("http://other.example"),
    "enableHttp2": Change(False),
    "followRedirects": Change(True),
    "params": Change({"from": ["other"]}),
    "honorLabels": Change(False),
    "honorTimestamps": Change(True),
    "scrapeClass": Change("other"),
    "scrapeProtocols": Change(["PrometheusProto"]),
    "fallbackScrapeProtocol": Change("PrometheusText1.0.0"),
    "sampleLimit": Change(1_000_001),
    "targetLimit": Change(11),
    "labelLimit": Change(65),
    "labelNameLengthLimit": Change(129),
    "labelValueLengthLimit": Change(1025),
    "bodySizeLimit": Change("11MB"),
    "keepDroppedTargets": Change(6),
    "attachMetadata": Change({"node": False}),
    "podTargetLabels": Change(["other"]),
    "relabelings": Change([]),
    "metricRelabelings": Change([]),
}

CHANGES: dict[str, Change] = {
    "global.imageRegistry": Change("other.example"),
    "global.imagePullSecrets": Change(["other"]),
    "nameOverride": Change("other"),
    "fullnameOverride": Change("other"),
    "commonLabels": Change({"team": "other"}),
    "image.registry": Change("other.example", {"global.imageRegistry": ""}),
    "image.repository": Change("other"),
    "image.tag": Change("other"),
    "image.digest": Change(f"sha256:{'1' * 64}"),
    "image.pullPolicy": Change("Never"),
    "imagePullSecrets": Change(_OTHER),
    "config": Change(_CONFIG),
    "existingConfigMap": Change("other", {"config": _DEFAULT_CONFIG, "networkPolicy.zookeeperPorts": [2181]}),
    "existingSecrets": Change(_OTHER),
    "autoReload.enabled": Change(False),
    "autoReload.interval": Change("2m"),
    "replicas": Change(3),
    "sharding.enabled": Change(True, _SHARDED),
    "sharding.shards": Change(5, {"sharding.enabled": True, **_SHARDED}),
    "web.listenHost": Change("::"),
    "web.port": Change(9444),
    "web.externalUrl": Change("https://other.example/"),
    "web.routePrefix": Change("/other"),
    "web.telemetryPath": Change("/other"),
    "web.config": Change({"http_server_config": {"http2": False}}, _BARE),
    "web.existingSecret": Change("other", {**_BARE, "web.existingSecret": "one", "web.scheme": "HTTP"}),
    "web.scheme": Change("HTTP", {**_BARE, "web.existingSecret": "one", "web.scheme": "HTTPS"}),
    "web.probe": Change("http", {**_BARE, "web.probe": "exec"}),
    "web.probeCertificate.certFile": Change("/other"),
    "web.probeCertificate.keyFile": Change("/other"),
    "web.enableLifecycle": Change(False),
    "web.exposeData": Change(False),
    "log.level": Change("error"),
    "log.format": Change("json"),
    "extraArgs": Change([]),
    "extraEnv": Change(_OTHER),
    "extraEnvFrom": Change([]),
    "extraVolumes": Change([]),
    "extraVolumeMounts": Change([]),
    "initContainers": Change([]),
    "extraContainers": Change(_CONTAINERS),
    "extraManifests": Change([]),
    "service.type": Change("NodePort", {"service.loadBalancerClass": "", "service.loadBalancerSourceRanges": []}),
    "service.clusterIP": Change("None", _CLUSTER_IP),
    "service.port": Change(444),
    "service.targetPort": Change("beside"),
    "service.nodePort": Change(30444),
    "service.ipFamilyPolicy": Change("RequireDualStack"),
    "service.ipFamilies": Change(["IPv6"]),
    "service.externalTrafficPolicy": Change("Cluster"),
    "service.internalTrafficPolicy": Change("Cluster"),
    "service.loadBalancerClass": Change("example.com/other"),
    "service.loadBalancerSourceRanges": Change([]),
    "service.annotations": Change({"note": "other"}),
    "service.labels": Change({"shown-in": "other"}),
    "serviceMonitor.targetLabels": Change(["other"]),
    "podMonitor.port": Change("beside", {"extraContainers": _CONTAINERS}),
    "prometheusRule.enabled": Change(False),
    "prometheusRule.namespace": Change("other"),
    "prometheusRule.labels": Change({"release": "other"}),
    "prometheusRule.annotations": Change({"note": "other"}),
    "prometheusRule.runbookUrl": Change("https://other.example"),
    "prometheusRule.packs": Change(["solr"]),
    "prometheusRule.disabledAlerts": Change([]),
    "prometheusRule.alertLabels": Change({"team": "other"}),
    "dashboards.enabled": Change(False),
    "dashboards.perRelease": Change(False),
    "dashboards.namespace": Change("other"),
    "dashboards.label": Change("other"),
    "dashboards.labelValue": Change("other"),
    "dashboards.labels": Change({"team": "other"}),
    "dashboards.annotations": Change({"grafana_folder": "other"}),
    "networkPolicy.enabled": Change(False),
    "networkPolicy.from": Change([]),
    "networkPolicy.dnsPorts": Change([54]),
    "networkPolicy.dnsPeers": Change([]),
    "networkPolicy.zookeeperPorts": Change([2190]),
    "networkPolicy.zookeeperPeers": Change([]),
    "networkPolicy.extraEgress": Change([]),
    "ingress.enabled": Change(False),
    "ingress.className": Change("other"),
    "ingress.annotations": Change({"note": "other"}),
    "ingress.labels": Change({"shown-in": "other"}),
    "ingress.hosts": Change([]),
    "ingress.tls": Change([]),
    "podDisruptionBudget.enabled": Change(False),
    "podDisruptionBudget.minAvailable": Change("50%", {"podDisruptionBudget.maxUnavailable": ""}),
    "podDisruptionBudget.maxUnavailable": Change(0),
    "serviceAccount.create": Change(False),
    "serviceAccount.name": Change("other"),
    "serviceAccount.annotations": Change({"note": "other"}),
    "serviceAccount.automountServiceAccountToken": Change(True),
    "annotations": Change({"note": "other"}),
    "podAnnotations": Change({}),
    "podLabels": Change({"tier": "other"}),
    "updateStrategy": Change({"type": "Recreate"}),
    "revisionHistoryLimit": Change(0),
    "podSecurityContext": Change({"supplementalGroups": [2]}),
    "securityContext": Change({"runAsUser": 2}),
    "resources": Change({"limits": {"memory": "1Gi"}}),
    "livenessProbe": Change({"periodSeconds": 21}),
    "readinessProbe": Change({"periodSeconds": 21}),
    "startupProbe": Change({"failureThreshold": 31}),
    "lifecycle": Change({"postStart": {"exec": {"command": ["true"]}}}),
    "terminationGracePeriodSeconds": Change(0),
    "priorityClassName": Change("other"),
    "runtimeClassName": Change("other"),
    "schedulerName": Change("another"),
    "hostNetwork": Change(True, {"networkPolicy.enabled": False}),
    "hostAliases": Change([]),
    "dnsPolicy": Change("Default"),
    "dnsConfig": Change({"searches": ["other"]}),
    "nodeSelector": Change({"kubernetes.io/os": "other"}),
    "tolerations": Change([]),
    "affinity": Change({"podAffinity": {}}),
    "topologySpreadConstraints": Change([]),
    **{f"serviceMonitor.{key}": change for key, change in _MONITOR.items()},
    **{f"podMonitor.{key}": change for key, change in _MONITOR.items()},
}


def test_every_value_is_tried() -> None:
    assert set(CHANGES) == {value.path for value in generator.values()}


@pytest.mark.parametrize("path", CHANGES)
def test_another_value_makes_other_manifests(path: str, tmp_path: Path) -> None:
    change = CHANGES[path]
    values = _everything()
    for large in ("dashboards", "prometheusRule"):
        values[large]["enabled"] = path.startswith(large)
    if path.startswith("podMonitor."):
        monitor = values.pop("serviceMonitor")
        del monitor["targetLabels"]
        values["podMonitor"] = monitor
    for name, value in change.given.items():
        _set(values, name.format(monitor=path.partition(".")[0]), value)
    before = _rendered(json.dumps(values), tmp_path)
    _set(values, path, change.value)
    assert _rendered(json.dumps(values), tmp_path) != before


def _everything() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(_everything_in_json())
    return values


@cache
def _everything_in_json() -> str:
    return json.dumps(YAML(typ="safe").load(case("everything")))


def _set(values: dict[str, Any], path: str, value: Any) -> None:
    *sections, key = path.split(".")
    for section in sections:
        values = values.setdefault(section, {})
    values[key] = value


_rendered_before: dict[str, str] = {}


def _rendered(values: str, folder: Path) -> str:
    if values not in _rendered_before:
        file = folder / "values.json"
        file.write_text(values)
        done = helm("template", RELEASE, CHART, "--namespace", NAMESPACE, "--values", file)
        assert done.returncode == 0, done.stderr
        _rendered_before[values] = done.stdout
    return _rendered_before[values]


#: Values that most templates render something for.
_ENABLED = {
    section: {"enabled": True}
    for section in ("serviceMonitor", "prometheusRule", "dashboards", "networkPolicy", "podDisruptionBudget")
}


def test_null_is_as_if_not_given_or_refused_by_name(tmp_path: Path) -> None:
    required = _required(json.loads((CHART / "values.schema.json").read_text()))
    optional = [value for value in generator.values() if value.path not in required and not value.default]
    assert {"serviceAccount.name", "nodeSelector", "web.config"} <= {value.path for value in optional}
    nothing: dict[str, Any] = json.loads(json.dumps(_ENABLED))
    for value in optional:
        _set(nothing, value.path, None)
    assert _rendered(json.dumps(nothing), tmp_path) == _rendered(json.dumps(_ENABLED), tmp_path)
    sections = {path for path in required if any(other.startswith(f"{path}.") for other in required)}
    for refused in (sections - {"web.probeCertificate"}, required - sections):
        values: dict[str, Any] = {}
        for path in refused:
            _set(values, path, None)
        file = tmp_path / "values.json"
        file.write_text(json.dumps(values))
        said = helm("template", RELEASE, CHART, "--values", file).stderr
        assert [path for path in sorted(refused) if f"{_as_told(path)} is required" not in said] == []


def _required(schema: Any, path: str = "") -> set[str]:
    inside = {f"{path}.{key}".lstrip("."): schema["properties"][key] for key in schema.get("required", [])}
    if path == "config":
        return set()
    return set(inside).union(*(_required(part, name) for name, part in inside.items()))


def _as_told(path: str) -> str:
    section, _, key = path.rpartition(".")
    return f"{section or '(root)'}: {key}"
