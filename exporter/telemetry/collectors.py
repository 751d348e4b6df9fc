"""Collectors: read the stats of clients and caches when Prometheus scrapes, and keep nothing of their own."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client import Metric as Family
from prometheus_client.registry import Collector

from exporter.telemetry import catalogue
from exporter.telemetry.catalogue import Group
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache.stats import CacheStats
from exporter.zookeeper.stats import CLIENT_STATES, ClientStats

Stats = TypeVar("Stats")
#: The values of a metric's own labels -> the value of that sample.
Samples = Mapping[tuple[str, ...], float]
Reader = Callable[[Stats], Samples]
#: The values of a group's labels, with what can be read under them.
Snapshot = tuple[tuple[str, ...], Stats]


def _one(value: float) -> Samples:
    return {(): value}


def _each(values: Mapping[str, int]) -> Samples:
    return {(key,): value for key, value in values.items()}


CLIENT_READERS: Mapping[str, Reader[ClientStats]] = {
    catalogue.CLIENT_UP.name: lambda stats: _one(stats.state in ("connected", "connected_ro")),
    catalogue.CLIENT_STATE.name: lambda stats: {(state,): state == stats.state for state in CLIENT_STATES},
    catalogue.CLIENT_STATE_TRANSITIONS.name: lambda stats: _each(stats.transitions),
    catalogue.CLIENT_SESSIONS_LOST.name: lambda stats: _each(stats.sessions_lost),
    catalogue.CLIENT_SESSION_INFO.name: lambda stats: {(stats.server,): 1} if stats.server else {},
    catalogue.CLIENT_SESSION_START.name: lambda stats: _one(stats.session_started_at),
    catalogue.CLIENT_SESSION_TIMEOUT.name: lambda stats: _one(stats.session_timeout),
    catalogue.CLIENT_SESSION_DEADLINE.name: lambda stats: _one(stats.session_deadline_at),
    catalogue.CLIENT_LAST_HEARD.name: lambda stats: _one(stats.last_heard_at),
    catalogue.CLIENT_CONNECTION_ATTEMPTS.name: lambda stats: _one(stats.connection_attempts),
    catalogue.CLIENT_CONNECTION_FAILURES.name: lambda stats: _each(stats.connection_failures),
    catalogue.CLIENT_REQUESTS_OUTSTANDING.name: lambda stats: _one(stats.requests_outstanding),
    catalogue.CLIENT_OLDEST_REQUEST_AGE.name: lambda stats: _one(stats.oldest_request_age),
    catalogue.CLIENT_SENT_BYTES.name: lambda stats: _one(stats.sent_bytes),
    catalogue.CLIENT_RECEIVED_BYTES.name: lambda stats: _one(stats.received_bytes),
    catalogue.CLIENT_WATCH_EVENTS.name: lambda stats: _each(stats.watch_events),
    catalogue.CLIENT_WATCHES.name: lambda stats: _each(stats.watches),
    catalogue.CLIENT_LAST_ZXID.name: lambda stats: _one(stats.last_zxid),
}

CACHE_READERS: Mapping[str, Reader[CacheStats]] = {
    catalogue.CACHE_INFO.name: lambda stats: {(stats.path, stats.mode): 1},
    catalogue.CACHE_INITIALIZED.name: lambda stats: _one(stats.initialized),
    catalogue.CACHE_NODES.name: lambda stats: _each(stats.nodes),
    catalogue.CACHE_DATA_BYTES.name: lambda stats: _one(stats.data_bytes),
    catalogue.CACHE_UNREADABLE_NODES.name: lambda stats: _one(stats.unreadable_nodes),
    catalogue.CACHE_OUTSTANDING_OPERATIONS.name: lambda stats: _one(stats.outstanding_operations),
    catalogue.CACHE_PENDING_PATHS.name: lambda stats: _one(stats.pending_paths),
    catalogue.CACHE_UNDELIVERED_EVENTS.name: lambda stats: _one(stats.undelivered_events),
    catalogue.CACHE_OLDEST_OPERATION_AGE.name: lambda stats: _one(stats.oldest_operation_age),
    catalogue.CACHE_EVENTS.name: lambda stats: _each(stats.events),
    catalogue.CACHE_FAULTS.name: lambda stats: _each(stats.faults),
    catalogue.CACHE_SYNCS.name: lambda stats: _each(stats.syncs),
}


def build_registry(ensembles: Sequence[EnsembleSource], version: str) -> CollectorRegistry:
    """A registry of its own with everything that the daemon exposes about `ensembles` and about itself."""
    registry = CollectorRegistry(auto_describe=True)
    registry.register(cache_collector(ensembles))
    registry.register(client_collector(ensembles))
    registry.register(build_info_collector(version))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def client_collector(ensembles: Iterable[EnsembleSource]) -> Collector:
    """Collects the `zookeeper_client_*` metrics of each ensemble's client."""
    return _StatsCollector(
        catalogue.CLIENT,
        CLIENT_READERS,
        lambda: [((ensemble.name,), ensemble.client.stats()) for ensemble in ensembles],
    )


def cache_collector(ensembles: Iterable[EnsembleSource]) -> Collector:
    """Collects the `zookeeper_cache_*` metrics of each ensemble's trees."""
    return _StatsCollector(
        catalogue.CACHE,
        CACHE_READERS,
        lambda: [
            ((ensemble.name, tree), cache.stats()) for ensemble in ensembles for tree, cache in ensemble.caches.items()
        ],
    )


def build_info_collector(version: str) -> Collector:
    """Collects `treecache_exporter_build_info`."""
    samples: Samples = {(version, platform.python_version()): 1}
    readers: Mapping[str, Reader[None]] = {catalogue.BUILD_INFO.name: lambda _: samples}
    return _StatsCollector(catalogue.EXPORTER, readers, lambda: [((), None)])


class _StatsCollector(Collector, Generic[Stats]):
    """Writes snapshots out as the metrics of one group; each scrape takes every snapshot once."""

    def __init__(
        self,
        group: Group,
        readers: Mapping[str, Reader[Stats]],
        snapshots: Callable[[], Sequence[Snapshot[Stats]]],
    ) -> None:
        self._group = group
        self._readers = readers
        self._snapshots = snapshots

    def describe(self) -> Iterator[Family]:
        """The families without samples, so that registering reads no stats."""
        return (metric.family() for metric in self._group.metrics)

    def collect(self) -> Iterator[Family]:
        """The families as they are now."""
        snapshots = self._snapshots()
        for metric in self._group.metrics:
            family = metric.family()
            read = self._readers[metric.name]
            label_names = (*self._group.labels, *metric.labels)
            for group_values, stats in snapshots:
                for own_values, value in read(stats).items():
                    labels = dict(zip(label_names, group_values + own_values, strict=True))
                    family.add_sample(metric.name, labels, float(value))
            yield family
