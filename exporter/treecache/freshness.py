"""Freshness: verifies that the tree holds every change up to some moment. Sans-I/O, like the replica.

A freshness check requests a *barrier* at a moment T0. The barrier's answer arrives after the watch events of all
changes that were committed before T0. So every znode whose change the tree lacks is dirty by then: it waits to be read,
or is being read. Once all these znodes were read, and everything that those reads led to, T0 is verified. The check
does not wait for znodes that become dirty later, so it ends under any load. One exception: if a later read leads to a
znode that is older than T0, the check waits for the list of its children, since perhaps only the list shows them.

docs/staleness.md has the full argument.
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

#: The minimum number of seconds from a failed barrier to the next one.
_RETRY = 1.0
_REFUSALS = (NO_AUTH, NOT_READ_ONLY, UNIMPLEMENTED, MARSHALLING_ERROR)
_NEVER = float("-inf")


class Verified(NamedTuple):
    """A freshness check that succeeded: it began at T0, ``asked_at``, and ended ``at`` (monotonic times).

    ``exemplar`` is that of the barrier, for observers.
    """

    asked_at: float
    at: float
    exemplar: Mapping[str, str] | None = None


class Freshness:
    """The last successful check, the check under way, and when to begin the next. Callers pass monotonic seconds.

    Args:
        agenda: the paths that wait to be read.
        tree: the tree to verify.
        in_flight: the requests sent and not yet answered.
        options: gives the interval, the kind of barrier, and how long a check may take from T0 on.
    """

    def __init__(
        self,
        agenda: Agenda,
        tree: Tree,
        in_flight: InFlight,
        options: CacheOptions,
    ) -> None:
        #: The barrier of the last successful check.
        self.verified: Barrier | None = None
        #: How many seconds that check took.
        self.verified_in = 0.0
        self.failures = dict.fromkeys(VERIFICATION_FAILURES, 0)
        self.kind = kind = options.freshness_barrier
        self._interval = options.freshness_interval
        self._agenda = agenda
        self._tree = tree
        self._in_flight = in_flight
        self._timeout = options.freshness_timeout
        # The kinds of barriers that suffice: the configured one and every stronger one.
        self._sufficient = BARRIERS[: BARRIERS.index(kind) + 1]
        self._demanded = _NEVER
        self._due_at: float | None = None
        self._is_asked = False
        #: When the check under way counts as failed, or None.
        self.deadline: float | None = None
        #: The check under way, from its barrier's answer on.
        self.check: Check | None = None
        self._newest: Barrier | None = None

    # Asking

    def loaded(self, now: float) -> None:
        """The tree is complete again: checks it immediately."""
        self._due_at = now if self._interval is not None or self._is_in_demand() else None

    def demand(self, since: float, now: float) -> None:
        """Demands a check whose T0 is not before `since`."""
        if since > self._demanded:
            self._demanded = since
            self._due_at = now

    def asks(self, now: float) -> bool:
        """Whether to request a barrier now; if so, it counts as requested. Call it only while the tree is complete."""
        if self.due_at is None or now < self.due_at:
            return False
        self._due_at = None
        self._is_asked = True
        self.deadline = now + self._timeout
        return True

    @property
    def due_at(self) -> float | None:
        """When the next barrier is due, if the tree is complete then."""
        return None if self._is_asked or self.check is not None else self._due_at

    # The barrier's answer

    def failed(self, message: BarrierFailed, now: float) -> None:
        """A barrier failed. It is ignored unless this tree requested it."""
        if message.kind != self.kind or not self._is_asked:
            return
        self._is_asked = False
        self._fail(_reason(message.error))
        wanted = self._interval is not None or self._is_in_demand()
        self._due_at = now + _RETRY if wanted else None

    def came(self, barrier: Barrier, complete: bool) -> None:
        """A barrier was answered. It counts only if the tree was complete then."""
        asked = barrier.kind == self.kind and self._is_asked
        if asked:
            self._is_asked = False
        if barrier.kind not in self._sufficient:
            return
        if self._interval is not None:
            self._due_at = barrier.asked_at + self._interval
        if not complete:
            if asked:
                self.deadline = None
        elif self.check is None:
            self._begin(barrier)
            if not asked and self.deadline is None:
                # Another tree on the same session requested it.
                self.deadline = barrier.asked_at + self._timeout
        else:
            self._newest = barrier

    def drop(self, *, disconnected: bool) -> None:
        """The tree is no longer complete: drops the check under way, and ignores a barrier that was requested."""
        if disconnected:
            self._fail("connection_loss")
        if self.check is not None:
            self._agenda.stop_noting(self.check.wanted)
            self._agenda.stop_noting(self.check.led_to)
        self.check = self._newest = self.deadline = self._due_at = None
        self._is_asked = False

    # The check under way

    def sent(self, request: ReadRequest) -> None:
        """A request was sent for waiting paths."""
        if self.check is not None:
            self.check.sent(request)

    def begin_answer(self, request: Request) -> None:
        """Reads wanted from now on follow from this request."""
        if self.check is not None:
            waited_for = request in self.check.requests
            self._agenda.note(self.check.wanted if waited_for else self.check.led_to)

    def end_answer(self, request: Request) -> None:
        """All reads that follow from this request are wanted now."""
        if self.check is None:
            return
        self._agenda.stop_noting(self.check.wanted)
        self._agenda.stop_noting(self.check.led_to)
        self.check.requests.discard(request)
        lists = self.check.led_to.lists
        if lists:
            self.check.wanted.lists.update(filter(self._was_there_before, lists))
            lists.clear()
        self.check.led_to.reads.clear()

    def settle(self, now: float) -> list[Verified]:
        """Returns the checks that have succeeded by now; a check that takes too long counts as failed."""
        verified = []
        while self.check is not None and self.check.is_complete:
            barrier = self.check.barrier
            if self.verified is None or barrier.asked_at > self.verified.asked_at:
                self.verified, self.verified_in = barrier, now - barrier.asked_at
                verified.append(Verified(barrier.asked_at, now, barrier.exemplar))
            self.check = None
            if not self._is_asked:
                self.deadline = None
            if self._newest is not None:
                self._begin(self._newest)
                self.deadline = self.deadline or self._newest.asked_at + self._timeout
                self._newest = None
            elif self._is_in_demand():
                self._due_at = now
        if self.deadline is not None and now >= self.deadline:
            self._fail("timeout")
        return verified

    def _was_there_before(self, path: str) -> bool:
        """Whether the znode at a path was created before T0 of the check under way."""
        entry = self._tree.get(path)
        record = record_of(entry) if entry is not None else UNREADABLE
        return bool(record) and self.check is not None and czxid_of(record) <= self.check.barrier.zxid

    def _begin(self, barrier: Barrier) -> None:
        self.check = Check(barrier, self._agenda.waiting(), set(self._in_flight.reads()))

    def _is_in_demand(self) -> bool:
        return self._demanded > (_NEVER if self.verified is None else self.verified.asked_at)

    def _fail(self, reason: str) -> None:
        """Counts the check under way as failed, once."""
        if self.deadline is not None:
            self.deadline = None
            self.failures[reason] += 1


class Check:
    """The reads that a check still waits for: waiting paths, and requests under way.

    ``led_to`` collects the paths that the current answer leads to, if the check does not wait for that answer.
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
