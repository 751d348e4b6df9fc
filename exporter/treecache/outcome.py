"""Outcome: what a replica gives out, to be sent, published and reported."""

from __future__ import annotations

from typing import NamedTuple

from exporter.zookeeper.wire import Request


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
    error: Exception


class Outcome(NamedTuple):
    """What follows from the messages received: requests to send, events to publish, faults to report, in order."""

    requests: list[Request]
    events: list[Event]
    faults: list[Fault]
