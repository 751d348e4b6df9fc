"""Library mode: metrics of an application's own client and caches, in any registry, until that is undone."""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import weakref
from collections import Counter
from collections.abc import Iterator

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoChildrenForEphemeralsError, NoNodeError
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY, CollectorRegistry, Gauge
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from exporter import TreeCache, instrument
from exporter.telemetry.catalogue import CACHE, CLIENT, Group
from exporter.telemetry.instruments import CacheInstruments, ClientInstruments
from tests.conftest import ClientFactory, ZooKeeper
from tests.faults.proxy import Proxy
from tests.support import eventually
from tests.telemetry.known import openmetrics, plain


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def trees(registry: CollectorRegistry) -> set[tuple[str, str]]:
    """The ensembles and trees in a scrape."""
    samples = [sample for family in registry.collect() for sample in family.samples]
    return {(sample.labels["ensemble"], sample.labels["tree"]) for sample in samples if "tree" in sample.labels}


def ensembles(registry: CollectorRegistry) -> set[str]:
    """The ensembles in a scrape."""
    return {sample.labels["ensemble"] for family in registry.collect() for sample in family.samples}


# Metrics


def test_every_call_is_counted_by_operation_and_error(client: KazooClient, registry: CollectorRegistry) -> None:
    def count(operation: str) -> float | None:
        labels = {"ensemble": "default", "operation": operation}
        return registry.get_sample_value("zookeeper_client_request_duration_seconds_count", labels)

    with instrument(client, registry=registry):
        client.create("/a", b"data")
        for result in [client.get_async("/a") for _ in range(20)]:
            result.get()
        with pytest.raises(NoNodeError):
            client.get("/missing")
        assert client.exists("/missing") is None
        assert [count(operation) for operation in ("create", "getData", "exists", "delete")] == [1, 21, 1, 0]
        errors = {"ensemble": "default", "operation": "getData", "error": "NONODE"}
        assert registry.get_sample_value("zookeeper_client_request_errors_total", errors) == 1


def test_durations_are_those_that_the_application_waits(
    client_factory: ClientFactory, zookeeper: ZooKeeper, registry: CollectorRegistry
) -> None:
    delay, calls = 0.05, 5
    labels = {"ensemble": "default", "operation": "getData"}
    with Proxy(zookeeper.server.port) as proxy:
        client = client_factory(proxy.hosts)
        with instrument(client, registry=registry):
            proxy.delay = delay
            began = time.monotonic()
            for _ in range(calls):
                client.get("/")
            waited = time.monotonic() - began
            total = registry.get_sample_value("zookeeper_client_request_duration_seconds_sum", labels)
    assert total is not None
    # To the server and back.
    assert calls * 2 * delay <= total <= waited


def test_the_work_of_a_cache_is_counted(client: KazooClient, registry: CollectorRegistry) -> None:
    for number in range(5):
        client.create(f"/app/n{number}", makepath=True)

    def count(metric: str, **labels: str) -> float | None:
        labels = {"ensemble": "default", "tree": "/app", **labels}
        return registry.get_sample_value(f"zookeeper_cache_{metric}_count", labels)

    with instrument(client, registry=registry), TreeCache(client, "/app") as cache:
        heard: list[object] = []
        assert cache.wait_initialized(10)
        cache.listen(heard.append)
        assert count("sync_duration_seconds", reason="start") == 1
        assert count("sync_duration_seconds", reason="reconnect") == 0
        assert count("refresh_duration_seconds") == 0
        for number in range(5):
            client.set(f"/app/n{number}", b"new")
        eventually(lambda: count("listener_duration_seconds") == 5)
        assert count("refresh_duration_seconds") == count("propagation_delay_seconds") == 5
        assert len(heard) == 5


def test_freshness_and_audits_are_counted(client: KazooClient, registry: CollectorRegistry) -> None:
    def value(metric: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"zookeeper_cache_{metric}", {"ensemble": "default", "tree": "/app", **labels})

    began = time.time()
    client.create("/app/a", makepath=True)
    cache = TreeCache(client, "/app", freshness_interval=0.1, audit_interval=0.1)
    with instrument(client, registry=registry), cache:
        assert cache.wait_initialized(10)
        eventually(lambda: (value("verified_timestamp_seconds") or 0) > began)
        eventually(lambda: (value("verification_duration_seconds_count") or 0) > 1)
        eventually(lambda: (value("audited_nodes_total") or 0) >= 2 * (value("audits_total") or 0) > 2)
        assert value("verified_timestamp_seconds") == pytest.approx(cache.verified_at, abs=1)
        assert (
            value("audit_mismatches_total", kind="stale") == value("verification_failures_total", reason="timeout") == 0
        )


# One list of clients and caches


@pytest.mark.parametrize("group", [CACHE, CLIENT], ids=lambda group: group.title)
def test_a_scrape_is_what_the_catalogue_lists(
    client: KazooClient, registry: CollectorRegistry, zookeeper: ZooKeeper, group: Group
) -> None:
    with instrument(client, registry=registry), TreeCache(client, "/app") as cache:
        assert cache.wait_initialized(10)
        text = openmetrics(registry).decode()
        families = {family.name: family for family in parse_openmetrics(text)}  # type: ignore[no-untyped-call]
    series = 0
    for metric in group.metrics:
        family = families[metric.family().name]
        assert (family.type, family.documentation, family.unit) == (metric.kind, metric.help, metric.unit)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == {*group.labels, *metric.labels}
            for label, values in metric.labels.items():
                assert not values or sample.labels[label] in values
        series += len(family.samples) if metric.is_complete_from_the_start else 0
    assert series == group.series


def test_promtool_finds_nothing_to_mend(client: KazooClient, registry: CollectorRegistry) -> None:
    with instrument(client, registry=registry), TreeCache(client, "/app") as cache:
        assert cache.wait_initialized(10)
        verdict = subprocess.run(["promtool", "check", "metrics"], input=plain(registry), capture_output=True)
    assert (verdict.returncode, verdict.stdout, verdict.stderr) == (0, b"", b"")


# Labels distinguish clients and caches


def test_caches_come_and_go_by_themselves(client: KazooClient, registry: CollectorRegistry) -> None:
    with TreeCache(client, "/before"), instrument(client, registry=registry):
        assert trees(registry) == {("default", "/before")}
        with TreeCache(client, "/after", name="second"):
            assert trees(registry) == {("default", "/before"), ("default", "second")}
        assert trees(registry) == {("default", "/before")}


def test_many_clients_share_a_registry(client_factory: ClientFactory, registry: CollectorRegistry) -> None:
    names = ["a", "b", "c"]
    clients = {name: client_factory() for name in names}
    handles = {name: instrument(clients[name], ensemble=name, registry=registry) for name in names}
    with TreeCache(clients["a"], "/x"), TreeCache(clients["b"], "/x"):
        clients["b"].get("/")
        assert trees(registry) == {("a", "/x"), ("b", "/x")}
        families = Counter(family.name for family in registry.collect())
        assert set(families.values()) == {1}
        operation = {"operation": "getData"}
        counts = [
            registry.get_sample_value(
                "zookeeper_client_request_duration_seconds_count", {"ensemble": name, **operation}
            )
            for name in names
        ]
        assert counts[1:] == [1, 0]
        handles["b"].uninstrument()
        assert ensembles(registry) == {"a", "c"}
        assert trees(registry) == {("a", "/x")}
    for handle in handles.values():
        handle.uninstrument()
    assert list(registry.collect()) == []


def test_one_client_in_several_registries(client: KazooClient) -> None:
    first, second = CollectorRegistry(), CollectorRegistry()
    labels = {"ensemble": "default", "operation": "getData"}
    with instrument(client, registry=second):
        with instrument(client, registry=first):
            client.get("/")
        client.get("/")
        count = "zookeeper_client_request_duration_seconds_count"
        assert (first.get_sample_value(count, labels), second.get_sample_value(count, labels)) == (None, 2)


def test_the_names_of_ensembles_must_differ(client_factory: ClientFactory, registry: CollectorRegistry) -> None:
    with instrument(client_factory(), registry=registry):
        with pytest.raises(ValueError, match=r"^the registry has a client of ensemble 'default' already; tell "):
            instrument(client_factory(), registry=registry)
        assert ensembles(registry) == {"default"}
    with instrument(client_factory(), registry=registry):
        assert ensembles(registry) == {"default"}


def test_the_names_of_caches_must_differ(client: KazooClient, registry: CollectorRegistry) -> None:
    with instrument(client, registry=registry), TreeCache(client, "/app"):
        refused = TreeCache(client, "/app")
        with pytest.raises(ValueError, match=r"^two caches of ensemble 'default' have the name '/app'; tell "):
            refused.start()
        with TreeCache(client, "/app", name="another"):
            assert trees(registry) == {("default", "/app"), ("default", "another")}
        assert trees(registry) == {("default", "/app")}


def test_caches_of_one_name_cannot_be_instrumented_later(client: KazooClient, registry: CollectorRegistry) -> None:
    with TreeCache(client, "/app"), TreeCache(client, "/app"):
        with pytest.raises(ValueError, match="have the name '/app'"):
            instrument(client, registry=registry)
        assert list(registry.collect()) == []
        with TreeCache(client, "/app"):
            pass
    with instrument(client, registry=registry):
        assert ensembles(registry) == {"default"}


def test_a_cache_that_could_not_start_is_forgotten(client: KazooClient, registry: CollectorRegistry) -> None:
    client.create("/ephemeral", ephemeral=True)
    with instrument(client, registry=registry):
        for _ in range(2):
            with pytest.raises(NoChildrenForEphemeralsError):
                TreeCache(client, "/ephemeral/app").start()
        assert trees(registry) == set()


def test_metrics_of_the_same_names_are_refused(client: KazooClient, registry: CollectorRegistry) -> None:
    Gauge("zookeeper_client_up", "The application's own.", registry=registry)
    with pytest.raises(ValueError, match="zookeeper_client_up"):
        instrument(client, registry=registry)
    assert [family.name for family in registry.collect()] == ["zookeeper_client_up"]
    with instrument(client, registry=CollectorRegistry()):
        client.get("/")


def test_multiprocess_mode_is_refused(
    client: KazooClient, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/run/metrics")
    with pytest.raises(RuntimeError, match="PROMETHEUS_MULTIPROC_DIR is set"):
        instrument(client, registry=registry)
    assert list(registry.collect()) == []


# Nothing is left over


def test_the_default_registry_is_as_before(client: KazooClient) -> None:
    before = {family.name for family in REGISTRY.collect()}
    handle = instrument(client)
    assert {family.name for family in REGISTRY.collect()} > before
    handle.uninstrument()
    handle.uninstrument()
    assert {family.name for family in REGISTRY.collect()} == before


def test_nothing_global_changes(client: KazooClient, registry: CollectorRegistry) -> None:
    provider, before = trace.get_tracer_provider(), {family.name for family in REGISTRY.collect()}
    with instrument(client, registry=registry, tracer_provider=TracerProvider(shutdown_on_exit=False)):
        client.get("/")
        assert trace.get_tracer_provider() is provider
        assert {family.name for family in REGISTRY.collect()} == before


def test_spans_go_to_the_given_provider_until_uninstrumented(client: KazooClient, registry: CollectorRegistry) -> None:
    exported = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exported))
    with instrument(client, registry=registry, tracer_provider=provider):
        client.get("/")
    client.get("/")
    assert [span.name for span in exported.get_finished_spans()] == ["getData"]


def test_spans_go_on_until_the_last_registry_is_left(client: KazooClient) -> None:
    exported = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exported))
    first = instrument(client, registry=CollectorRegistry(), tracer_provider=provider)
    second = instrument(client, registry=CollectorRegistry())
    first.uninstrument()
    first.uninstrument()
    client.get("/")
    assert [span.name for span in exported.get_finished_spans()] == ["getData"]
    second.uninstrument()
    client.get("/")
    assert [span.name for span in exported.get_finished_spans()] == ["getData"]


def test_nothing_goes_on_counting(client: KazooClient, registry: CollectorRegistry) -> None:
    def instruments() -> Iterator[ClientInstruments | CacheInstruments]:
        gc.collect()
        return (found for found in gc.get_objects() if isinstance(found, ClientInstruments | CacheInstruments))

    # Threads of earlier tests may end at the same time.
    before = weakref.WeakSet(instruments())
    with TreeCache(client, "/app"):
        handle = instrument(client, registry=registry)
        assert sum(one not in before for one in instruments()) == 2
        handle.uninstrument()
        # Requests that wait for their answers hold them until then.
        eventually(lambda: all(one in before for one in instruments()))


def test_a_registry_that_nobody_needs_is_freed(client: KazooClient) -> None:
    registry = CollectorRegistry()
    instrument(client, registry=registry).uninstrument()
    dead = weakref.ref(registry)
    del registry
    gc.collect()
    assert dead() is None


def test_a_cache_alone_imports_neither_prometheus_nor_opentelemetry() -> None:
    script = (
        "import sys, exporter; exporter.TreeCache\n"
        "assert not [name for name in sys.modules if name.startswith(('prometheus_client', 'opentelemetry'))]\n"
        "assert exporter.instrument and exporter.KazooInstrumentor\n"
        "assert not hasattr(exporter, 'nothing')"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
