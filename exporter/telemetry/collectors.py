"""Collectors: read the stats of clients and caches, and their instruments, at each scrape."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client import Metric as Family
from prometheus_client.registry import Collector as Registered

from exporter.process import memory
from exporter.telemetry import catalogue
from exporter.telemetry.catalogue import Group
from exporter.telemetry.collecting import Collector, registry_of
from exporter.telemetry.sources import Counted, EnsembleSource, ReloadSource, ReloadStats
from exporter.treecache.shard import Shard
from exporter.treecache.stats import CACHE_STATES, ROOT_STATES, CacheStats
from exporter.zookeeper.stats import CLIENT_STATES, ClientStats

Stats = TypeVar("Stats")
#: Sample values by the values of the metric's own labels.
Samples = Mapping[tuple[str, ...], float]
Reader = Callable[[Stats], Samples]
#: The values of a group's labels, and the stats and instruments to read for them.
Snapshot = tuple[tuple[str, ...], Stats, Counted]


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
    catalogue.CLIENT_PROTOCOL_ERRORS.name: lambda stats: _each(stats.protocol_errors),
    catalogue.CLIENT_INQUIRIES.name: lambda stats: _each(stats.inquiries),
    catalogue.CLIENT_WATCHES.name: lambda stats: _each(stats.watches),
    catalogue.CLIENT_LAST_ZXID.name: lambda stats: _one(stats.last_zxid),
}

CACHE_READERS: Mapping[str, Reader[CacheStats]] = {
    catalogue.CACHE_INFO.name: lambda stats: {(stats.path, stats.mode): 1},
    catalogue.CACHE_STATE.name: lambda stats: {(state,): state == stats.state for state in CACHE_STATES},
    catalogue.CACHE_ENGINE_RESTARTS.name: lambda stats: _one(stats.engine_restarts),
    catalogue.CACHE_INITIALIZED.name: lambda stats: _one(stats.initialized),
    catalogue.CACHE_NODES.name: lambda stats: _each(stats.nodes),
    catalogue.CACHE_DATA_BYTES.name: lambda stats: _one(stats.data_bytes),
    catalogue.CACHE_UNREADABLE_NODES.name: lambda stats: _one(stats.unreadable_nodes),
    catalogue.CACHE_ROOT_STATE.name: lambda stats: {(state,): state == stats.root for state in ROOT_STATES},
    catalogue.CACHE_UNSETTLED_NODES.name: lambda stats: _one(stats.unsettled_nodes),
    catalogue.CACHE_OUTSTANDING_OPERATIONS.name: lambda stats: _one(stats.outstanding_operations),
    catalogue.CACHE_PENDING_PATHS.name: lambda stats: _one(stats.pending_paths),
    catalogue.CACHE_UNDELIVERED_EVENTS.name: lambda stats: _one(stats.undelivered_events),
    catalogue.CACHE_OLDEST_OPERATION_AGE.name: lambda stats: _one(stats.oldest_operation_age),
    catalogue.CACHE_EVENTS.name: lambda stats: _each(stats.events),
    catalogue.CACHE_FAULTS.name: lambda stats: _each(stats.faults),
    catalogue.CACHE_SYNCS.name: lambda stats: _each(stats.syncs),
    catalogue.CACHE_VERIFIED.name: lambda stats: _one(stats.verified_at),
    catalogue.CACHE_FRESHNESS_INTERVAL.name: lambda stats: _one(stats.freshness_interval),
    catalogue.CACHE_FRESHNESS_TIMEOUT.name: lambda stats: _one(stats.freshness_timeout),
    catalogue.CACHE_STALE_AFTER.name: lambda stats: _one(stats.stale_after),
    catalogue.CACHE_VERIFICATION_FAILURES.name: lambda stats: _each(stats.verification_failures),
    catalogue.CACHE_AUDITS.name: lambda stats: _one(stats.audits),
    catalogue.CACHE_AUDITED_NODES.name: lambda stats: _one(stats.audited_nodes),
    catalogue.CACHE_AUDIT_MISMATCHES.name: lambda stats: _each(stats.audit_mismatches),
    catalogue.CACHE_AUDIT_SKIPPED_NODES.name: lambda stats: _each(stats.audit_skipped),
}


def build_registry(
    ensembles: Sequence[EnsembleSource],
    version: str,
    reloads: ReloadSource | None = None,
    spans_dropped: Callable[[], int] = lambda: 0,
    shard: Shard | None = None,
    memory_limit: Callable[[], int] = memory.limit,
) -> CollectorRegistry:
    """A new registry with all metrics of `ensembles` and of the exporter itself."""
    exporter = exporter_collector(version, reloads, spans_dropped, shard, memory_limit)
    return registry_of([caches_collector(ensembles), clients_collector(ensembles), exporter])


def exporter_collector(
    version: str,
    reloads: ReloadSource | None = None,
    spans_dropped: Callable[[], int] = lambda: 0,
    shard: Shard | None = None,
    memory_limit: Callable[[], int] = memory.limit,
) -> Collector:
    """Collects the metrics of the exporter itself."""
    share = shard or Shard()
    build: Samples = {(version, platform.python_version()): 1}
    readers: Mapping[str, Reader[ReloadStats]] = {
        catalogue.BUILD_INFO.name: lambda _: build,
        catalogue.CONFIG_LAST_RELOAD_SUCCESSFUL.name: lambda stats: _one(stats.successful),
        catalogue.CONFIG_LAST_RELOAD_SUCCESS.name: lambda stats: _one(stats.succeeded_at),
        catalogue.MEMORY_LIMIT.name: lambda _: _one(memory_limit()),
        catalogue.SPANS_DROPPED.name: lambda _: _one(spans_dropped()),
        catalogue.SHARD_ORDINAL.name: lambda _: _one(share.ordinal),
        catalogue.SHARDS.name: lambda _: _one(share.total),
    }
    return GroupCollector(
        "exporter", catalogue.EXPORTER, readers, lambda: [((), reloads.stats() if reloads else ReloadStats(), {})]
    )


def caches_collector(ensembles: Iterable[EnsembleSource]) -> Collector:
    """Collects the metrics of every cache; reads `ensembles` anew at each scrape."""
    return GroupCollector(
        "caches",
        catalogue.CACHE,
        CACHE_READERS,
        lambda: [
            ((ensemble.name, tree), cache.stats(), ensemble.caches_counted.get(tree, {}))
            for ensemble in ensembles
            for tree, cache in ensemble.caches.items()
        ],
    )


def clients_collector(ensembles: Iterable[EnsembleSource]) -> Collector:
    """Collects the metrics of each ensemble's client; reads `ensembles` anew at each scrape."""
    return GroupCollector(
        "clients",
        catalogue.CLIENT,
        CLIENT_READERS,
        lambda: [((ensemble.name,), ensemble.client.stats(), ensemble.client_counted) for ensemble in ensembles],
    )


class EnsemblesCollector(Registered):
    """Collects the metrics of each ensemble's client and caches, for an application's own registry."""

    def __init__(self, ensembles: Iterable[EnsembleSource]) -> None:
        self._collectors = (caches_collector(ensembles), clients_collector(ensembles))

    def describe(self) -> Iterator[Family]:
        """The families without samples, so that registering reads no stats."""
        return (metric.family() for collector in self._collectors for metric in collector.metrics)

    def collect(self) -> Iterator[Family]:
        """The families as they are now."""
        return (family for collector in self._collectors for family in collector.collect())


class GroupCollector(Collector, Generic[Stats]):
    """Turns snapshots into the metrics of one group; each scrape takes every snapshot once.

    Args:
        name: its value of the label ``collector``.
        group: the metrics to collect.
        readers: how to read each metric from the stats, by its name; a metric without a reader is an instrument.
        snapshots: returns the snapshots for a scrape, each with the values of the group's labels.
    """

    def __init__(
        self,
        name: str,
        group: Group,
        readers: Mapping[str, Reader[Stats]],
        snapshots: Callable[[], Sequence[Snapshot[Stats]]],
    ) -> None:
        super().__init__(name, group.metrics)
        self._group = group
        self._readers = readers
        self._snapshots = snapshots

    def collect(self) -> Iterator[Family]:
        """The families as they are now."""
        snapshots = self._snapshots()
        for metric in self._group.metrics:
            family = metric.family()
            read = self._readers.get(metric.name)
            for group_values, stats, counted in snapshots:
                labels = dict(zip(self._group.labels, group_values, strict=True))
                if read is not None:
                    for values, value in read(stats).items():
                        own = zip(metric.labels, values, strict=True)
                        family.add_sample(metric.name, {**labels, **dict(own)}, float(value))
                elif metric.name in counted:
                    _add_counted(family, labels, counted[metric.name])
            yield family


def _add_counted(family: Family, labels: dict[str, str], counted: Registered) -> None:
    for counted_family in counted.collect():
        for sample in counted_family.samples:
            # The creation time of an instrument is of no use, and would take a series each.
            if not sample.name.endswith("_created"):
                family.add_sample(sample.name, {**labels, **sample.labels}, sample.value, exemplar=sample.exemplar)
