"""Sources: the objects that collectors and the status page read stats from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client.registry import Collector

from exporter.treecache.stats import CacheStats
from exporter.treecache.view import View
from exporter.zookeeper.quotas import Quota
from exporter.zookeeper.stats import ClientStats

#: Instruments by the name of their metric.
Counted = Mapping[str, Collector]


class ClientSource(Protocol):
    """Gives the stats of one ZooKeeper client; a Session is one."""

    def stats(self) -> ClientStats:
        """A snapshot, from any thread."""


class CacheSource(Protocol):
    """Gives the stats of one tree cache; a TreeCache is one."""

    def stats(self) -> CacheStats:
        """A snapshot, from any thread."""


@dataclass(frozen=True)
class Fault:
    """Faults of one kind in quick succession: the first one's text, their number, and the last one's Unix time."""

    text: str
    count: int
    last_at: float


class FaultSource(Protocol):
    """Gives the recent faults of one tree; a FaultMemory is one."""

    def recent(self) -> Sequence[Fault]:
        """The latest faults, a bounded number, from any thread."""


@dataclass(frozen=True)
class ServerStats:
    """One server of an ensemble, as it described itself at the last poll.

    Attributes:
        zk_host: its value of that label.
        is_up: whether it answered; None if that is not known, as before the first poll.
        source: where its numbers come from; None if it gave none.
        numbers: its numbers by the names of ``mntr``, labels included; empty if it gave none.
        texts: its version and its state, likewise.
        clock_offset: its clock minus the exporter's in seconds; None if its answer does not say.
        clients: how many connections each client has there, by address; None if it does not say.
        reason: why it gave nothing, one of the catalogue's ``SERVER_FAILURES``; empty if it gave something.
        problem: why it, or a better source, gave nothing, in words; empty if all is well.
        failures: questions without an answer, by the catalogue's ``SERVER_FAILURES``.
        malformed_lines: lines of its answers that cannot be read.
    """

    zk_host: str
    is_up: bool | None = None
    source: str | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    clock_offset: float | None = None
    clients: Mapping[str, int] | None = None
    reason: str = ""
    problem: str = ""
    failures: Mapping[str, int] = field(default_factory=dict)
    malformed_lines: int = 0


class ServersSource(Protocol):
    """Gives the stats of an ensemble's servers; a Polling is one."""

    #: Whether every number is wanted, not only those of the list.
    wants_all: bool

    def stats(self) -> Sequence[ServerStats]:
        """A snapshot of each server, from any thread."""

    async def probe(self, zk_host: str, timeout: float) -> ServerStats | None:
        """What one of the servers says now, within `timeout` seconds; None if it is none of them."""


@dataclass(frozen=True)
class EnsembleSource:
    """One observed ensemble: its configured name, its client, and its tree caches by configured name.

    It has the instruments of the client and of each cache, if any, the recent faults by tree, if known, and by tree the
    views of rules and of sizes, for trees that have one. `quotas` reads those of the ensemble, and blocks. `servers`
    are those that are polled.
    """

    name: str
    client: ClientSource
    caches: Mapping[str, CacheSource]
    client_counted: Counted = field(default_factory=dict)
    caches_counted: Mapping[str, Counted] = field(default_factory=dict)
    faults: Mapping[str, FaultSource] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    limits: Mapping[str, View] = field(default_factory=dict)
    quotas: Callable[[], Mapping[str, Quota]] | None = None
    servers: ServersSource | None = None


@dataclass(frozen=True)
class ReloadStats:
    """Whether the last reload of the configuration succeeded, and the Unix time of the last success; 0 for never."""

    successful: bool = False
    succeeded_at: float = 0.0


class ReloadSource(Protocol):
    """Gives the results of reloads of the configuration; a Reloader is one."""

    def stats(self) -> ReloadStats:
        """A snapshot, from any thread."""
