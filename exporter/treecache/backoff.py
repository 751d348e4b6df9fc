"""Backoff: delays repeated requests that do not settle, longer each time, up to a limit.

A server may keep giving answers that require the same request again: it lists a child but says that it does not exist,
a znode's reads fail, a watch is refused. Each such repetition is a *strike* against its own key, so that one
problem delays no other. A key that settles gets no more strikes and is forgotten after a while; nothing else resets its
delay, least of all answers about other keys.
"""

from __future__ import annotations

from typing import NamedTuple

from kazoo.exceptions import KazooException

#: This many strikes without a rest make a key unsettled: changes do not coincide that often by chance.
PERSISTENT = 6
#: The size at which settled keys are removed from the table; after that, twice the number of keys that were left.
_SWEEP = 64


class UnsettledError(KazooException):  # type: ignore[misc]
    """The server's answers about a znode keep contradicting each other."""


class Strike(NamedTuple):
    """The number of a key's strikes without a rest, this one included, and when it may be requested again."""

    number: int
    due_at: float


class _Struck(NamedTuple):
    number: int
    due_at: float
    forgotten_at: float
    evidence: object


class Backoff:
    """Delays by key. Callers pass monotonic seconds.

    Args:
        first: the first delay, in seconds; it doubles with each further strike.
        longest: the longest delay, in seconds.
        free: how many strikes have no delay yet.
        grace: the seconds for which a key is remembered after its delay, at least.
    """

    def __init__(self, first: float, longest: float, *, free: int = 0, grace: float = 1.0) -> None:
        self._first = first
        self._longest = longest
        self._free = free
        self._grace = grace
        #: The keys that are remembered.
        self.struck: dict[str, _Struck] = {}
        self._sweep_at = _SWEEP

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self.struck)

    def strike(self, key: str, now: float, evidence: object = None) -> Strike:
        """Notes that `key` did not settle. Different `evidence` than before means progress: the count restarts."""
        struck = self._remembered(key, now, evidence)
        number = 1 if struck is None else struck.number + 1
        doublings = min(number - self._free - 1, 64)
        delay = 0.0 if doublings < 0 else min(self._first * 2.0**doublings, self._longest)
        due_at = now + delay
        self.struck[key] = _Struck(number, due_at, due_at + max(delay, self._grace), evidence)
        if len(self.struck) >= self._sweep_at:
            self.struck = {key: struck for key, struck in self.struck.items() if struck.forgotten_at > now}
            self._sweep_at = max(_SWEEP, 2 * len(self.struck))
        return Strike(number, due_at)

    def due_at(self, key: str, now: float, evidence: object = None) -> float:
        """When `key` may be requested: `now`, unless it was struck on the same `evidence`."""
        struck = self._remembered(key, now, evidence)
        return now if struck is None else max(now, struck.due_at)

    def settled(self, key: str) -> None:
        """Forgets `key`, which has settled."""
        self.struck.pop(key, None)

    def clear(self) -> None:
        """Forgets everything."""
        self.struck.clear()

    def unsettled(self, now: float) -> int:
        """How many keys are unsettled. From any thread."""
        # Copying is atomic; iterating over the table itself may find it changed.
        struck = self.struck.copy().values() if self.struck else ()
        return sum(1 for one in struck if one.number >= PERSISTENT and one.forgotten_at > now)

    def _remembered(self, key: str, now: float, evidence: object) -> _Struck | None:
        struck = self.struck.get(key)
        if struck is None or struck.forgotten_at <= now or struck.evidence != evidence:
            return None
        return struck
