"""Backoff: when what was asked for and did not settle may be asked for again. Later each time, up to a limit.

A server may answer time after time in a way that calls for the same question: it lists a child that it says is not
there, one znode's reads fail, a watch is refused. Whatever is asked again for such a reason is *struck* here, by a key
of its own, so that one of them delays no other. What settles is not struck again, and is forgotten after a while;
nothing else resets a delay, least of all answers about other things.
"""

from __future__ import annotations

from typing import NamedTuple

from kazoo.exceptions import KazooException

#: So many strikes without a rest make a key unsettled: a coincidence of changes does not last that long.
PERSISTENT = 6
#: The table is looked through for what has settled when it has grown to so many keys, and to twice what was left then.
_SWEEP = 64


class UnsettledError(KazooException):  # type: ignore[misc]
    """The server's answers about a znode contradict each other, time after time."""


class Strike(NamedTuple):
    """How often a key was struck without a rest, this time included, and when it may be asked for again."""

    number: int
    due_at: float


class _Struck(NamedTuple):
    number: int
    due_at: float
    forgotten_at: float
    evidence: object


class Backoff:
    """Delays by key. Times are monotonic seconds, given by the caller.

    Args:
        first: the delay after the first strike that has one, in seconds; it doubles with each further strike.
        longest: what no delay exceeds, in seconds.
        free: how many strikes have no delay yet.
        grace: the seconds for which a key is remembered beyond its delay, at least.
    """

    def __init__(self, first: float, longest: float, *, free: int = 0, grace: float = 1.0) -> None:
        self._first = first
        self._longest = longest
        self._free = free
        self._grace = grace
        self._struck: dict[str, _Struck] = {}
        self._sweep_at = _SWEEP

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._struck)

    def strike(self, key: str, now: float, evidence: object = None) -> Strike:
        """Notes that `key` did not settle. With other `evidence` than before there was progress: it begins anew."""
        struck = self._remembered(key, now, evidence)
        number = 1 if struck is None else struck.number + 1
        doublings = min(number - self._free - 1, 64)
        delay = 0.0 if doublings < 0 else min(self._first * 2.0**doublings, self._longest)
        due_at = now + delay
        self._struck[key] = _Struck(number, due_at, due_at + max(delay, self._grace), evidence)
        if len(self._struck) >= self._sweep_at:
            self._struck = {key: struck for key, struck in self._struck.items() if struck.forgotten_at > now}
            self._sweep_at = max(_SWEEP, 2 * len(self._struck))
        return Strike(number, due_at)

    def due_at(self, key: str, now: float, evidence: object = None) -> float:
        """When `key` may be asked for: `now`, unless it was struck for the same reason."""
        struck = self._remembered(key, now, evidence)
        return now if struck is None else max(now, struck.due_at)

    def settled(self, key: str) -> None:
        """Forgets `key`, which is as it should be."""
        self._struck.pop(key, None)

    def clear(self) -> None:
        """Forgets everything."""
        self._struck.clear()

    def unsettled(self, now: float) -> int:
        """How many keys are struck again and again. From any thread."""
        # A copy is made in one go; what iterates over the table itself may find it changed.
        struck = self._struck.copy().values() if self._struck else ()
        return sum(1 for one in struck if one.number >= PERSISTENT and one.forgotten_at > now)

    def _remembered(self, key: str, now: float, evidence: object) -> _Struck | None:
        struck = self._struck.get(key)
        if struck is None or struck.forgotten_at <= now or struck.evidence != evidence:
            return None
        return struck
