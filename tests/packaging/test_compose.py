"""The compose file: its parts fit together, and each available tool accepts its configuration.

No container is started here. `compose-spec.json` is the Compose Specification's own schema (Apache License 2.0).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from exporter.cli import parse_settings
from exporter.config.settings import DEFAULT_LISTEN_ADDRESS, parse_hosts
from exporter.demo.world import ROOTS

ROOT = Path(__file__).parents[2]
#: The default ports of third-party images; Jaeger's are for its UI, for OTLP over gRPC and for health checks.
DEFAULT_PORTS = {"prometheus": {9090}, "alertmanager": {9093}, "grafana": {3000}, "jaeger": {16686, 4317, 14269}}
#: Services whose image has no tool for a health check, and the one that serves nothing.
WITHOUT_HEALTH_CHECK = {"otel-collector", "churn"}


def read_file(file: Path) -> Any:
    return YAML(typ="safe").load(file)


def read(name: str) -> Any:
    return read_file(ROOT / name)


COMPOSE = read("compose.yaml")
SERVICES: dict[str, Any] = COMPOSE["services"]
each_service = pytest.mark.parametrize("name", SERVICES)


def mounts() -> Iterator[tuple[str, Path, str]]:
    """Each service with its mounts."""
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source, target, mode = volume.split(":")
            assert mode == "ro"
            yield name, ROOT / source, target


def laid_out(name: str, folder: Path) -> Path:
    """A folder with the files of a service's container."""
    for service, source, target in mounts():
        if service == name:
            here = folder / target.lstrip("/")
            here.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, here) if source.is_dir() else shutil.copy(source, here)
    return folder


def checked(*command: str | Path) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def listening(name: str) -> set[int]:
    """The configured ports of a service."""
    if name == "exporter":
        return {DEFAULT_LISTEN_ADDRESS.port}
    if name == "otel-collector":
        config = read("compose/otel-collector.yml")
        parts = [*config["receivers"]["otlp"]["protocols"].values(), *config["extensions"].values()]
        return {named(f"http://{part['endpoint']}")[1] for part in parts}
    if name.startswith("zookeeper-"):
        servers = SERVICES[name]["environment"]["ZOO_SERVERS"].split()
        return {int(server.rpartition(";")[2]) for server in servers if f"={name}:" in server}
    return DEFAULT_PORTS.get(name, set())


def test_compose_takes_it() -> None:
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text())
    assert [f"{error.json_path}: {error.message}" for error in Draft7Validator(schema).iter_errors(COMPOSE)] == []


@each_service
def test_images_are_pinned_and_ports_are_on_the_loopback_address(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"treecache-exporter:compose|[a-z]+(/[a-z-]+)?:v?[0-9]+\.[0-9]+\.[0-9]+", service["image"])
    assert all(re.fullmatch(r"127\.0\.0\.1:[0-9]+:[0-9]+", port) for port in service.get("ports", []))


def test_one_service_builds_the_image_and_no_registry_is_asked_for_it() -> None:
    ours = {name: service for name, service in SERVICES.items() if service["image"].startswith("treecache-exporter:")}
    assert {service["image"] for service in ours.values()} == {"treecache-exporter:compose"}
    builds = {name: service["pull_policy"] for name, service in ours.items() if "build" in service}
    assert builds == {"exporter": "build"}
    for name in ours.keys() - builds.keys():
        assert ours[name]["pull_policy"] == "never"
        assert builds.keys() <= ours[name]["depends_on"].keys()


@each_service
def test_published_ports_and_health_checks_are_those_of_the_service(name: str) -> None:
    service = SERVICES[name]
    assert {int(port.rpartition(":")[2]) for port in service.get("ports", [])} <= listening(name)
    urls = [word for word in service.get("healthcheck", {}).get("test", []) if word.startswith("http")]
    assert all(named(url)[0] == "127.0.0.1" and named(url)[1] in listening(name) for url in urls)


@each_service
def test_configuration_is_read_where_it_is_mounted(name: str) -> None:
    words = SERVICES[name].get("command", [])
    files = {word.partition("=")[2] for word in words if word.startswith(("--config=", "--config.file="))}
    assert files <= {target for service, _, target in mounts() if service == name}
    assert bool(files) == (name in {"prometheus", "alertmanager", "otel-collector"})


@each_service
def test_every_service_is_asked_how_it_is(name: str) -> None:
    check = SERVICES[name].get("healthcheck", {})
    if name in WITHOUT_HEALTH_CHECK:
        assert not check.get("test")
    elif name != "exporter":
        assert check["test"][0] == "CMD"
    else:
        # The image's own health check, which uses the default port.
        assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()
        assert not [flag for flag in SERVICES[name]["command"] if flag.startswith("--web.")]


@each_service
def test_dependencies_can_be_met(name: str) -> None:
    for other, condition in SERVICES[name].get("depends_on", {}).items():
        assert condition == {"condition": "service_healthy"}
        assert other in SERVICES
        assert other not in WITHOUT_HEALTH_CHECK


def test_published_ports_are_all_different() -> None:
    published = [port.rpartition(":")[0] for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(set(published)) == len(published)


def test_mounted_files_are_the_repositorys() -> None:
    assert all(source.exists() for _, source, _ in mounts())
    copies = {path.name for path in (ROOT / "compose").rglob("*") if path.is_file()}
    assert copies == {"prometheus.yml", "otel-collector.yml", "datasources.yml", "dashboards.yml"}


def test_the_exporter_takes_its_flags_and_watches_the_world_that_churn_keeps() -> None:
    settings = parse_settings(SERVICES["exporter"]["command"])
    (ensemble,) = settings.ensembles
    assert [tree.path for tree in ensemble.trees] == list(ROOTS)
    assert [parse_hosts(word) for word in SERVICES["churn"]["command"]] == [ensemble.hosts]
    addresses, _, chroot = ensemble.hosts.partition("/")
    assert addresses.split(",") == [f"zookeeper-{number}:2181" for number in (1, 2, 3)]
    assert chroot


def test_zookeeper_servers_know_each_other_by_their_services_names() -> None:
    for number in (1, 2, 3):
        environment = SERVICES[f"zookeeper-{number}"]["environment"]
        assert environment["ZOO_MY_ID"] == number
        servers = dict(line.split("=") for line in environment["ZOO_SERVERS"].split())
        assert servers == {f"server.{id}": f"zookeeper-{id}:2888:3888;2181" for id in (1, 2, 3)}


def test_prometheus_takes_its_configuration_with_the_rules(tmp_path: Path) -> None:
    folder = laid_out("prometheus", tmp_path) / "etc" / "prometheus"
    checked("promtool", "check", "config", folder / "prometheus.yml")
    rules = ROOT / "dashboards" / "prometheus"
    loaded = {path.name for pattern in read("compose/prometheus.yml")["rule_files"] for path in folder.glob(pattern)}
    assert loaded == {path.name for path in (*rules.glob("treecache-*.yml"), *rules.glob("packs/*.yml"))}
    assert "--enable-feature=exemplar-storage" in SERVICES["prometheus"]["command"]


def test_alertmanager_takes_its_configuration(tmp_path: Path) -> None:
    checked("amtool", "check-config", laid_out("alertmanager", tmp_path) / "etc" / "alertmanager" / "alertmanager.yml")


def test_grafana_finds_its_dashboards_and_exemplars_open_traces(tmp_path: Path) -> None:
    folder = laid_out("grafana", tmp_path)
    provisioning = folder / "etc" / "grafana" / "provisioning"
    assert read_file(provisioning / "datasources" / "datasources.yml") == read("compose/grafana/datasources.yml")
    (provider,) = read_file(provisioning / "dashboards" / "dashboards.yml")["providers"]
    dashboards = folder / provider["options"]["path"].lstrip("/")
    names = {"overview", "tree", "client", "znodes", "ensemble"}
    assert {path.stem for path in dashboards.glob("*.json")} == names
    environment = SERVICES["grafana"]["environment"]
    assert (folder / environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].lstrip("/")).exists()
    sources = {source["type"]: source for source in read("compose/grafana/datasources.yml")["datasources"]}
    (exemplar,) = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert exemplar == {"name": "trace_id", "datasourceUid": sources["jaeger"]["uid"]}
    # A trace opens in Explore, which viewers may not use.
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Editor"


def test_the_collector_passes_on_what_it_receives() -> None:
    config = read("compose/otel-collector.yml")
    (pipeline,) = config["service"]["pipelines"].values()
    for part in ("receivers", "processors", "exporters"):
        assert set(pipeline[part]) == set(config[part])
    assert set(config["service"]["extensions"]) == set(config["extensions"])


def addresses_in_use() -> Iterator[tuple[str, str, int]]:
    """Which service connects to which, on which port."""
    prometheus = read("compose/prometheus.yml")
    jobs = [*prometheus["scrape_configs"], *prometheus["alerting"]["alertmanagers"]]
    targets = [target for job in jobs for group in job["static_configs"] for target in group["targets"]]
    urls = [f"http://{target}" for target in targets if not target.startswith("127.0.0.1:")]
    yield from (("prometheus", *named(url)) for url in urls)
    for source in read("compose/grafana/datasources.yml")["datasources"]:
        yield "grafana", *named(source["url"])
    yield "exporter", *named(SERVICES["exporter"]["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"])
    (ensemble,) = parse_settings(SERVICES["exporter"]["command"]).ensembles
    yield from (("exporter", *named(f"//{host}")) for host in ensemble.hosts.partition("/")[0].split(","))
    yield (
        "otel-collector",
        *named("http://" + read("compose/otel-collector.yml")["exporters"]["otlp/jaeger"]["endpoint"]),
    )


def named(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


@pytest.mark.parametrize(("who", "whom", "port"), list(addresses_in_use()))
def test_services_ask_each_other_where_they_listen(who: str, whom: str, port: int) -> None:
    assert who in SERVICES
    assert port in listening(whom)


def test_spans_are_sent_where_the_collector_speaks_their_protocol() -> None:
    environment = SERVICES["exporter"]["environment"]
    # By default, OTLP uses HTTP.
    assert "OTEL_EXPORTER_OTLP_PROTOCOL" not in environment
    http = read("compose/otel-collector.yml")["receivers"]["otlp"]["protocols"]["http"]
    assert named(environment["OTEL_EXPORTER_OTLP_ENDPOINT"])[1] == named(f"//{http['endpoint']}")[1]
