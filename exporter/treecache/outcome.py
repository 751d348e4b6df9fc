"""Outcome: everything that a replica wants to be sent, published and reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from exporter.treecache.events import TreeEvent
from exporter.treecache.freshness import Verified
from exporter.treecache.sent import Sent
from exporter.treecache.sums import sums


class Event(NamedTuple):
    """A tree event before decoding: its type, and for a znode its path below the root and its record.

    ``old`` is the record held before: the previous one of an updated znode, the last one of a removed znode.
    """

    type: int
    path: str = ""
    record: bytes | None = None
    old: bytes | None = None


class AddedRun(NamedTuple):
    """Many znodes that were added one after another. It stays one object until the events are needed.

    ``counted`` is how many there are of each kind, if that is known.
    """

    paths: Sequence[str]
    records: Sequence[bytes]
    counted: Mapping[str, int] | None = None

    @property
    def kinds(self) -> Mapping[str, int]:
        """How many there are of each kind."""
        return sums(self.records).kinds if self.counted is None else self.counted

    def events(self) -> Iterator[Event]:
        """The event of each."""
        return (
            Event(TreeEvent.NODE_ADDED, path, record) for path, record in zip(self.paths, self.records, strict=True)
        )


class Aside(NamedTuple):
    """A change for views that is no tree event: ``after`` is how many events of the same turn came before it."""

    after: int
    change: Event


def each(happened: Sequence[Event | AddedRun]) -> Iterable[Event]:
    """All events in order, those of runs one by one."""
    # Mostly a single event, for which a generator would cost more than the rest.
    return _one_by_one(happened) if AddedRun in set(map(type, happened)) else happened  # type: ignore[return-value]


def _one_by_one(happened: Iterable[Event | AddedRun]) -> Iterator[Event]:
    for one in happened:
        if isinstance(one, AddedRun):
            yield from one.events()
        else:
            yield one


class Fault(NamedTuple):
    """A fault: its kind, one of `FAULT_KINDS`, and its exception."""

    kind: str
    error: BaseException


@dataclass(eq=False)
class SyncBegun:
    """A sync began, for one of `SYNC_REASONS`; ``at`` is a monotonic time.

    ``exemplar`` is for observers.
    """

    reason: str
    at: float
    exemplar: Mapping[str, str] | None = None


class SyncEnded(NamedTuple):
    """A sync ended: ``complete``, or with its connection."""

    at: float
    complete: bool


class Outcome(NamedTuple):
    """The consequences of the messages received, each list in order.

    Requests to send, events to publish and faults to report; for observers the syncs that began and ended, and the
    applied requests that followed watch events; then the kinds of barriers to request, the freshness checks that
    succeeded, a reason to drop the connection for each reply that cannot be decoded, and the servers whose capabilities
    to find out.
    """

    requests: list[Sent]
    events: list[Event | AddedRun]
    faults: list[Fault]
    syncs: list[SyncBegun | SyncEnded]
    refreshed: list[Sent]
    barriers: list[str]
    verified: list[Verified]
    distrusts: list[str]
    inquiries: list[str]


class Outbox:
    """Collects the requests, events, faults and so on of a replica's parts, until they are taken as an `Outcome`."""

    def __init__(self) -> None:
        self.requests: list[Sent] = []
        self.events: list[Event | AddedRun] = []
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
        """Returns everything collected, and empties the outbox."""
        outcome = Outcome(*map(list.copy, self._lists))
        for left in self._lists:
            if left:
                left.clear()
        return outcome

    def publish(self, event_type: int) -> None:
        """Adds a tree event that concerns no znode."""
        self.events.append(Event(event_type))

    def fault(self, kind: str, error: BaseException) -> None:
        """Adds a fault, by one of `FAULT_KINDS`."""
        self.faults.append(Fault(kind, error))
