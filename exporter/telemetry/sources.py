"""Sources: who can be asked for stats. What the collectors and the status page read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from exporter.treecache.stats import CacheStats
from exporter.zookeeper.stats import ClientStats


class ClientSource(Protocol):
    """Tells what one ZooKeeper client is doing; a Session does."""

    def stats(self) -> ClientStats:
        """A snapshot, from any thread."""


class CacheSource(Protocol):
    """Tells what one tree cache holds; a TreeCache does."""

    def stats(self) -> CacheStats:
        """A snapshot, from any thread."""


@dataclass(frozen=True)
class EnsembleSource:
    """One ensemble under observation: its configured name, its client, and its tree caches by configured name."""

    name: str
    client: ClientSource
    caches: Mapping[str, CacheSource]
