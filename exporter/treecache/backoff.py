"""Backoff: when what was asked for and did not settle may be asked for again. Later each time, up to a limit.

A server may answer time after time in a way that calls for the same question: it lists a child that it says is not
there, one znode's reads fail, a watch is refused. Whatever is asked again for such a reason is *struck* here, by a key
of its own, so that one of them delays no other. What settles is not struck again, and is forgotten after a while;
nothing else resets a delay, least of all answers about other things.
"""

from __future__ import annotations

from typing import NamedTuple

#: So many strikes without a rest make a key unsettled: a coincidence of changes does not last that long.
PERSISTENT = 6
#: Seconds for which a key is remembered beyond its delay, at least.
_GRACE = 1.0
#: The table is looked through for what has settled when it has grown to so many keys, and to twice what was left then.
_SWEEP = 64


class _Struck(NamedTuple):
    strikes: int
    due_at: float
    forgotten_at: float


class Backoff:
    """Delays by key. Times are monotonic seconds, given by the caller.

    Args:
        first: the delay after the first strike that has one, in seconds; it doubles with each further strike.
        longest: what no delay exceeds, in seconds.
        free: how many strikes have no delay yet.
    """

    def __init__(self, first: float, longest: float, free: int = 0) -> None:
        self._first = first
        self._longest = longest
        self._free = free
        self._struck: dict[str, _Struck] = {}
        self._sweep_at = _SWEEP

    def strike(self, key: str, now: float) -> float:
        """Notes that `key` did not settle; gives when it may be asked for again."""
        strikes = self._strikes(key, now) + 1
        doublings = min(strikes - self._free - 1, 64)
        delay = 0.0 if doublings < 0 else min(self._first * 2.0**doublings, self._longest)
        due_at = now + delay
        self._struck[key] = _Struck(strikes, due_at, due_at + max(delay, _GRACE))
        if len(self._struck) >= self._sweep_at:
            self._struck = {key: struck for key, struck in self._struck.items() if struck.forgotten_at > now}
            self._sweep_at = max(_SWEEP, 2 * len(self._struck))
        return due_at

    def due_at(self, key: str, now: float) -> float:
        """When `key` may be asked for, `now` unless it was struck."""
        struck = self._struck.get(key)
        return now if struck is None else max(now, struck.due_at)

    def has_become_persistent(self, key: str) -> bool:
        """Whether the latest strike is the one from which on `key` counts as unsettled."""
        struck = self._struck.get(key)
        return struck is not None and struck.strikes == PERSISTENT

    def settled(self, key: str) -> None:
        """Forgets `key`, which is as it should be."""
        self._struck.pop(key, None)

    def clear(self) -> None:
        """Forgets everything."""
        self._struck.clear()

    def unsettled(self, now: float) -> int:
        """How many keys are struck again and again. From any thread."""
        struck = list(self._struck.values()) if self._struck else ()
        return sum(1 for one in struck if one.strikes >= PERSISTENT and one.forgotten_at > now)

    def _strikes(self, key: str, now: float) -> int:
        struck = self._struck.get(key)
        return struck.strikes if struck is not None and struck.forgotten_at > now else 0
