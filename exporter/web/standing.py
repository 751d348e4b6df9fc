"""Standing: how each tree stands, and which of very many have a place on the page."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from exporter.treecache.stats import CacheStats
from exporter.web.history import History, Look, state_in_words
from exporter.zookeeper.stats import ClientStats

#: From the best to the worst.
LEVELS = ("good", "waiting", "bad")


@dataclass(frozen=True)
class Standing:
    """One tree's state: its level, what people call it, and the most staleness, in seconds, None before any proof."""

    name: str
    path: str
    level: str
    state: str
    staleness: float | None
    is_stale: bool


def standings(look: Look, history: History) -> list[Standing]:
    """All trees of an ensemble, the worst first."""
    found = [_standing(look, name, tree, history) for name, tree in look.trees.items()]
    return sorted(found, key=lambda one: (-LEVELS.index(one.level), one.name))


def _standing(look: Look, name: str, tree: CacheStats, history: History) -> Standing:
    staleness = max(0.0, time.time() - tree.verified_at) if tree.verified_at else None
    age = history.unproven_for(look.name, name) if staleness is None else staleness
    # Without a limit nobody asks for proofs.
    is_stale = bool(tree.stale_after) and age > tree.stale_after
    level, state = _state(look.client, tree, is_stale)
    return Standing(name, tree.path, level, state, staleness, is_stale)


def _state(client: ClientStats, tree: CacheStats, is_stale: bool) -> tuple[str, str]:
    level, _ = state_in_words(client.state)
    if level == "bad":
        return level, "cut off" if tree.events["initialized"] else "cut off, never complete"
    if not tree.initialized:
        return "waiting", "waiting for a connection" if client.state == "connecting" else "loading"
    return ("waiting", "stale") if is_stale else ("good", "complete")


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
