"""Sources: who can be asked for stats. What the collectors and the status page read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client.registry import Collector

from exporter.treecache.stats import CacheStats
from exporter.zookeeper.stats import ClientStats

#: What instruments counted while it happened, by the name of the metric.
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
    """Faults of one kind that came close together: the first in words, how many, and the last one's Unix time."""

    text: str
    count: int
    last_at: float


class FaultSource(Protocol):
    """Gives the recent faults of one tree; a FaultMemory is one."""

    def recent(self) -> Sequence[Fault]:
        """The latest ones, a bounded number, from any thread."""


@dataclass(frozen=True)
class EnsembleSource:
    """One ensemble under observation: its configured name, its client, and its tree caches by configured name.

    What was counted of the client and of each cache is there if they have instruments; so is, by the names of trees,
    what went wrong, where it is known.
    """

    name: str
    client: ClientSource
    caches: Mapping[str, CacheSource]
    client_counted: Counted = field(default_factory=dict)
    caches_counted: Mapping[str, Counted] = field(default_factory=dict)
    faults: Mapping[str, FaultSource] = field(default_factory=dict)


@dataclass(frozen=True)
class ReloadStats:
    """How the last reading of the configuration went, and when one last succeeded, in Unix time; 0 for never."""

    successful: bool = False
    succeeded_at: float = 0.0


class ReloadSource(Protocol):
    """Gives the results of reloads of the configuration; a Reloader is one."""

    def stats(self) -> ReloadStats:
        """A snapshot, from any thread."""
