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
class EnsembleSource:
    """One observed ensemble: its configured name, its client, and its tree caches by configured name.

    It has the instruments of the client and of each cache, if any, the recent faults by tree, if known, and by tree the
    views of rules and of sizes, for trees that have one. `quotas` reads those of the ensemble, and blocks.
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


@dataclass(frozen=True)
class ReloadStats:
    """Whether the last reload of the configuration succeeded, and the Unix time of the last success; 0 for never."""

    successful: bool = False
    succeeded_at: float = 0.0


class ReloadSource(Protocol):
    """Gives the results of reloads of the configuration; a Reloader is one."""

    def stats(self) -> ReloadStats:
        """A snapshot, from any thread."""
