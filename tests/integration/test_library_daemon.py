"""The daemon and an application with `instrument` expose the same metrics of clients and caches."""

from __future__ import annotations

from pathlib import Path

from kazoo.client import KazooClient
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from exporter import TreeCache, instrument
from exporter.telemetry.catalogue import CLIENT_REQUEST_ERRORS, ENSEMBLES, LIMITS, QUOTAS, SERVERS
from tests.conftest import ZooKeeper
from tests.integration.processes import running_exporter
from tests.support import eventually
from tests.telemetry.known import plain

#: Metrics that appear only when something occurs, and those that only the daemon has: it knows what it is to look at.
LEFT_OUT = {
    CLIENT_REQUEST_ERRORS.name,
    *(metric.name for group in (LIMITS, QUOTAS, SERVERS, ENSEMBLES) for metric in group.metrics),
}


def series(text: str) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Names and labels of the samples about ZooKeeper that both have from the start."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {
        (sample.name, frozenset(sample.labels.items()))
        for sample in samples
        if sample.name.startswith("zookeeper_") and sample.name not in LEFT_OUT
    }


def test_daemon_and_library_expose_the_same(tmp_path: Path, zookeeper: ZooKeeper, client: KazooClient) -> None:
    client.create("/services/web", makepath=True)
    registry = CollectorRegistry()
    with (
        running_exporter(tmp_path, zookeeper.hosts, "/services") as daemon,
        instrument(client, registry=registry),
        TreeCache(client, "/services") as cache,
    ):
        daemon.wait_ready()
        assert cache.wait_initialized(10)
        assert series(daemon.get("/metrics").text) == series(plain(registry).decode())

        assert daemon.metric("zookeeper_client_request_duration_seconds_count", operation="addWatch") == 1
        assert daemon.metric("zookeeper_cache_sync_duration_seconds_count", reason="start") == 1
        client.set("/services/web", b"new")
        eventually(lambda: daemon.metric("zookeeper_cache_refresh_duration_seconds_count") == 1)
