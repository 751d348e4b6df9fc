"""The Helm chart: the manifests for each set of values, and the values that it refuses."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import exporter
from exporter.cli import main
from exporter.config.web import HEADERS, load
from exporter.daemon import logs
from exporter.web.app import RESERVED_PATHS
from scripts import chart as generator
from tests.packaging.chart import (
    CASES,
    CHART,
    NAMESPACE,
    RELEASE,
    ROOT,
    Manifest,
    case,
    container,
    helm,
    of_kind,
    only,
    pod,
    render,
    render_case,
    workloads,
)
from tests.packaging.manifests import breaches_of_pod_security, complaints
from tests.untouched import untouched_logging  # noqa: F401 - a fixture
from tests.web.certificates import Authority
from tests.web.running import running

each_case = pytest.mark.parametrize("values", CASES, ids=lambda values: values.stem.removesuffix("-values"))

DASHBOARDS = sorted((ROOT / "dashboards" / "grafana").glob("*.json"))
RULES = sorted((ROOT / "dashboards" / "prometheus").glob("treecache-*.yml"))
PACKS = sorted((ROOT / "dashboards" / "prometheus" / "packs").glob("*.yml"))
#: Where the container finds its files.
MOUNTED = "/etc/treecache-exporter"


def yaml(text: str) -> Any:
    return YAML(typ="safe").load(text)


@each_case
def test_helm_lints_it(values: Path) -> None:
    linted = helm("lint", "--strict", CHART, "--values", values)
    assert linted.returncode == 0, linted.stdout


@each_case
def test_kubernetes_takes_every_manifest(values: Path) -> None:
    manifests = render_case(values)
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
    assert len(set(names)) == len(names)
    refused = {name: complaints(manifest) for name, manifest in zip(names, manifests, strict=True)}
    assert not {name: said for name, said in refused.items() if said}


@each_case
def test_pods_are_restricted_and_have_no_rights(values: Path) -> None:
    manifests = render_case(values)
    asked_for = {"hostnetwork-values": ["hostNetwork"], "sidecars-values": ["automountServiceAccountToken"]}
    for workload in workloads(manifests):
        assert breaches_of_pod_security(pod(workload)) == asked_for.get(values.stem, [])
    assert not [manifest["kind"] for manifest in manifests if "rbac" in manifest["apiVersion"]]
    for account in of_kind(manifests, "ServiceAccount"):
        assert account["automountServiceAccountToken"] is (values.stem == "sidecars-values")


@each_case
def test_the_exporter_takes_what_its_container_is_given(
    values: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    untouched_logging: None,  # noqa: F811
) -> None:
    manifests = render_case(values)
    _lay_out(manifests, tmp_path)
    exporters = container(workloads(manifests)[0])
    for variable in exporters.get("env", []):
        monkeypatch.setenv(variable["name"], variable.get("value", "from a secret"))
    _become_the_last_pod(workloads(manifests)[0], monkeypatch)
    flags = [word.replace(MOUNTED, str(tmp_path)).replace("$(NODE_ADDRESS)", "192.0.2.1") for word in exporters["args"]]
    assert main([*flags, "--config.check"]) == 0, capsys.readouterr().err


def _become_the_last_pod(workload: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard takes its ordinal from the host name that a StatefulSet gives to its pod."""
    name, pods = workload["metadata"]["name"], workload["spec"]["replicas"]
    monkeypatch.setattr("socket.gethostname", lambda: f"{name}-{pods - 1}")


def _lay_out(manifests: Sequence[Manifest], folder: Path) -> None:
    """The content of the volumes: the rendered configurations, and made-up content for Secrets from elsewhere."""
    authority = Authority(folder)
    specification = pod(workloads(manifests)[0])
    rendered = {manifest["metadata"]["name"]: manifest for manifest in of_kind(manifests, "ConfigMap", "Secret")}
    volumes = {volume["name"]: volume for volume in specification["volumes"]}
    for mount in specification["containers"][0]["volumeMounts"]:
        source = volumes[mount["name"]]
        if not mount["mountPath"].startswith(MOUNTED):
            continue
        here = folder / mount["mountPath"].removeprefix(f"{MOUNTED}/")
        here.mkdir(parents=True)
        name = source["configMap"]["name"] if "configMap" in source else source["secret"]["secretName"]
        manifest = rendered.get(name) or {"data": _held(name, authority)}
        for file, text in {**manifest.get("data", {}), **manifest.get("stringData", {})}.items():
            (here / file).write_text(text.replace(MOUNTED, str(folder)))


def _held(name: str, authority: Authority) -> dict[str, str]:
    """Content for any key of a Secret or ConfigMap; the certificate in `probe-tls` is for probe.example."""
    certificate, key = authority.issue(name, f"{name.partition('-')[0]}.example")
    return {
        "ca.crt": authority.file.read_text(),
        "tls.crt": certificate.read_text(),
        "tls.key": key.read_text(),
        "auditor": "secret",
        "config.yml": (ROOT / "examples" / "minimal.yml").read_text(),
        "web-config.yml": "{}",
    }


@each_case
def test_what_selects_pods_selects_them_and_never_changes(values: Path) -> None:
    manifests = render_case(values)
    changed = render_case(values, "--set", "image.tag=9.9.9,commonLabels.new=label,podLabels.other=label")
    for before, after in zip(workloads(manifests), workloads(changed), strict=True):
        assert before["spec"]["selector"] == after["spec"]["selector"]
        assert len(set(before["metadata"]["labels"]) & set(before["spec"]["selector"]["matchLabels"])) == 2
    for workload in workloads(manifests):
        labels = workload["spec"]["template"]["metadata"]["labels"].items()
        selectors = [workload["spec"]["selector"]["matchLabels"], only(manifests, "Service")["spec"]["selector"]]
        selectors += [
            (manifest["spec"].get("selector") or manifest["spec"]["podSelector"])["matchLabels"]
            for manifest in of_kind(manifests, "PodDisruptionBudget", "PodMonitor", "NetworkPolicy")
        ]
        for selector in selectors:
            assert selector.items() <= labels
        for constraint in pod(workload).get("topologySpreadConstraints", []):
            assert constraint["labelSelector"]["matchLabels"].items() <= labels


@each_case
def test_every_resource_carries_the_recommended_labels(values: Path) -> None:
    for manifest in render_case(values):
        # Of `extraManifests`.
        if manifest["metadata"]["name"] in ("written", "extra", "zookeeper-watch-extra"):
            continue
        labels = manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/instance"] == RELEASE
        assert labels["app.kubernetes.io/version"] == exporter.__version__
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["helm.sh/chart"].startswith("treecache-exporter-")


def test_a_change_of_the_configuration_rolls_the_pods() -> None:
    def checksums(*flags: str) -> dict[str, str]:
        annotations = only(render_case(case("secure"), *flags), "Deployment")["spec"]["template"]["metadata"][
            "annotations"
        ]
        return {name: value for name, value in annotations.items() if name.startswith("checksum/")}

    before = checksums()
    assert checksums("--set", "service.port=1") == before
    other_trees = checksums("--set", "config.ensembles[0].name=other")
    assert other_trees["checksum/config"] != before["checksum/config"]
    other_users = checksums("--set", "web.config.http_server_config.http2=false")
    assert other_users["checksum/web-config"] != before["checksum/web-config"]


def test_probes_fit_the_web_configuration() -> None:
    def probes(*flags: str | Path) -> list[Any]:
        exporters = container(workloads(render(*flags))[0])
        probes = [exporters["livenessProbe"], exporters["readinessProbe"]]
        return [probe.get("httpGet") or probe["exec"]["command"] for probe in probes]

    paths = ["/-/healthy", "/-/ready"]
    assert probes() == [{"path": path, "port": "metrics", "scheme": "HTTP"} for path in paths]
    tls = ["--set", "web.config.tls_server_config.cert_file=a,web.config.tls_server_config.key_file=b"]
    assert probes(*tls) == [{"path": path, "port": "metrics", "scheme": "HTTPS"} for path in paths]
    command = [
        "treecache-exporter",
        "healthcheck",
        "--web.listen-address=:9443",
        f"--web.config.file={MOUNTED}/web/web-config.yml",
    ]
    own = ["--set", "web.probeCertificate.certFile=,web.probeCertificate.keyFile="]
    assert probes("--values", case("secure"), *own) == [command, [*command, "--ready"]]
    secret = f"{MOUNTED}/secrets/probe-tls"
    command += [f"--tls.cert-file={secret}/tls.crt", f"--tls.key-file={secret}/tls.key"]
    assert probes("--values", case("secure")) == [command, [*command, "--ready"]]


def test_probes_are_let_in_where_clients_need_a_certificate_of_a_certain_name(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    untouched_logging: None,  # noqa: F811
) -> None:
    logs.configure(level="error")
    manifests = render_case(case("secure"))
    _lay_out(manifests, tmp_path)
    exporters = container(workloads(manifests)[0])
    with running(config=load(tmp_path / "web" / "web-config.yml")) as server:
        for probe in ("livenessProbe", "readinessProbe"):
            _, *command = exporters[probe]["exec"]["command"]
            here = [word.replace(MOUNTED, str(tmp_path)).replace("=:9443", f"=:{server.port}") for word in command]
            assert main(here) == 0, capsys.readouterr()
        # The exporter's own certificate has none of the names.
        assert main([word for word in here if not word.startswith("--tls.")]) == 1


def test_shards_are_pods_of_statefulsets_one_for_each_replica() -> None:
    manifests = render_case(case("sharded"))
    sets = of_kind(manifests, "StatefulSet")
    assert [one["metadata"]["name"] for one in sets] == ["zookeeper-watch-0", "zookeeper-watch-1"]
    assert not of_kind(manifests, "Deployment")
    service = only(manifests, "Service")
    assert (service["spec"]["clusterIP"], service["spec"]["publishNotReadyAddresses"]) == ("None", True)
    selectors = [json.dumps(one["spec"]["selector"]) for one in sets]
    assert len(set(selectors)) == 2
    for one in sets:
        assert one["spec"]["replicas"] == 3
        assert one["spec"]["podManagementPolicy"] == "Parallel"
        assert one["spec"]["serviceName"] == service["metadata"]["name"]
        assert "--shard.total=3" in container(one)["args"]


def test_monitors_scrape_as_the_exporter_serves() -> None:
    monitor = only(render_case(case("operator")), "ServiceMonitor")
    assert monitor["metadata"]["namespace"] == "monitoring"
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": [NAMESPACE]}
    service = only(render_case(case("operator")), "Service")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert (endpoint["scheme"], endpoint["path"], endpoint["interval"]) == ("http", "/metrics", "15s")
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    (endpoint,) = only(render_case(case("secure")), "PodMonitor")["spec"]["podMetricsEndpoints"]
    assert (endpoint["scheme"], endpoint["tlsConfig"]["serverName"]) == ("https", "exporter.example")


def test_releases_are_jobs_of_their_own() -> None:
    for name, kind, selects in (("operator", "ServiceMonitor", "Service"), ("secure", "PodMonitor", "Deployment")):
        jobs = set()
        for release in ("one", "other"):
            manifests = render("--values", case(name), release=release)
            label = only(manifests, kind)["spec"]["jobLabel"]
            target = only(manifests, selects)
            jobs.add((target if kind == "ServiceMonitor" else target["spec"]["template"])["metadata"]["labels"][label])
        assert jobs == {"one", "other"}
    renamed = render("--values", case("secure"), "--set", "podMonitor.jobLabel=app.kubernetes.io/name")
    assert only(renamed, "PodMonitor")["spec"]["jobLabel"] == "app.kubernetes.io/name"


def test_names_of_digits_stay_texts() -> None:
    flags = ["--set-string", "nameOverride=1234,priorityClassName=1,existingSecrets[0].name=2,serviceAccount.name=3"]
    more = ["--set-string", "existingConfigMap=4,web.existingSecret=5,web.scheme=HTTP,serviceMonitor.jobLabel=6"]
    for sharded in ("false", "true"):
        manifests = render(
            *flags, *more, "--set", f"sharding.enabled={sharded},serviceMonitor.enabled=true", release="1234"
        )
        assert {manifest["metadata"]["name"] for manifest in of_kind(manifests, "PrometheusRule")} == {"1234"}
        assert [complaint for manifest in manifests for complaint in complaints(manifest)] == []


def test_rules_are_the_repositorys_own_and_come_where_the_operator_is() -> None:
    assert _rules(render()) == _groups(RULES)
    for known in (None, ("PodMonitor", "ServiceMonitor")):
        assert not of_kind(render(operator=known), "PrometheusRule")
    # Helm without a cluster, which knows only the version of the API.
    assert of_kind(render(operator=()), "PrometheusRule")
    assert not of_kind(render("--set", "prometheusRule.enabled=false"), "PrometheusRule")


def _rules(manifests: Sequence[Manifest]) -> list[Any]:
    groups: list[Any] = only(manifests, "PrometheusRule")["spec"]["groups"]
    return groups


def _groups(files: Sequence[Path]) -> list[Any]:
    return [group for file in files for group in yaml(file.read_text())["groups"]]


def _of_packs(*names: str) -> list[Path]:
    return [path for path in PACKS if path.stem in names]


def test_the_alerts_of_packs_come_with_the_packs_of_trees_and_with_others_by_name(tmp_path: Path) -> None:
    trees = [[{"path": "/a", "packs": ["solr", "kafka"]}, {"path": "/b"}], [{"path": "/", "packs": ["kafka", "${X}"]}]]
    ensembles = [{"name": f"{number}", "hosts": "zk", "trees": of_one} for number, of_one in enumerate(trees)]
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps({"config": {"ensembles": ensembles}}))
    given = ["--values", file]
    assert _rules(render(*given)) == _groups([*RULES, *_of_packs("kafka", "solr")])
    named = ["--set", "prometheusRule.packs={hdfs,solr}"]
    assert _rules(render(*given, *named)) == _groups([*RULES, *_of_packs("hdfs", "kafka", "solr")])
    elsewhere = ["--set", "existingConfigMap=elsewhere"]
    assert _rules(render(*elsewhere, *named)) == _groups([*RULES, *_of_packs("hdfs", "solr")])
    # They do not see what is in other shards.
    divided = ["--set", "sharding.enabled=true"]
    assert _rules(render(*given, *divided)) == _groups(RULES)
    assert _rules(render(*given, *divided, *named)) == _groups([*RULES, *_of_packs("hdfs", "solr")])


def test_what_is_asked_for_is_rendered_wherever() -> None:
    # Silently left out, nothing would scrape or alert; a cluster that does not know these kinds reports an error.
    assert only(render("--set", "prometheusRule.enabled=true", operator=None), "PrometheusRule")
    assert only(render("--values", case("operator"), operator=None), "ServiceMonitor")
    assert only(render("--values", case("secure"), operator=None), "PodMonitor")


def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    groups = _rules(render_case(case("operator")))
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": groups}))
    checked = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 0, checked.stderr
    alerts = {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}
    assert {"CuratorServiceGone", "KafkaBrokersMissing"} <= set(alerts)
    assert not {"TreeCacheListenerSlow", "KafkaControllerMissing"} & set(alerts)
    lag = alerts["TreeCacheLag"]
    assert lag["labels"]["team"] == "platform"
    assert lag["annotations"]["runbook_url"] == "https://wiki.example/treecache-exporter/runbooks#treecachelag"


def test_dashboards_are_the_repositorys_own() -> None:
    found = [
        one for one in of_kind(render_case(case("operator")), "ConfigMap") if one["metadata"]["namespace"] == "grafana"
    ]
    assert [one["metadata"]["labels"]["grafana_dashboard"] for one in found] == ["1"] * len(DASHBOARDS)
    texts = {name: text for one in found for name, text in one["data"].items()}
    served, published = "http://${exporter}/docs/runbooks", "https://wiki.example/treecache-exporter/runbooks"
    assert {name: json.loads(text) for name, text in texts.items()} == {
        f"treecache-{file.name}": json.loads(file.read_text().replace(served, published)) for file in DASHBOARDS
    }


def test_dashboards_of_two_releases_do_not_take_each_others_place() -> None:
    seen: dict[str, list[set[str]]] = {"file": [], "uid": [], "title": []}
    for release in ("one", "other"):
        manifests = render("--set", "dashboards.enabled=true", release=release)
        texts = {name: text for one in of_kind(manifests, "ConfigMap") for name, text in one["data"].items()}
        del texts["config.yml"]
        boards = [json.loads(text) for text in texts.values()]
        seen["file"].append(set(texts))
        for key in ("uid", "title"):
            seen[key].append({board[key] for board in boards})
        # All links of dashboards and alerts lead to dashboards of the release. Grafana accepts 40 characters.
        rules = json.dumps(only(manifests, "PrometheusRule"))
        led_to = {uid for text in (*texts.values(), rules) for uid in re.findall(r"/d/([a-z0-9-]+)", text)}
        assert led_to == seen["uid"][-1]
        assert all(len(uid) <= 40 for uid in led_to)
    for name, (ones, others) in seen.items():
        assert (name, len(ones), len(others), ones & others) == (name, len(DASHBOARDS), len(DASHBOARDS), set())


def test_files_of_the_chart_are_links_to_all_of_the_repositorys() -> None:
    links = [path for path in sorted((CHART / "files").rglob("*")) if not path.is_dir()]
    assert all(path.is_symlink() for path in links)
    assert {path.resolve() for path in links} == {*DASHBOARDS, *RULES, *PACKS}


def test_the_package_holds_everything_and_renders_the_same(tmp_path: Path) -> None:
    packed = helm("package", CHART, "--destination", tmp_path)
    assert packed.returncode == 0, packed.stderr
    (archive,) = tmp_path.glob("*.tgz")
    assert archive.name == f"treecache-exporter-{exporter.__version__}.tgz"
    with tarfile.open(archive) as content:
        files = {member.name.partition("/")[2]: content.extractfile(member) for member in content if member.isfile()}
        texts = {name: file.read() for name, file in files.items() if file is not None}
    expected = {str(path.relative_to(CHART)): path.read_bytes() for path in CHART.rglob("*") if path.is_file()}
    # Helm renders this one itself, with its own order of keys.
    assert yaml(texts.pop("Chart.yaml").decode()) == yaml(expected.pop("Chart.yaml").decode())
    del expected[".helmignore"], texts[".helmignore"]
    assert texts == expected
    assert render("--values", case("operator"), chart=archive) == render_case(case("operator"))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"imagee": {}}, "Additional property imagee is not allowed"),
        ({"image": {"digest": "latest"}}, "image.digest: Does not match pattern"),
        ({"image": {"pullPolicy": "always"}}, "image.pullPolicy must be one of"),
        ({"replicas": "two"}, "replicas: Invalid type. Expected: integer, given: string"),
        ({"config": {"ensembles": []}}, "config.ensembles: Array must have at least 1 items"),
        ({"config": {"ensembles": [{"name": "a", "hosts": "b", "trees": [{"depth": 1}]}]}}, "property depth"),
        ({"config": {"ensembles": [{"name": "a", "hosts": "b"}]}}, "trees is required"),
        ({"web": {"config": {"tls": {}}}}, "web.config: Additional property tls is not allowed"),
        ({"web": {"config": {"tls_server_config": {"cert": "PEM"}}}}, "tls_server_config: Additional property cert is"),
        ({"web": {"config": {"tls_server_config": {"min_version": "TLS10"}}}}, "min_version must be one of"),
        ({"web": {"config": {"http_server_config": {"http3": True}}}}, "http_server_config: Additional property http3"),
        ({"web": {"port": 70000}}, "web.port: Must be less than or equal to 65535"),
        ({"log": {"level": "loud"}}, "log.level must be one of"),
        ({"prometheusRule": {"packs": ["kafca"]}}, "prometheusRule.packs.0 must be one of"),
        ({"serviceMonitor": {"interval": "often"}}, "serviceMonitor.interval: Does not match pattern"),
        ({"existingSecrets": ["name"]}, "existingSecrets.0: Invalid type"),
        (
            {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}},
            "podMonitor.enabled: true together with",
        ),
        (
            {"web": {"existingSecret": "a", "config": {"http_server_config": {}}}},
            "web.existingSecret: set together with",
        ),
        ({"web": {"probe": "exec", "probeCertificate": {"certFile": "a"}}}, "web.probeCertificate: only one of"),
        (
            {"web": {"probeCertificate": {"certFile": "a", "keyFile": "b"}}},
            "web.probeCertificate: an HTTP probe presents",
        ),
        ({"web": {"telemetryPath": "/a/../b"}}, "web.telemetryPath: /a/../b is taken by another page, or cannot be"),
        ({"extraArgs": ["--web.dashboard-url=http://a", "--log.level=debug"]}, "extraArgs: --log.level is set by the"),
        (
            {"sharding": {"enabled": True}, "extraArgs": ["--shard.ordinal=1"]},
            "extraArgs: --shard.ordinal is set by the",
        ),
    ],
)
def test_wrong_values_are_refused_by_name(values: dict[str, Any], said: str, tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(values))
    refused = helm("template", RELEASE, CHART, "--values", file)
    assert refused.returncode != 0
    assert said in refused.stderr


@pytest.mark.parametrize("path", [path for path in RESERVED_PATHS if path != "/"])
def test_a_page_of_the_exporters_is_no_telemetry_path(path: str) -> None:
    refused = helm("template", RELEASE, CHART, "--set", f"web.telemetryPath={path}")
    assert f"web.telemetryPath: {path} is taken by another page" in refused.stderr


def test_extra_flags_are_those_that_the_chart_does_not_give(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    flags = set(re.findall(r"^ +(--[a-z.-]+)", capsys.readouterr().out, re.MULTILINE))
    template = (CHART / "templates" / "_validate.tpl").read_text()
    given_by_the_chart = set(re.findall(r'"(--[a-z.-]+)" "', template))
    assert flags - given_by_the_chart == {"--version", "--web.dashboard-url", "--probe.any-target"}
    assert given_by_the_chart < flags
    for values in CASES:
        words = container(workloads(render_case(values))[0])["args"]
        extra = set(yaml(values.read_text()).get("extraArgs", []))
        assert {word.partition("=")[0] for word in words if word not in extra} <= given_by_the_chart


@pytest.mark.parametrize(
    ("key", "ensemble"),
    [
        (
            "digest[1].password",
            {"digest": [{"username": "a", "password": "${A}"}, {"username": "b", "password": "$b"}]},
        ),
        ("sasl.password", {"sasl": {"mechanism": "DIGEST-MD5", "username": "a", "password": "secret${A}"}}),
        ("tls.key_password", {"tls": {"key_password": "secret"}}),
    ],
)
def test_a_literal_secret_is_kept_out_of_the_configmap(key: str, ensemble: dict[str, Any], tmp_path: Path) -> None:
    whole = {"name": "a", "hosts": "b", "trees": [{"path": "/"}], **ensemble}
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps({"config": {"ensembles": [whole]}}))
    refused = helm("template", RELEASE, CHART, "--values", file)
    assert f"config.ensembles[0].{key}: would be readable in a ConfigMap; accepted: ${{NAME}}" in refused.stderr
    assert "secret" not in refused.stderr


def test_the_cases_use_every_value() -> None:
    defaults = yaml((CHART / "values.yaml").read_text())
    cases = [yaml(case.read_text()) for case in CASES]
    paths = [value.path.split(".") for value in generator.values()]
    unused = [path for path in paths if all(_at(case, path) in (None, _at(defaults, path)) for case in cases)]
    assert [".".join(path) for path in unused] == []


def _at(values: Any, path: Sequence[str]) -> Any:
    for key in path:
        values = values.get(key, {}) if isinstance(values, dict) else {}
    return None if values == {} else values


def test_the_schema_knows_what_a_web_configuration_may_say() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["web"]["properties"]["config"]
    # A case that the exporter accepts.
    config = yaml(case("secure").read_text())["web"]["config"]
    for section in ("tls_server_config", "http_server_config"):
        assert set(schema["properties"][section]["properties"]) == set(config[section])
    assert set(schema["properties"]["http_server_config"]["properties"]["headers"]["properties"]) == set(HEADERS)


def test_every_value_is_described() -> None:
    defaults = yaml((CHART / "values.yaml").read_text())
    described = {value.path for value in generator.values()}
    assert {path for path in _leaves(defaults) if not _covered(path, described)} == set()


def test_the_schema_knows_the_values_and_no_others() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    defaults = yaml((CHART / "values.yaml").read_text())
    assert (schema["additionalProperties"], set(schema["properties"])) == (False, {*defaults, "global"})
    # Kubernetes checks its own objects, and the configuration file has its own schema.
    for name in set(defaults) - {"config", "resources", "affinity", "lifecycle", "dnsConfig"}:
        section = schema["properties"][name]
        if known := section.get("properties"):
            assert (name, section.get("additionalProperties"), set(known)) == (
                name,
                # `global` is also for other charts.
                None if name == "global" else False,
                set(defaults[name]),
            )


def _leaves(values: Any, path: str = "") -> list[str]:
    if not isinstance(values, dict) or not values:
        return [path]
    return [leaf for key, value in values.items() for leaf in _leaves(value, f"{path}.{key}".lstrip("."))]


def _covered(path: str, described: set[str]) -> bool:
    parts = path.split(".")
    return any(".".join(parts[:length]) in described for length in range(1, len(parts) + 1))


def test_the_chart_has_the_exporters_version() -> None:
    chart = yaml((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (exporter.__version__, exporter.__version__)


def test_notes_tell_where_it_serves(tmp_path: Path) -> None:
    copy = tmp_path / "chart"
    shutil.copytree(CHART, copy)
    # Helm shows notes only with a cluster: here they become a manifest.
    notes = copy / "templates" / "NOTES.txt"
    (copy / "templates" / "_notes.tpl").write_text('{{- define "notes" -}}' + notes.read_text() + "{{- end }}")
    (copy / "templates" / "notes.yaml").write_text('{"kind": "Notes", "text": {{ include "notes" . | toJson }}}')
    told = only(render("--values", case("secure"), chart=copy), "Notes")["text"]
    assert "port-forward service/watch-treecache-exporter 9443:443" in told
    assert "https://localhost:9443/metrics" in told
    assert "main (zookeeper.zk:2281)." in told
    assert "Prometheus does not scrape it yet" not in told
    assert "prometheusRule.enabled to false" in told
    assert "The probes present" not in told
    own = ["--values", case("secure"), "--set", "web.probeCertificate.certFile=,web.probeCertificate.keyFile="]
    assert "The probes present the exporter's own certificate." in only(render(*own, chart=copy), "Notes")["text"]
    assert "The probes present" not in only(render("--values", case("custom"), chart=copy), "Notes")["text"]
    told = only(render("--values", case("sharded"), chart=copy, operator=None), "Notes")["text"]
    assert "watches the ensembles of the ConfigMap exporter-config." in told
    assert "The rules are not installed" in told
    divided = ["--values", case("operator"), "--set", "sharding.enabled=true,service.type=ClusterIP"]
    left_out = "The alerts of the packs of these ensembles are not among the rules"
    assert left_out in only(render(*divided, chart=copy), "Notes")["text"]
    assert left_out not in only(render("--values", case("operator"), chart=copy), "Notes")["text"]
