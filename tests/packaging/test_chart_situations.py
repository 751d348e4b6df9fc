"""The chart in different clusters: OpenShift, dual stack, proxies, prefixes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from exporter.config.settings import parse_hosts
from tests.packaging.chart import (
    CHART,
    Manifest,
    case,
    container,
    of_kind,
    only,
    pod,
    render,
    render_case,
    workloads,
)
from tests.packaging.manifests import complaints


def test_openshift_chooses_the_ids_and_is_reached_where_it_is() -> None:
    manifests = render_case(case("openshift"), "--api-versions=security.openshift.io/v1")
    specification = pod(only(manifests, "Deployment"))
    security = [specification["securityContext"], container(only(manifests, "Deployment"))["securityContext"]]
    # The restricted-v2 constraints choose these ids, and refuse others.
    assert not {"runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"} & {key for one in security for key in one}
    assert security[0] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    dns, zookeeper = only(manifests, "NetworkPolicy")["spec"]["egress"]
    assert {(port["port"], port["protocol"]) for port in dns["ports"]} == {(5353, "UDP"), (5353, "TCP")}
    assert [port["port"] for port in zookeeper["ports"]] == [2181]
    (rule,) = only(manifests, "Ingress")["spec"]["rules"]
    assert (rule["host"], rule["http"]["paths"][0]["path"]) == ("zookeeper-watch.apps.cluster.example", "/")


def test_two_families_of_addresses() -> None:
    manifests = render_case(case("dualstack"))
    service = only(manifests, "Service")["spec"]
    assert (service["ipFamilyPolicy"], service["ipFamilies"]) == ("RequireDualStack", ["IPv6", "IPv4"])
    assert service["ports"][0]["nodePort"] == 30141
    assert "--web.listen-address=[::]:19141" in container(only(manifests, "Deployment"))["args"]
    _, zookeeper = only(manifests, "NetworkPolicy")["spec"]["egress"]
    assert [port["port"] for port in zookeeper["ports"]] == [2181, 2182, 2183]


@pytest.mark.parametrize(
    "hosts",
    [
        "zk",
        "zk:2182",
        "a, b:2182 ,c:2183/chroot",
        "[::1],[2001:db8::1]:2191/a:1,b",
        "192.0.2.1:65535,192.0.2.2/a",
    ],
)
def test_the_network_policy_has_the_ports_that_the_exporter_connects_to(hosts: str, tmp_path: Path) -> None:
    ensemble = {"name": "a", "hosts": hosts, "trees": [{"path": "/"}]}
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps({"config": {"ensembles": [ensemble]}, "networkPolicy": {"enabled": True}}))
    _, zookeeper = only(render("--values", file), "NetworkPolicy")["spec"]["egress"]
    connected_to = {int(host.rpartition(":")[2]) for host in parse_hosts(hosts).partition("/")[0].split(",")}
    assert {port["port"] for port in zookeeper["ports"]} == connected_to


def test_a_proxy_in_front_is_what_is_scraped_and_the_only_one_to_reach_the_exporter() -> None:
    manifests = render_case(case("sidecars"))
    deployment = only(manifests, "Deployment")
    assert [one["name"] for one in pod(deployment)["containers"]] == ["exporter", "kube-rbac-proxy"]
    assert [one["name"] for one in pod(deployment)["initContainers"]] == ["fetch"]
    assert pod(deployment)["automountServiceAccountToken"] is True
    exporters = container(deployment)
    assert "--web.listen-address=127.0.0.1:19141" in exporters["args"]
    # Kubernetes sends HTTP probes from outside the pod, where nothing would answer.
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert "--web.listen-address=127.0.0.1:19141" in exporters[probe]["exec"]["command"]
    assert exporters["lifecycle"] == {"preStop": {"exec": {"command": ["sleep", "5"]}}}
    (port,) = only(manifests, "Service")["spec"]["ports"]
    assert (port["name"], port["targetPort"]) == ("metrics", "proxy")
    (ingress,) = only(manifests, "NetworkPolicy")["spec"]["ingress"]
    assert [port["port"] for port in ingress["ports"]] == ["proxy"]
    (endpoint,) = only(manifests, "ServiceMonitor")["spec"]["endpoints"]
    assert (endpoint["port"], endpoint["scheme"]) == ("metrics", "https")
    assert endpoint["authorization"] == {"credentials": {"name": "prometheus-token", "key": "token"}}


def test_a_prefix_is_before_all_that_asks_the_exporter() -> None:
    manifests = render_case(case("ingress"))
    assert _asked(manifests) == ["/zookeeper/-/healthy", "/zookeeper/-/ready", "/zookeeper/metrics"]
    assert "--web.external-url=https://monitor.example/zookeeper/" in container(only(manifests, "Deployment"))["args"]
    ingress = only(manifests, "Ingress")["spec"]
    assert ingress["ingressClassName"] == "nginx"
    (rule,) = ingress["rules"]
    (path,) = rule["http"]["paths"]
    assert (rule["host"], path["path"], path["pathType"]) == ("monitor.example", "/zookeeper", "Prefix")
    service = only(manifests, "Service")
    assert path["backend"]["service"]["name"] == service["metadata"]["name"]
    assert path["backend"]["service"]["port"]["name"] in [port["name"] for port in service["spec"]["ports"]]
    # A proxy that strips the prefix.
    stripped = render_case(case("ingress"), "--set", "web.routePrefix=/")
    assert _asked(stripped) == ["/-/healthy", "/-/ready", "/metrics"]
    assert only(stripped, "Ingress")["spec"] == ingress
    assert "--web.route-prefix=/" in container(only(stripped, "Deployment"))["args"]
    # Without a URL, and with an exec probe.
    command = render_case(
        case("ingress"), "--set", "web.externalUrl=,web.routePrefix=/zk,web.probe=exec,ingress.hosts[0].host=a"
    )
    assert _asked(command) == ["--web.route-prefix=/zk", "--web.route-prefix=/zk", "/zk/metrics"]
    assert only(command, "Ingress")["spec"]["rules"][0]["http"]["paths"][0]["path"] == "/zk"


def _asked(manifests: Any) -> list[str]:
    exporters = container(only(manifests, "Deployment"))
    probes = [exporters[name] for name in ("livenessProbe", "readinessProbe")]
    asked = [
        probe["httpGet"]["path"]
        if "httpGet" in probe
        else next(word for word in probe["exec"]["command"] if word.startswith("--web.route-prefix"))
        for probe in probes
    ]
    return [*asked, only(manifests, "ServiceMonitor")["spec"]["endpoints"][0]["path"]]


def test_names_of_services_are_resolved_on_the_nodes_network_too() -> None:
    specification = pod(only(render_case(case("hostnetwork")), "Deployment"))
    assert (specification["hostNetwork"], specification["dnsPolicy"]) == (True, "ClusterFirstWithHostNet")
    chosen = pod(only(render_case(case("hostnetwork"), "--set", "dnsPolicy=Default"), "Deployment"))
    assert chosen["dnsPolicy"] == "Default"
    assert not {"hostNetwork", "dnsPolicy"} & pod(only(render(), "Deployment")).keys()


def test_a_change_of_the_configuration_rolls_no_pods_that_look_for_it_themselves() -> None:
    def annotations(name: str, *flags: str) -> Any:
        manifests = render_case(case(name), "--set", "autoReload.enabled=true", *flags)
        return only(manifests, "Deployment")["spec"]["template"]["metadata"]["annotations"]

    assert annotations("ingress", "--set", "config.ensembles[0].hosts=other") == annotations("ingress")
    # A running exporter refuses some changes of the web configuration.
    assert annotations("secure", "--set", "web.config.http_server_config.http2=false") != annotations("secure")


def test_explicit_labels_and_annotations_win() -> None:
    labels = {"app.kubernetes.io/part-of": "monitoring", "app.kubernetes.io/instance": "prometheus"}
    flags = [
        f"--set={section}.labels.{name.replace('.', chr(92) + '.')}={value}"
        for section in ("serviceMonitor", "prometheusRule")
        for name, value in labels.items()
    ]
    manifests = render(*flags, "--set", "serviceMonitor.enabled=true")
    for kind in ("ServiceMonitor", "PrometheusRule"):
        assert labels.items() <= only(manifests, kind)["metadata"]["labels"].items()
    everything = render_case(case("everything"))
    assert only(everything, "Service")["metadata"]["labels"]["app.kubernetes.io/part-of"] == "zookeeper"
    template = only(everything, "Deployment")["spec"]["template"]["metadata"]
    assert template["annotations"]["kubectl.kubernetes.io/default-container"] == "beside"


def test_it_serves_as_another_charts_part(tmp_path: Path) -> None:
    parent = tmp_path / "parent"
    (parent / "charts").mkdir(parents=True)
    (parent / "charts" / "treecache-exporter").symlink_to(CHART)
    (parent / "Chart.yaml").write_text('{"apiVersion": "v2", "name": "parent", "version": "1.0.0"}')
    values: Manifest = {
        "global": {"imageRegistry": "mirror.example", "imagePullSecrets": ["all"], "another": {"chart": "reads this"}},
        "treecache-exporter": YAML(typ="safe").load(case("openshift")),
    }
    (parent / "values.yaml").write_text(json.dumps(values))
    manifests = render(chart=parent)
    (deployment,) = workloads(manifests)
    assert container(deployment)["image"].startswith("mirror.example/treecache-exporter:")
    assert pod(deployment)["imagePullSecrets"] == [{"name": "all"}]
    assert "runAsUser" not in pod(deployment)["securityContext"]
    assert [complaint for manifest in manifests for complaint in complaints(manifest)] == []


def test_an_image_is_named_as_it_was_given() -> None:
    digest = f"sha256:{'0' * 64}"

    def image(**values: str) -> str:
        flags = ",".join(f"image.{key}={value}" for key, value in values.items())
        text: str = container(only(render("--set-string", flags), "Deployment"))["image"]
        return text

    assert image(registry="a:5000", tag="1") == "a:5000/treecache-exporter:1"
    assert image(digest=digest) == f"treecache-exporter@{digest}"
    assert image(digest=digest, tag="1") == f"treecache-exporter:1@{digest}"
    assert not of_kind(render(), "Ingress")
