"""Standing: how each tree stands, and which of very many have a place on the page."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from exporter.pages.conditions import LEVELS, Condition, Seen, found_in, level_of
from exporter.treecache.stats import CacheStats
from exporter.zookeeper.stats import ClientStats

COMPLETE = "complete"


@dataclass(frozen=True)
class Standing:
    """How one tree stands.

    Attributes:
        name, path: the tree's.
        state: its cache's, one of `CACHE_STATES`.
        conditions: what is wrong with it, the worst first; none for a complete tree.
        level: one of `LEVELS`.
        words: what people call all of that.
        in_headline: what the headline says of each condition, should the tree be the only one in it.
        staleness: at most so many seconds old, None before the first freshness check.
        is_stale: whether that is too old.
        was_complete: whether it was ever loaded.
        failure, failed_at: while it is failed, why and since when, in Unix time; 0 where that is not known.
        unreadable, znodes: how many of how many znodes may not be read.
    """

    name: str
    path: str
    state: str = "in_sync"
    conditions: tuple[Condition, ...] = ()
    level: str = "good"
    words: str = COMPLETE
    in_headline: tuple[str, ...] = ()
    staleness: float | None = None
    is_stale: bool = False
    was_complete: bool = True
    failure: str | None = None
    failed_at: float = 0.0
    unreadable: int = 0
    znodes: int = 0

    @property
    def own_conditions(self) -> tuple[Condition, ...]:
        """What is wrong with the tree itself, without what comes and goes with the connection."""
        return tuple(condition for condition in self.conditions if not condition.is_of_connection)

    @property
    def runbook(self) -> str:
        """The alert whose runbook says what to do about the worst of it; "" where there is none."""
        return next((condition.runbook for condition in self.conditions if condition.runbook), "")

    @property
    def is_complete(self) -> bool:
        """Whether nothing is wrong."""
        return not self.conditions


def standing_of(name: str, client: ClientStats, tree: CacheStats, unproven_for: float = 0.0) -> Standing:
    """How a tree stands that, if it was never verified, has been loaded for so many seconds."""
    staleness = max(0.0, time.time() - tree.verified_at) if tree.verified_at else None
    seen = Seen(client, tree, unproven_for if staleness is None else staleness)
    conditions = found_in(seen)
    return Standing(
        name=name,
        path=tree.path,
        state=tree.state,
        conditions=tuple(conditions),
        level=level_of(conditions),
        words=", ".join(condition.in_words(seen) for condition in conditions) or COMPLETE,
        in_headline=tuple(condition.in_headline(seen) for condition in conditions),
        staleness=staleness,
        is_stale=seen.is_stale,
        was_complete=tree.was_complete,
        failure=tree.failure,
        failed_at=tree.failed_at,
        unreadable=tree.unreadable_nodes,
        znodes=seen.znodes,
    )


def worst_first(standings: Sequence[Standing]) -> list[Standing]:
    """The worst first, and of equals by name."""
    return sorted(standings, key=lambda one: (-LEVELS.index(one.level), one.name))


class Places:
    """Gives places on the page to so many trees of each ensemble: the worst, and of equals those that had one before.

    So places seldom change hands, which costs each open page a load.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._lock = threading.Lock()
        self._taken: dict[str, frozenset[str]] = {}

    def allot(self, ensemble: str, worst_first: Sequence[Standing]) -> list[Standing]:
        """Those of the trees that have a place, the worst first."""
        with self._lock:
            taken = self._taken.get(ensemble, frozenset())
            by_right = sorted(worst_first, key=lambda one: (-LEVELS.index(one.level), one.name not in taken))
            self._taken[ensemble] = frozenset(one.name for one in by_right[: self._number])
            return [one for one in worst_first if one.name in self._taken[ensemble]]
