"""History: how everything stands at each look, the last ten minutes for charts, and what changed between two looks."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from exporter.pages.conditions import connection_in_words
from exporter.pages.format import counted
from exporter.pages.standing import Standing, standing_of, worst_first
from exporter.pages.standinglog import StandingLog
from exporter.telemetry.sources import EnsembleSource, Fault
from exporter.treecache.stats import CacheStats
from exporter.zookeeper.stats import ClientStats

#: Seconds between two points of a chart, and how many points there are.
INTERVAL = 5.0
POINTS = 120
#: Changes to remember.
_REMEMBERED = 30


@dataclass(frozen=True)
class Look:
    """One ensemble at a moment: its client's stats, its trees' stats and known faults by name, and how they stand.

    The standings are in order, the worst first.
    """

    name: str
    client: ClientStats
    trees: Mapping[str, CacheStats]
    faults: Mapping[str, Sequence[Fault]]
    standings: Sequence[Standing] = ()


@dataclass(frozen=True)
class Change:
    """Something that happened: when, in Unix time; where; what; and whether it is good, bad or neither."""

    at: float
    where: str
    what: str
    level: str


class Charts(NamedTuple):
    """One tree's last ten minutes, oldest first: events a second, and the most staleness, in seconds, once verified."""

    rates: tuple[float, ...] = ()
    staleness: tuple[float, ...] = ()


@dataclass
class Series:
    """What makes one tree's charts, and since the latest point: the events then, when it was, the most staleness."""

    counted: int
    at: float
    stalest: float = 0.0
    loading: bool = True
    #: Since when the tree has been complete without a single freshness check.
    unproven_since: float | None = None
    rates: deque[float] = field(default_factory=lambda: deque(maxlen=POINTS))
    staleness: deque[float] = field(default_factory=lambda: deque(maxlen=POINTS))

    def unproven_for(self, at: float) -> float:
        """For how many seconds the tree has been complete, if it was never verified, otherwise 0."""
        return 0.0 if self.unproven_since is None else at - self.unproven_since

    def add(self, tree: CacheStats, at: float) -> None:
        """Makes a point when it is time for one. What a load brings does not count, it would dwarf all that follows."""
        events = changes_of(tree)
        if tree.verified_at:
            self.stalest = max(self.stalest, time.time() - tree.verified_at)
        if self.loading:
            self.counted = events
        self.loading = not tree.initialized
        if self.loading or tree.verified_at:
            self.unproven_since = None
        elif self.unproven_since is None:
            self.unproven_since = at
        if at - self.at < INTERVAL:
            return
        self.rates.append(max(0, events - self.counted) / (at - self.at))
        self.counted, self.at = events, at
        if tree.verified_at:
            self.staleness.append(self.stalest)
        self.stalest = 0.0


class History:
    """Remembers, whenever it looks. Can be read from any thread meanwhile."""

    def __init__(self, ensembles: Sequence[EnsembleSource]) -> None:
        self._ensembles = ensembles
        self._lock = threading.Lock()
        self._series: dict[tuple[str, str], Series] = {}
        self._before: dict[str, Look] = {}
        self._changes: deque[Change] = deque(maxlen=_REMEMBERED)
        self._log = StandingLog()

    def look(self) -> list[Look]:
        """Asks every source once, and notes and logs what is new."""
        # What one look finds must not be noted after what a later one found.
        with self._lock:
            return self._note([_look(ensemble) for ensemble in self._ensembles])

    def latest(self) -> list[Look]:
        """What the latest look found; asks nobody and waits for nothing."""
        return list(self._before.values())

    def standing(self, ensemble: str, tree: str) -> tuple[ClientStats, Standing] | None:
        """The client of an ensemble and one of its trees as they are now; asks no other source, and notes nothing."""
        for source in self._ensembles:
            cache = source.caches.get(tree) if source.name == ensemble else None
            if cache is not None:
                client = source.client.stats()
                return client, standing_of(tree, client, cache.stats(), self._unproven_for(ensemble, tree))
        return None

    def charts(self, ensemble: str, tree: str) -> Charts:
        """The charts of one tree, a point for each `INTERVAL`."""
        with self._lock:
            series = self._series.get((ensemble, tree))
            return Charts(tuple(series.rates), tuple(series.staleness)) if series else Charts()

    def _unproven_for(self, ensemble: str, tree: str) -> float:
        with self._lock:
            series = self._series.get((ensemble, tree))
            return series.unproven_for(time.monotonic()) if series else 0.0

    def changes(self) -> list[Change]:
        """What happened, the latest first."""
        with self._lock:
            return list(reversed(self._changes))

    def _note(self, looks: Sequence[Look]) -> list[Look]:
        """The same looks with how the trees stand."""
        now, moment = time.time(), time.monotonic()
        series, noted = {}, []
        for look in looks:
            standings = []
            for name, tree in look.trees.items():
                one = self._series.get((look.name, name)) or Series(changes_of(tree), moment)
                one.add(tree, moment)
                series[look.name, name] = one
                standings.append(standing_of(name, look.client, tree, one.unproven_for(moment)))
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
    )


def changes_of(tree: CacheStats) -> int:
    """How many znodes were added, updated and removed so far."""
    return sum(tree.events[name] for name in ("node_added", "node_updated", "node_removed"))


def _changes(before: Look, now: Look, at: float) -> Iterator[Change]:
    if before.client.state != now.client.state:
        level, words = connection_in_words(now.client.state)
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
    """What came and went with the connection is its ensemble's news."""
    if before.own_conditions == now.own_conditions:
        return
    words = now.words if not now.is_complete else f"{now.words}, {counted(now.znodes, 'znode')}"
    yield Change(at, where, words, now.level)
