"""Standing: the overall state of each tree, and which of many trees have a place on the page."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from exporter.pages.conditions import LEVELS, Condition, Seen, found_in, level_of
from exporter.treecache.stats import CacheStats
from exporter.treecache.view import View
from exporter.views.limits.view import LimitsView
from exporter.zookeeper.stats import ClientStats

COMPLETE = "complete"


@dataclass(frozen=True)
class Standing:
    """The overall state of one tree.

    Attributes:
        name, path: of the tree.
        state: of its cache, one of `CACHE_STATES`.
        conditions: what is wrong with it, the worst first; none for a complete tree.
        level: one of `LEVELS`.
        words: all of this in words.
        in_headline: the headline's words for each condition, for when this is the only tree in it.
        staleness: in seconds, None before the tree is first verified.
        is_stale: whether the staleness is above the limit.
        was_complete: whether it was ever complete.
        failure, failed_at: while it is failed, why and since when (Unix time, 0 if unknown).
        unreadable, znodes: the number of unreadable znodes, and of all known znodes.
        near_limit: the paths of some znodes near the size limit, the largest first.
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
    near_limit: Sequence[str] = ()

    @property
    def own_conditions(self) -> tuple[Condition, ...]:
        """What is wrong with the tree itself, without the conditions that the connection causes."""
        return tuple(condition for condition in self.conditions if not condition.is_of_connection)

    @property
    def runbook(self) -> str:
        """The alert whose runbook says what to do about the worst condition; "" if there is none."""
        return next((condition.runbook for condition in self.conditions if condition.runbook), "")

    @property
    def is_complete(self) -> bool:
        """Whether nothing is wrong."""
        return not self.conditions


def standing_of(
    name: str, client: ClientStats, tree: CacheStats, unverified_for: float = 0.0, sizes: View | None = None
) -> Standing:
    """The standing of a tree; `unverified_for` is how long a never verified one has been complete, in seconds."""
    weighed = sizes.weighed() if isinstance(sizes, LimitsView) else None
    staleness = max(0.0, time.time() - tree.verified_at) if tree.verified_at else None
    seen = Seen(client, tree, unverified_for if staleness is None else staleness, weighed)
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
        near_limit=seen.near_limit,
    )


def worst_first(standings: Sequence[Standing]) -> list[Standing]:
    """Sorts the worst first, equals by name."""
    return sorted(standings, key=lambda one: (-LEVELS.index(one.level), one.name))


class Places:
    """Gives places on the page to the worst trees of each ensemble; among equals, to the trees that had a place before.

    So places seldom change: each change makes every open page reload.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._lock = threading.Lock()
        self._taken: dict[str, frozenset[str]] = {}

    def allot(self, ensemble: str, worst_first: Sequence[Standing]) -> list[Standing]:
        """The trees that have a place, the worst first."""
        with self._lock:
            taken = self._taken.get(ensemble, frozenset())
            by_right = sorted(worst_first, key=lambda one: (-LEVELS.index(one.level), one.name not in taken))
            self._taken[ensemble] = frozenset(one.name for one in by_right[: self._number])
            return [one for one in worst_first if one.name in self._taken[ensemble]]
