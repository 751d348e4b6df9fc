"""Freshness: proves that the tree holds at least what the ensemble had at some moment. Sans-I/O, like the replica.

A *barrier* is asked for at a moment T0. Its answer comes after the watch events of all that was committed before T0; so
whatever the tree lacks of that is dirty by then: it waits to be read, or is being read. Once all of this was read, and
what those reads led to, T0 is proven. What becomes dirty later is not waited for, so a proof ends under any load; but
where it leads to a znode that was there before, the children of that are: only a list may tell of them.

docs/staleness.md has the argument in full.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from exporter.treecache.agenda import Agenda, Wanted
from exporter.treecache.options import CacheOptions
from exporter.treecache.sent import InFlight
from exporter.treecache.stats import VERIFICATION_FAILURES
from exporter.treecache.tree import Tree, record_of
from exporter.zookeeper.messages import BARRIERS, Barrier, BarrierFailed
from exporter.zookeeper.records import UNREADABLE, czxid_of
from exporter.zookeeper.wire import (
    MARSHALLING_ERROR,
    NO_AUTH,
    NOT_READ_ONLY,
    THROTTLED,
    UNIMPLEMENTED,
    ReadRequest,
    Request,
)

#: Seconds to the next barrier after one that failed, at least.
_RETRY = 1.0
_REFUSALS = (NO_AUTH, NOT_READ_ONLY, UNIMPLEMENTED, MARSHALLING_ERROR)
_NEVER = float("-inf")


class Verified(NamedTuple):
    """What was asked for at one monotonic time, ``asked_at``, was proven at another, ``at``.

    ``exemplar`` is that of the barrier, for observers.
    """

    asked_at: float
    at: float
    exemplar: Mapping[str, str] | None = None


class Freshness:
    """The latest proof, the one under way, and when to begin the next. Times are monotonic seconds, the caller's.

    Args:
        agenda: where paths wait to be read.
        tree: what is proven to be fresh.
        in_flight: the requests that were sent and not yet answered.
        options: of them how often to prove it, by which barrier, and how long that may take from T0 on.
    """

    def __init__(
        self,
        agenda: Agenda,
        tree: Tree,
        in_flight: InFlight,
        options: CacheOptions,
    ) -> None:
        #: The latest moment that is proven.
        self.verified: Barrier | None = None
        #: Seconds that proving it took.
        self.verified_in = 0.0
        self.failures = dict.fromkeys(VERIFICATION_FAILURES, 0)
        self.kind = kind = options.freshness_barrier
        self._interval = options.freshness_interval
        self._agenda = agenda
        self._tree = tree
        self._in_flight = in_flight
        self._timeout = options.freshness_timeout
        # What is as good as the barrier asked for: itself and every stronger one.
        self._sufficient = BARRIERS[: BARRIERS.index(kind) + 1]
        self._demanded = _NEVER
        self._due_at: float | None = None
        self._is_asked = False
        self._deadline: float | None = None
        self._check: _Check | None = None
        self._newest: Barrier | None = None

    # Asking

    def loaded(self, now: float) -> None:
        """The tree is complete again, and wants to be proven so at once."""
        self._due_at = now if self._interval is not None or self._is_in_demand() else None

    def demand(self, since: float, now: float) -> None:
        """Wants a proof of a moment that is not before `since`."""
        if since > self._demanded:
            self._demanded = since
            self._due_at = now

    def asks(self, now: float) -> bool:
        """Whether a barrier is to be asked for now, which this counts as done. Only while the tree is complete."""
        if self.due_at is None or now < self.due_at:
            return False
        self._due_at = None
        self._is_asked = True
        self._deadline = now + self._timeout
        return True

    @property
    def due_at(self) -> float | None:
        """When the next barrier is due, should the tree be complete then."""
        return None if self._is_asked or self._check is not None else self._due_at

    @property
    def deadline(self) -> float | None:
        """When what is under way will count as failed."""
        return self._deadline

    # What becomes of a barrier

    def failed(self, message: BarrierFailed, now: float) -> None:
        """A barrier proves nothing. Whoever did not ask for it takes no notice."""
        if message.kind != self.kind or not self._is_asked:
            return
        self._is_asked = False
        self._fail(_reason(message.error))
        wanted = self._interval is not None or self._is_in_demand()
        self._due_at = now + _RETRY if wanted else None

    def came(self, barrier: Barrier, complete: bool) -> None:
        """A barrier's answer came, and the tree was complete then, or else nothing can be concluded."""
        asked = barrier.kind == self.kind and self._is_asked
        if asked:
            self._is_asked = False
        if barrier.kind not in self._sufficient:
            return
        if self._interval is not None:
            self._due_at = barrier.asked_at + self._interval
        if not complete:
            if asked:
                self._deadline = None
        elif self._check is None:
            self._begin(barrier)
            if not asked and self._deadline is None:
                # Asked for by another tree on the same session.
                self._deadline = barrier.asked_at + self._timeout
        else:
            self._newest = barrier

    def drop(self, *, disconnected: bool) -> None:
        """The tree is complete no more. Whatever was being proven is not, and what was asked for is not waited for."""
        if disconnected:
            self._fail("connection_loss")
        if self._check is not None:
            self._agenda.stop_noting(self._check.wanted)
            self._agenda.stop_noting(self._check.led_to)
        self._check = self._newest = self._deadline = self._due_at = None
        self._is_asked = False

    # The proof under way

    def sent(self, request: ReadRequest) -> None:
        """A request was sent for paths that waited."""
        if self._check is not None:
            self._check.sent(request)

    def begin_answer(self, request: Request) -> None:
        """What is wanted from now on follows from this request."""
        if self._check is not None:
            waited_for = request in self._check.requests
            self._agenda.note(self._check.wanted if waited_for else self._check.led_to)

    def end_answer(self, request: Request) -> None:
        """All that follows from this request is wanted."""
        if self._check is None:
            return
        self._agenda.stop_noting(self._check.wanted)
        self._agenda.stop_noting(self._check.led_to)
        self._check.requests.discard(request)
        lists = self._check.led_to.lists
        if lists:
            self._check.wanted.lists.update(filter(self._was_there_before, lists))
            lists.clear()
        self._check.led_to.reads.clear()

    def settle(self, now: float) -> list[Verified]:
        """Gives the proofs that succeeded by now, and counts as failed what takes too long."""
        verified = []
        while self._check is not None and self._check.is_complete:
            barrier = self._check.barrier
            if self.verified is None or barrier.asked_at > self.verified.asked_at:
                self.verified, self.verified_in = barrier, now - barrier.asked_at
                verified.append(Verified(barrier.asked_at, now, barrier.exemplar))
            self._check = None
            if not self._is_asked:
                self._deadline = None
            if self._newest is not None:
                self._begin(self._newest)
                self._deadline = self._deadline or self._newest.asked_at + self._timeout
                self._newest = None
            elif self._is_in_demand():
                self._due_at = now
        if self._deadline is not None and now >= self._deadline:
            self._fail("timeout")
        return verified

    def _was_there_before(self, path: str) -> bool:
        """Whether the znode at a path is older than what is being proven."""
        entry = self._tree.get(path)
        record = record_of(entry) if entry is not None else UNREADABLE
        return bool(record) and self._check is not None and czxid_of(record) <= self._check.barrier.zxid

    def _begin(self, barrier: Barrier) -> None:
        self._check = _Check(barrier, self._agenda.waiting(), set(self._in_flight.reads()))

    def _is_in_demand(self) -> bool:
        return self._demanded > (_NEVER if self.verified is None else self.verified.asked_at)

    def _fail(self, reason: str) -> None:
        """Counts what is under way as failed, once."""
        if self._deadline is not None:
            self._deadline = None
            self.failures[reason] += 1


class _Check:
    """What is still to be read before a barrier's T0 is proven: what waits, and the requests under way.

    ``led_to`` is what the answer at hand leads to, if it is one that is not waited for.
    """

    def __init__(self, barrier: Barrier, wanted: Wanted, requests: set[ReadRequest]) -> None:
        self.barrier = barrier
        self.wanted = wanted
        self.led_to = Wanted(set(), set())
        self.requests: set[Request] = set(requests)

    @property
    def is_complete(self) -> bool:
        return not (self.requests or self.wanted.reads or self.wanted.lists)

    def sent(self, request: ReadRequest) -> None:
        reads, lists = self.wanted.reads, self.wanted.lists
        waiting = len(reads) + len(lists)
        reads.difference_update(request.reads)
        lists.difference_update(request.lists)
        if len(reads) + len(lists) < waiting:
            self.requests.add(request)


def _reason(error: int | None) -> str:
    if error is None:
        return "connection_loss"
    if error == THROTTLED:
        return "throttled"
    return "refused" if error in _REFUSALS else "other"
