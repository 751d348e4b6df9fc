"""Instruments: exemplars, unknown operations, and refusals."""

from __future__ import annotations

import pytest
from kazoo.client import KazooClient
from kazoo.protocol.serialization import GetData
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.samples import Exemplar

from exporter.telemetry.collectors import EnsemblesCollector
from exporter.telemetry.instruments import CacheInstruments, ClientInstruments, MultiprocessModeError
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache import TreeCache
from exporter.treecache.outcome import SyncBegun
from exporter.treecache.sent import Sent
from exporter.zookeeper.messages import WatchEvent
from exporter.zookeeper.session import Session
from exporter.zookeeper.wire import MultiRead
from tests.telemetry.known import BUSY_CACHE, BUSY_CLIENT, Source, call, openmetrics, plain

TRACE = {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"}


@pytest.fixture
def client() -> ClientInstruments:
    return ClientInstruments("main", Session.attach(KazooClient()))


@pytest.fixture
def cache() -> CacheInstruments:
    return CacheInstruments(TreeCache(KazooClient(), "/services"))


@pytest.fixture
def registry(client: ClientInstruments, cache: CacheInstruments) -> CollectorRegistry:
    source = EnsembleSource(
        "main",
        Source(BUSY_CLIENT),
        {"/services": Source(BUSY_CACHE)},
        client.source.client_counted,
        {"/services": cache.counted},
    )
    registry = CollectorRegistry()
    registry.register(EnsemblesCollector([source]))
    return registry


def exemplars(registry: CollectorRegistry) -> dict[tuple[str, str], Exemplar]:
    """The exemplars of a scrape in the OpenMetrics format, by name and bucket."""
    families = list(parse_openmetrics(openmetrics(registry).decode()))  # type: ignore[no-untyped-call]
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name, sample.labels["le"]): sample.exemplar for sample in samples if sample.exemplar}


def test_a_sampled_call_is_the_exemplar_of_its_bucket(client: ClientInstruments, registry: CollectorRegistry) -> None:
    sampled, unsampled = call(GetData("/a", None), 0.75), call(GetData("/a", None), 0.25)
    sampled.exemplar = TRACE
    client.call_ended(sampled)
    client.call_ended(unsampled)
    (((name, bucket), exemplar),) = exemplars(registry).items()
    assert (name, bucket) == ("zookeeper_client_request_duration_seconds_bucket", "1.0")
    assert (exemplar.labels, exemplar.value) == (TRACE, 0.75)
    assert b"trace_id" not in plain(registry)


def test_a_refresh_refers_to_the_call_that_it_took(cache: CacheInstruments, registry: CollectorRegistry) -> None:
    causes = {"/a": WatchEvent(3, "/a", -1, heard_at=1000.0)}
    sent = Sent(MultiRead("", ("/a",), ()), 1000.25, causes=causes, exemplar=TRACE)
    cache.refreshed(sent, 1000.5)
    cache.propagated(sent, [0.75])
    found = exemplars(registry)
    exemplar = found["zookeeper_cache_refresh_duration_seconds_bucket", "0.5"]
    assert (exemplar.labels, exemplar.value) == (TRACE, 0.5)
    exemplar = found["zookeeper_cache_propagation_delay_seconds_bucket", "1.0"]
    assert (exemplar.labels, exemplar.value) == (TRACE, 0.75)


def test_a_sync_refers_to_its_span_and_a_check_to_its_barriers(
    cache: CacheInstruments, registry: CollectorRegistry
) -> None:
    cache.sync_ended(SyncBegun("start", 10.0, TRACE), 10.5, True)
    cache.sync_ended(SyncBegun("start", 20.0), 20.5, True)
    cache.verified(0.25, TRACE)
    cache.verified(0.25, None)
    assert {key: (exemplar.labels, exemplar.value) for key, exemplar in exemplars(registry).items()} == {
        ("zookeeper_cache_sync_duration_seconds_bucket", "0.5"): (TRACE, 0.5),
        ("zookeeper_cache_verification_duration_seconds_bucket", "0.25"): (TRACE, 0.25),
    }


def test_a_connection_refers_to_the_call_for_its_session(
    client: ClientInstruments, registry: CollectorRegistry
) -> None:
    client.connected(0.75, TRACE)
    (((name, bucket), exemplar),) = exemplars(registry).items()
    assert (name, bucket) == ("zookeeper_client_connect_duration_seconds_bucket", "1.0")
    assert (exemplar.labels, exemplar.value) == (TRACE, 0.75)


def test_an_unknown_operation_is_counted_as_other(client: ClientInstruments, registry: CollectorRegistry) -> None:
    class Novelty:
        type = 4711

    client.call_ended(call(Novelty(), 0.5, "other"))
    labels = {"ensemble": "main", "operation": "other"}
    assert registry.get_sample_value("zookeeper_client_request_duration_seconds_count", labels) == 1
    assert registry.get_sample_value("zookeeper_client_request_errors_total", {**labels, "error": "other"}) == 1


def test_multiprocess_mode_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/run/metrics")
    with pytest.raises(MultiprocessModeError, match=r"^PROMETHEUS_MULTIPROC_DIR is set \(/run/metrics\), but "):
        ClientInstruments("main", Session.attach(KazooClient()))
