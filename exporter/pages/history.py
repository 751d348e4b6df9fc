"""History: the latest look at all ensembles, the last ten minutes for charts, and the changes between looks."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from exporter.pages.conditions import CONNECTIONS, situation_of
from exporter.pages.format import counted
from exporter.pages.standing import Standing, standing_of, worst_first
from exporter.pages.standinglog import StandingLog
from exporter.telemetry.sources import EnsembleSource, Fault, ServerStats
from exporter.treecache.stats import CacheStats
from exporter.treecache.view import View
from exporter.zookeeper.stats import ClientStats

#: Seconds between two points of a chart, and the number of points.
INTERVAL = 5.0
POINTS = 120
#: How many changes are remembered.
_REMEMBERED = 30


@dataclass(frozen=True)
class Look:
    """One ensemble at one moment: its client's stats, its trees' stats, known faults, views and standings, its servers.

    The standings are sorted, the worst first. Servers that are not polled are not there.
    """

    name: str
    client: ClientStats
    trees: Mapping[str, CacheStats]
    faults: Mapping[str, Sequence[Fault]]
    views: Mapping[str, View] = field(default_factory=dict)
    limits: Mapping[str, View] = field(default_factory=dict)
    standings: Sequence[Standing] = ()
    servers: Sequence[ServerStats] = ()


@dataclass(frozen=True)
class Change:
    """Something that happened: when (Unix time), where, what, and its level."""

    at: float
    where: str
    what: str
    level: str


class Charts(NamedTuple):
    """One tree's last ten minutes, oldest first: events per second, and maximum staleness in seconds once verified."""

    rates: tuple[float, ...] = ()
    staleness: tuple[float, ...] = ()


@dataclass
class Series:
    """The points of one tree's charts; the events and the time at the latest point; the maximum staleness since."""

    counted: int
    at: float
    stalest: float = 0.0
    loading: bool = True
    #: Since when the tree has been complete without ever being verified.
    unverified_since: float | None = None
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=POINTS))
    staleness: deque[float] = field(default_factory=lambda: deque(maxlen=POINTS))

    def unverified_for(self, at: float) -> float:
        """The seconds that the tree has been complete, if it was never verified; otherwise 0."""
        return 0.0 if self.unverified_since is None else at - self.unverified_since

    def add(self, tree: CacheStats, at: float) -> None:
        """Adds a point when one is due. Events of a sync do not count: they would dwarf everything after."""
        events = changes_of(tree)
        if tree.verified_at:
            self.stalest = max(self.stalest, time.time() - tree.verified_at)
        if self.loading:
            self.counted = events
        self.loading = not tree.initialized
        if self.loading or tree.verified_at:
            self.unverified_since = None
        elif self.unverified_since is None:
            self.unverified_since = at
        if at - self.at < INTERVAL:
            return
        self.rates.append(max(0, events - self.counted) / (at - self.at))
        self.counted, self.at = events, at
        if tree.verified_at:
            self.staleness.append(self.stalest)
        self.stalest = 0.0


class History:
    """Remembers what each look finds. Thread-safe."""

    def __init__(self, ensembles: Sequence[EnsembleSource]) -> None:
        self._ensembles = ensembles
        self._lock = threading.Lock()
        self._series: dict[tuple[str, str], Series] = {}
        self._before: dict[str, Look] = {}
        self._changes: deque[Change] = deque(maxlen=_REMEMBERED)
        self._log = StandingLog()

    def look(self) -> list[Look]:
        """Asks every source once; remembers and logs the changes."""
        # Looks are noted in order: an earlier one must not overwrite a later one.
        with self._lock:
            return self._note([_look(ensemble) for ensemble in self._ensembles])

    def latest(self) -> list[Look]:
        """The result of the latest look, without asking a source or waiting."""
        return list(self._before.values())

    def standing(self, ensemble: str, tree: str) -> tuple[ClientStats, Standing] | None:
        """One tree and its ensemble's client as they are now; asks no other source and remembers nothing."""
        for source in self._ensembles:
            cache = source.caches.get(tree) if source.name == ensemble else None
            if cache is not None:
                client = source.client.stats()
                unverified_for, sizes = self._unverified_for(ensemble, tree), source.limits.get(tree)
                return client, standing_of(tree, client, cache.stats(), unverified_for, sizes)
        return None

    def charts(self, ensemble: str, tree: str) -> Charts:
        """The charts of one tree, with a point for each `INTERVAL`."""
        with self._lock:
            series = self._series.get((ensemble, tree))
            return Charts(tuple(series.rates), tuple(series.staleness)) if series else Charts()

    def _unverified_for(self, ensemble: str, tree: str) -> float:
        with self._lock:
            series = self._series.get((ensemble, tree))
            return series.unverified_for(time.monotonic()) if series else 0.0

    def changes(self) -> list[Change]:
        """The changes, the latest first."""
        with self._lock:
            return list(reversed(self._changes))

    def _note(self, looks: Sequence[Look]) -> list[Look]:
        """Remembers the looks, and returns them with the standings of their trees."""
        now, moment = time.time(), time.monotonic()
        series, noted = {}, []
        for look in looks:
            standings = []
            for name, tree in look.trees.items():
                one = self._series.get((look.name, name)) or Series(changes_of(tree), moment)
                one.add(tree, moment)
                series[look.name, name] = one
                sizes = look.limits.get(name)
                standings.append(standing_of(name, look.client, tree, one.unverified_for(moment), sizes))
            noted.append(replace(look, standings=worst_first(standings)))
            before = self._before.get(look.name)
            if before is not None:
                self._changes.extend(_changes(before, noted[-1], now))
        self._log.note({look.name: look.standings for look in noted})
        self._series = series
        self._before = {look.name: look for look in noted}
        return noted


def _look(ensemble: EnsembleSource) -> Look:
    return Look(
        name=ensemble.name,
        client=ensemble.client.stats(),
        trees={name: cache.stats() for name, cache in ensemble.caches.items()},
        faults={name: memory.recent() for name, memory in ensemble.faults.items()},
        views=ensemble.views,
        limits=ensemble.limits,
        servers=ensemble.servers.stats() if ensemble.servers is not None else (),
    )


def changes_of(tree: CacheStats) -> int:
    """The total number of added, updated and removed znodes."""
    return sum(tree.events[name] for name in ("node_added", "node_updated", "node_removed"))


def _changes(before: Look, now: Look, at: float) -> Iterator[Change]:
    if (situation := situation_of(now.client)) != situation_of(before.client):
        level, words, *_ = CONNECTIONS[situation]
        server = f" to {now.client.server}" if now.client.server and level != "bad" else ""
        yield Change(at, now.name, words + server, level)
    for reason, number in now.client.sessions_lost.items():
        if number > before.client.sessions_lost[reason] and now.client.state != "lost":
            yield Change(at, now.name, f"session lost: {reason.replace('_', ' ')}", "bad")
    earlier = {standing.name: standing for standing in before.standings}
    for standing in reversed(now.standings):
        if standing.name in earlier:
            yield from _changes_of_tree(f"{now.name} {standing.name}", earlier[standing.name], standing, at)


def _changes_of_tree(where: str, before: Standing, now: Standing, at: float) -> Iterator[Change]:
    """The change of a tree's own conditions; those caused by the connection are reported for its ensemble."""
    if before.own_conditions == now.own_conditions:
        return
    words = now.words if not now.is_complete else f"{now.words}, {counted(now.znodes, 'znode')}"
    yield Change(at, where, words, now.level)
