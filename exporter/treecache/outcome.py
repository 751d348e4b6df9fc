"""Outcome: what a replica gives out, to be sent, published and reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from exporter.treecache.freshness import Verified
from exporter.treecache.sent import Sent


class Event(NamedTuple):
    """A tree event not yet decoded: its type, and for znodes the path below the root and the records it is about.

    ``old`` is what was held before: of an updated znode its previous record, of a removed one its last.
    """

    type: int
    path: str = ""
    record: bytes | None = None
    old: bytes | None = None


class Fault(NamedTuple):
    """Something that went wrong, by one of `FAULT_KINDS`, and the exception that says what."""

    kind: str
    error: BaseException


@dataclass(eq=False)
class SyncBegun:
    """The whole tree is being read, for one of `SYNC_REASONS`; ``at`` is a monotonic time.

    ``exemplar`` is for observers.
    """

    reason: str
    at: float
    exemplar: Mapping[str, str] | None = None


class SyncEnded(NamedTuple):
    """The whole tree was read, or, unless ``complete``, the connection went before that."""

    at: float
    complete: bool


class Outcome(NamedTuple):
    """What follows from the messages received, each in order.

    Requests to send, events to publish and faults to report; and for observers the syncs that began and ended, and
    those requests that followed watch events and have been applied; then the kinds of barriers to ask for, the verified
    of freshness that succeeded, of each reply that cannot be decoded why the connection is not to be trusted, and the
    servers whose capabilities are to be found out.
    """

    requests: list[Sent]
    events: list[Event]
    faults: list[Fault]
    syncs: list[SyncBegun | SyncEnded]
    refreshed: list[Sent]
    barriers: list[str]
    verified: list[Verified]
    distrusts: list[str]
    inquiries: list[str]


class Outbox:
    """Where the parts of a replica leave what is to be done, until all of it is taken as an `Outcome`."""

    def __init__(self) -> None:
        self.requests: list[Sent] = []
        self.events: list[Event] = []
        self.faults: list[Fault] = []
        self.syncs: list[SyncBegun | SyncEnded] = []
        self.refreshed: list[Sent] = []
        self.barriers: list[str] = []
        self.verified: list[Verified] = []
        self.distrusts: list[str] = []
        self.inquiries: list[str] = []
        self._lists: tuple[list[Any], ...] = (
            self.requests,
            self.events,
            self.faults,
            self.syncs,
            self.refreshed,
            self.barriers,
            self.verified,
            self.distrusts,
            self.inquiries,
        )

    def take(self) -> Outcome:
        """Gives everything that was left here, once."""
        outcome = Outcome(*[left[:] for left in self._lists])
        for left in self._lists:
            if left:
                left.clear()
        return outcome

    def publish(self, event_type: int) -> None:
        """Leaves a tree event that is about no znode."""
        self.events.append(Event(event_type))

    def fault(self, kind: str, error: BaseException) -> None:
        """Leaves a fault, by one of `FAULT_KINDS`."""
        self.faults.append(Fault(kind, error))
