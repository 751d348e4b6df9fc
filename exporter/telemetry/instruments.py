"""Instruments: count the calls of a client, and the work of its caches, while they happen."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from prometheus_client import Counter, Histogram

from exporter.telemetry import catalogue
from exporter.telemetry.bulk import BulkHistogram
from exporter.telemetry.catalogue import Metric
from exporter.telemetry.sources import Counted, EnsembleSource
from exporter.treecache import TreeCache
from exporter.treecache.observer import CacheObserver
from exporter.treecache.outcome import SyncBegun
from exporter.treecache.sent import Sent
from exporter.zookeeper.calls import OPERATIONS, Call, ClientObserver
from exporter.zookeeper.session import Session

#: Errors that any operation may end with. Their counters start at 0, or else a rate would miss the first error.
_EXPECTED_ERRORS = ("CONNECTIONLOSS", "SESSIONEXPIRED")


class MultiprocessModeError(RuntimeError):
    """prometheus_client is set up to add up the metrics of several processes, which these metrics do not allow."""


class ClientInstruments(ClientObserver):
    """The instruments of one client, and of each cache that uses the client's session.

    Args:
        ensemble: the name of the client's ensemble.
        session: the client's session; nothing is counted before `start`.

    Raises:
        MultiprocessModeError: the environment has PROMETHEUS_MULTIPROC_DIR.
    """

    def __init__(self, ensemble: str, session: Session) -> None:
        _refuse_multiprocess_mode()
        self._ensemble = ensemble
        self._session = session
        self._caches: Mapping[str, CacheInstruments] = {}
        durations = _histogram(catalogue.CLIENT_REQUEST_DURATION)
        self._observe = {operation: durations.labels(operation).observe for operation in OPERATIONS}
        self._errors = _counter(catalogue.CLIENT_REQUEST_ERRORS)
        self._connects = _histogram(catalogue.CLIENT_CONNECT_DURATION)
        self._used: set[str] = set()
        self._counted: Counted = {
            catalogue.CLIENT_REQUEST_DURATION.name: durations,
            catalogue.CLIENT_REQUEST_ERRORS.name: self._errors,
            catalogue.CLIENT_CONNECT_DURATION.name: self._connects,
        }

    def start(self) -> None:
        """Starts counting.

        Raises:
            ValueError: two caches on the session have the same name; nothing is counted then.
        """
        self._session.observers.add(self)

    def stop(self) -> None:
        """Stops counting."""
        self._session.observers.remove(self)

    @property
    def is_alive(self) -> bool:
        """Whether the client lives in this process, not in one that this process was forked from."""
        return self._session.is_alive

    @property
    def gives_way(self) -> bool:
        """Whether another client may take its place: it was started before a fork, or made before it and never used."""
        return not self._session.is_alive or self._session.is_inherited_and_idle

    @property
    def source(self) -> EnsembleSource:
        """The client and its caches, for collectors to read."""
        return EnsembleSource(
            self._ensemble,
            self._session,
            {name: instruments.cache for name, instruments in self._caches.items()},
            self._counted,
            {name: instruments.counted for name, instruments in self._caches.items()},
        )

    def call_began(self, call: Call) -> None:
        if call.operation not in self._used:
            self._used.add(call.operation)
            for error in _EXPECTED_ERRORS:
                self._errors.labels(call.operation, error)

    def call_ended(self, call: Call) -> None:
        assert call.ended_at is not None
        exemplar = _copy(call.exemplar)
        self._observe[call.operation](call.ended_at - call.began_at, exemplar)
        if call.error is not None:
            self._errors.labels(call.operation, call.error).inc()

    def connected(self, seconds: float, exemplar: Mapping[str, str] | None) -> None:
        self._connects.observe(seconds, _copy(exemplar))

    def joined(self, tenant: object) -> None:
        if not isinstance(tenant, TreeCache):
            return
        if tenant.name in self._caches:
            raise ValueError(
                f"two caches of ensemble {self._ensemble!r} have the name {tenant.name!r}; "
                "tell them apart with TreeCache(..., name=...)"
            )
        self._caches = {**self._caches, tenant.name: CacheInstruments(tenant)}

    def forked(self) -> None:
        self._caches = {}

    def left(self, tenant: object) -> None:
        for instruments in self._caches.values():
            if instruments.cache is tenant:
                instruments.stop()
        self._caches = {name: other for name, other in self._caches.items() if other.cache is not tenant}


class CacheInstruments(CacheObserver):
    """The instruments of one cache; they count until stopped."""

    def __init__(self, cache: TreeCache) -> None:
        self.cache = cache
        self._syncs = _histogram(catalogue.CACHE_SYNC_DURATION)
        self._refreshes = BulkHistogram(catalogue.CACHE_REFRESH_DURATION)
        self._delays = BulkHistogram(catalogue.CACHE_PROPAGATION_DELAY)
        self._listeners = BulkHistogram(catalogue.CACHE_LISTENER_DURATION)
        self._verifications = _histogram(catalogue.CACHE_VERIFICATION_DURATION)
        #: The cache's instruments, by metric name.
        self.counted: Counted = {
            catalogue.CACHE_SYNC_DURATION.name: self._syncs,
            catalogue.CACHE_REFRESH_DURATION.name: self._refreshes,
            catalogue.CACHE_PROPAGATION_DELAY.name: self._delays,
            catalogue.CACHE_LISTENER_DURATION.name: self._listeners,
            catalogue.CACHE_VERIFICATION_DURATION.name: self._verifications,
        }
        cache.observe(self)

    def stop(self) -> None:
        """Stops counting."""
        self.cache.disregard(self)

    def sync_ended(self, sync: SyncBegun, at: float, complete: bool) -> None:
        if complete:
            self._syncs.labels(sync.reason).observe(at - sync.at, _copy(sync.exemplar))

    def refreshed(self, sent: Sent, at: float) -> None:
        self._refreshes.observe_all([at - cause.heard_at for cause in sent.causes.values()], sent.exemplar)

    def propagated(self, sent: Sent, delays: Sequence[float]) -> None:
        self._delays.observe_all(delays, sent.exemplar)

    def listened(self, seconds: float) -> None:
        self._listeners.observe(seconds)

    def verified(self, seconds: float, exemplar: Mapping[str, str] | None) -> None:
        self._verifications.observe(seconds, _copy(exemplar))


def _copy(exemplar: Mapping[str, str] | None) -> dict[str, str] | None:
    return None if exemplar is None else dict(exemplar)


def _refuse_multiprocess_mode() -> None:
    for variable in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):
        if variable in os.environ:
            raise MultiprocessModeError(
                f"{variable} is set ({os.environ[variable]}), but the metrics of sessions and caches cannot be added "
                "up over processes: unset it, and let Prometheus scrape each process at its own port"
            )


def _histogram(metric: Metric) -> Histogram:
    """A histogram outside of any registry, with every known value of its label."""
    assert metric.buckets is not None
    histogram = Histogram(metric.name, metric.help, tuple(metric.labels), registry=None, buckets=metric.buckets.bounds)
    for values in metric.labels.values():
        for value in values:
            histogram.labels(value)
    return histogram


def _counter(metric: Metric) -> Counter:
    """A counter outside of any registry; combinations of labels appear as they occur."""
    return Counter(metric.name, metric.help, tuple(metric.labels), registry=None)
