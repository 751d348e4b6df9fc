"""StandingLog: logs when a condition of a tree begins and ends, and limits how often."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from exporter.pages.conditions import Condition
from exporter.pages.standing import Standing

#: At most this many changes of one tree are logged within this many seconds.
LIMIT, INTERVAL = 6, 60.0

#: The end of a sync is logged elsewhere. An unanswered read is usually answered soon; if not, the tree becomes stale.
_UNLOGGED = ("loading", "read unanswered")

log = structlog.stdlib.get_logger("exporter")


@dataclass
class _Logged:
    """The last log line about a tree, its time, and the znodes that were near the size limit at the last look."""

    conditions: tuple[Condition, ...] = ()
    near_limit: frozenset[str] = frozenset()
    at: deque[float] = field(default_factory=lambda: deque(maxlen=LIMIT))
    #: The times of the lines about such znodes.
    near_at: deque[float] = field(default_factory=lambda: deque(maxlen=LIMIT))


class StandingLog:
    """Compares the standings of trees with the last logged ones; `clock` is monotonic, in seconds.

    Changes above the limit are logged later, if they still hold, so that the log ends up with the actual state.
    Conditions that the connection causes are not logged here; changes of the connection are.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged: dict[tuple[str, str], _Logged] = {}

    def note(self, ensembles: Mapping[str, Sequence[Standing]]) -> None:
        """Logs what changed for the trees of all ensembles."""
        before, self._logged = self._logged, {}
        for ensemble, standings in ensembles.items():
            for standing in standings:
                logged = before.get((ensemble, standing.name)) or _Logged()
                self._logged[ensemble, standing.name] = logged
                self._note(ensemble, standing, logged)

    def _note(self, ensemble: str, standing: Standing, logged: _Logged) -> None:
        now = self._clock()
        self._note_sizes(ensemble, standing, logged, now)
        conditions = tuple(one for one in standing.own_conditions if one.name not in _UNLOGGED)
        is_flood = _is_flood(logged.at, now)
        if conditions == logged.conditions or is_flood or self._is_undecided(standing, conditions, logged):
            return
        of_tree = log.bind(ensemble=ensemble, tree=standing.name, path=standing.path)
        for condition in conditions:
            if condition not in logged.conditions:
                of_tree.warning("tree condition began", condition=condition.name, **_facts(standing))
        for condition in logged.conditions:
            if condition not in conditions:
                of_tree.info("tree condition ended", condition=condition.name, **_facts(standing))
        logged.conditions = conditions
        logged.at.append(now)

    def _note_sizes(self, ensemble: str, standing: Standing, logged: _Logged, now: float) -> None:
        """Logs each znode that comes near the size limit, a limited number of them."""
        of_tree = log.bind(ensemble=ensemble, tree=standing.name)
        for path in standing.near_limit:
            if path not in logged.near_limit and not _is_flood(logged.near_at, now):
                of_tree.warning("znode near the size limit", path=path)
                logged.near_at.append(now)
        logged.near_limit = frozenset(standing.near_limit)

    def _is_undecided(self, standing: Standing, conditions: Sequence[Condition], logged: _Logged) -> bool:
        """Whether a condition seems to have ended only because the tree's state is unknown for now."""
        return standing.state in ("loading", "disconnected") and not set(logged.conditions) <= set(conditions)


def _is_flood(lines: deque[float], now: float) -> bool:
    """Whether the last `LIMIT` lines, whose times these are, came within the interval."""
    return len(lines) == LIMIT and now - lines[0] < INTERVAL


def _facts(standing: Standing) -> dict[str, Any]:
    unreadable = {"unreadable": standing.unreadable} if standing.unreadable else {}
    reason = {"reason": standing.failure} if standing.failure else {}
    return {"state": standing.state, "znodes": standing.znodes, **unreadable, **reason}
