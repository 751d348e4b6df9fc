"""StandingLog: logs when a tree gets into a condition of its own, and when it gets out, never in floods."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from exporter.pages.conditions import Condition
from exporter.pages.standing import Standing

#: So many changes of one tree are logged within so many seconds.
LIMIT, INTERVAL = 6, 60.0

#: A load is logged when it ends. A read that waits is answered soon as a rule; where it is not, the tree becomes stale.
_UNLOGGED = ("loading", "read unanswered")

log = structlog.stdlib.get_logger("exporter")


@dataclass
class _Logged:
    """What the log last said of a tree, and when it said something."""

    conditions: tuple[Condition, ...] = ()
    at: deque[float] = field(default_factory=lambda: deque(maxlen=LIMIT))


class StandingLog:
    """Compares how trees stand with what the log said last; `clock` is monotonic, in seconds.

    What changes too often is logged later, if it is still so: in the end the log says how things are. What comes and
    goes with the connection is logged where the connection is.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged: dict[tuple[str, str], _Logged] = {}

    def note(self, ensembles: Mapping[str, Sequence[Standing]]) -> None:
        """Logs what is new of the trees of all ensembles."""
        before, self._logged = self._logged, {}
        for ensemble, standings in ensembles.items():
            for standing in standings:
                logged = before.get((ensemble, standing.name)) or _Logged()
                self._logged[ensemble, standing.name] = logged
                self._note(ensemble, standing, logged)

    def _note(self, ensemble: str, standing: Standing, logged: _Logged) -> None:
        now = self._clock()
        conditions = tuple(one for one in standing.own_conditions if one.name not in _UNLOGGED)
        is_flood = len(logged.at) == LIMIT and now - logged.at[0] < INTERVAL
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

    def _is_undecided(self, standing: Standing, conditions: Sequence[Condition], logged: _Logged) -> bool:
        """Whether something seems to be over only because nothing can be known for now."""
        return standing.state in ("loading", "disconnected") and not set(logged.conditions) <= set(conditions)


def _facts(standing: Standing) -> dict[str, Any]:
    unreadable = {"unreadable": standing.unreadable} if standing.unreadable else {}
    reason = {"reason": standing.failure} if standing.failure else {}
    return {"state": standing.state, "znodes": standing.znodes, **unreadable, **reason}
