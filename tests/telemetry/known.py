"""Sources with known stats, and what a scrape of them must look like, byte for byte.

`make generate` writes tests/golden/metrics*.txt; read the difference before you keep it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from kazoo.client import KazooClient
from kazoo.protocol.serialization import Create, GetData
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from exporter.telemetry.collectors import EnsemblesCollector
from exporter.telemetry.instruments import CacheInstruments, ClientInstruments
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache import TreeCache
from exporter.treecache.outcome import SyncBegun
from exporter.treecache.sent import Sent
from exporter.treecache.stats import (
    EVENT_NAMES,
    FAULT_KINDS,
    MISMATCH_KINDS,
    NODE_KINDS,
    SKIP_REASONS,
    SYNC_REASONS,
    VERIFICATION_FAILURES,
    CacheStats,
)
from exporter.zookeeper.calls import Call
from exporter.zookeeper.messages import WatchEvent
from exporter.zookeeper.protocol import PROTOCOL_ERRORS
from exporter.zookeeper.session import Session
from exporter.zookeeper.stats import (
    ENTERED_STATES,
    FAILURE_REASONS,
    INQUIRY_RESULTS,
    LOST_REASONS,
    WATCH_EVENTS,
    WATCH_KINDS,
    ClientStats,
)
from exporter.zookeeper.wire import MultiRead

GOLDEN = Path(__file__).parent.parent / "golden"

Stats = TypeVar("Stats")


@dataclass
class Source(Generic[Stats]):
    """Gives fixed stats, and counts the calls."""

    told: Stats
    asked: int = 0

    def stats(self) -> Stats:
        self.asked += 1
        return self.told


def _numbered(keys: tuple[str, ...], start: int) -> dict[str, int]:
    return {key: number for number, key in enumerate(keys, start)}


BUSY_CLIENT = ClientStats(
    state="connected",
    server="zk1.example:2181",
    session_id="0x1000000abcd0001",
    transitions=_numbered(ENTERED_STATES, 1),
    sessions_lost=_numbered(LOST_REASONS, 11),
    session_started_at=1_700_000_000.25,
    session_timeout=10.0,
    session_deadline_at=1_700_000_110.5,
    last_heard_at=1_700_000_100.5,
    last_zxid=0x1_0000_0002,
    connection_attempts=21,
    connection_failures=_numbered(FAILURE_REASONS, 31),
    requests_outstanding=4,
    oldest_request_age=0.125,
    sent_bytes=5_000,
    received_bytes=6_000_000,
    watch_events=_numbered(WATCH_EVENTS, 41),
    watches=_numbered(WATCH_KINDS, 51),
    protocol_errors=_numbered(PROTOCOL_ERRORS, 171),
    inquiries=_numbered(INQUIRY_RESULTS, 181),
)
NEW_CLIENT = ClientStats(
    state="connecting",
    server=None,
    session_id="",
    transitions=dict.fromkeys(ENTERED_STATES, 0),
    sessions_lost=dict.fromkeys(LOST_REASONS, 0),
    session_started_at=0.0,
    session_timeout=0.0,
    session_deadline_at=0.0,
    last_heard_at=0.0,
    last_zxid=0,
    connection_attempts=0,
    connection_failures=dict.fromkeys(FAILURE_REASONS, 0),
    requests_outstanding=0,
    oldest_request_age=0.0,
    sent_bytes=0,
    received_bytes=0,
    watch_events=dict.fromkeys(WATCH_EVENTS, 0),
    watches=dict.fromkeys(WATCH_KINDS, 0),
)
BUSY_CACHE = CacheStats(
    path="/services",
    mode="recursive",
    initialized=True,
    nodes=_numbered(NODE_KINDS, 101),
    data_bytes=123_456,
    unreadable_nodes=3,
    outstanding_operations=512,
    pending_paths=7,
    undelivered_events=2,
    oldest_operation_age=0.5,
    events=_numbered(EVENT_NAMES, 111),
    faults=_numbered(FAULT_KINDS, 121),
    syncs=_numbered(SYNC_REASONS, 131),
    verified_at=1_700_000_099.5,
    verified_in=0.0125,
    freshness_timeout=10.0,
    freshness_interval=5.0,
    stale_after=30.0,
    verification_failures=_numbered(VERIFICATION_FAILURES, 141),
    audits=151,
    audited_nodes=152_000,
    audit_mismatches=_numbered(MISMATCH_KINDS, 161),
    audit_skipped=_numbered(SKIP_REASONS, 181),
    state="in_sync",
    engine_restarts=171,
    root="readable",
    unsettled_nodes=5,
)
NEW_CACHE = CacheStats(
    path="/services",
    mode="recursive",
    initialized=False,
    nodes=dict.fromkeys(NODE_KINDS, 0),
    data_bytes=0,
    unreadable_nodes=0,
    outstanding_operations=0,
    pending_paths=0,
    undelivered_events=0,
    oldest_operation_age=0.0,
    events=dict.fromkeys(EVENT_NAMES, 0),
    faults=dict.fromkeys(FAULT_KINDS, 0),
    syncs=dict.fromkeys(SYNC_REASONS, 0),
)


def ensemble(name: str = "main", client: ClientStats = BUSY_CLIENT, cache: CacheStats = BUSY_CACHE) -> EnsembleSource:
    """An ensemble with one tree, named after its path."""
    return EnsembleSource(name, Source(client), {cache.path: Source(cache)})


def new_ensemble() -> EnsembleSource:
    """A fresh ensemble `main` with one tree, and unused instruments."""
    return replace(
        ensemble("main", NEW_CLIENT, NEW_CACHE),
        client_counted=unused_client_instruments().source.client_counted,
        caches_counted={NEW_CACHE.path: unused_cache_instruments().counted},
    )


def unused_client_instruments() -> ClientInstruments:
    """Instruments of a client that was never started."""
    return ClientInstruments("main", Session.attach(KazooClient()))


def unused_cache_instruments() -> CacheInstruments:
    """Instruments of a cache that was never started."""
    return CacheInstruments(TreeCache(KazooClient(), "/services"))


def call(request: object, seconds: float, error: str | None = None) -> Call:
    """A call with this duration and error."""
    ended = Call(request, ())
    ended.began_at, ended.ended_at, ended.error = 1000.0, 1000.0 + seconds, error
    return ended


def busy_client_instruments() -> ClientInstruments:
    """Instruments that have counted a connection and seven calls, three of which failed."""
    instruments = unused_client_instruments()
    get, create = GetData("/a", None), Create("/a", b"", [], 0)
    for ended in (call(get, 1 / 4096), call(get, 1 / 1024), call(get, 0.75), call(get, 0.25, "NONODE")):
        instruments.call_ended(ended)
    for ended in (call(create, 1 / 256), call(create, 60, "CONNECTIONLOSS"), call(create, 61, "CONNECTIONLOSS")):
        instruments.call_ended(ended)
    instruments.connected(0.0625, None)
    return instruments


def busy_cache_instruments() -> CacheInstruments:
    """Instruments that have counted one interrupted sync, one completed, and one or two of everything else."""
    instruments = unused_cache_instruments()
    instruments.sync_ended(SyncBegun("start", 10), 11, False)
    instruments.sync_ended(SyncBegun("reconnect", 20), 20.25, True)
    causes = {"/a": WatchEvent(3, "/a", -1, heard_at=30.0), "/b": WatchEvent(3, "/b", -1, heard_at=30.5)}
    refresh = Sent(MultiRead("", ("/a", "/b"), ()), 30.75, causes=causes)
    instruments.refreshed(refresh, 31.0)
    instruments.propagated(refresh, [0.0, 7.0])
    instruments.listened(0.0625)
    instruments.verified(0.125, None)
    return instruments


def busy_ensemble(cache: CacheStats = BUSY_CACHE) -> EnsembleSource:
    """An ensemble `main` with one tree and busy instruments."""
    return replace(
        ensemble("main", cache=cache),
        client_counted=busy_client_instruments().source.client_counted,
        caches_counted={cache.path: busy_cache_instruments().counted},
    )


def registry() -> CollectorRegistry:
    """A busy ensemble, whose tree's name needs escaping, and a fresh one."""
    odd = replace(BUSY_CACHE, path='/odd "path"\\')
    ensembles = [busy_ensemble(odd), ensemble("new", NEW_CLIENT, NEW_CACHE)]
    known = CollectorRegistry()
    known.register(EnsemblesCollector(ensembles))
    return known


def plain(registry: CollectorRegistry) -> bytes:
    """A scrape in Prometheus' text format."""
    encode, _ = choose_encoder("text/plain")
    return encode(registry)


def openmetrics(registry: CollectorRegistry) -> bytes:
    """A scrape in OpenMetrics' text format."""
    encode, _ = choose_encoder("application/openmetrics-text; version=1.0.0")
    return encode(registry)


def expositions() -> dict[Path, bytes]:
    """What each golden file must hold."""
    return {
        GOLDEN / "metrics.txt": plain(registry()),
        GOLDEN / "metrics.openmetrics.txt": openmetrics(registry()),
    }
