"""Sent: what a replica remembers of a request that it sent, and the table of those that wait for their answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from exporter.treecache.agenda import NO_LOADS, Loads
from exporter.zookeeper.messages import WatchEvent
from exporter.zookeeper.wire import ReadRequest, Request

#: What a request is for: to load a tree, to follow watch events, to compare the tree with the server.
SYNC, REFRESH, AUDIT = "sync", "refresh", "audit"
NO_CAUSES: Mapping[str, WatchEvent] = MappingProxyType({})


class Sent(NamedTuple):
    """A request that was sent ``at`` a monotonic time.

    ``loads`` says which of its paths a load waits for, ``purpose`` what it is for, and ``causes`` which watch events it
    follows: of each path the first since it was read. ``exemplar`` is its answer's, for observers.
    """

    request: Request
    at: float
    loads: Loads = NO_LOADS
    purpose: str = SYNC
    causes: Mapping[str, WatchEvent] = NO_CAUSES
    exemplar: Mapping[str, str] | None = None


class InFlight:
    """The requests that were sent and not yet answered. One thread changes the table, any may measure it."""

    def __init__(self) -> None:
        self._sent: dict[Request, Sent] = {}

    def __len__(self) -> int:
        return len(self._sent)

    def add(self, sent: Sent) -> None:
        """From now on an answer to the request is waited for."""
        self._sent[sent.request] = sent

    def pop(self, request: Request) -> Sent | None:
        """What is known of a request, whose answer is no longer waited for; None if it was not."""
        return self._sent.pop(request, None)

    def requests(self) -> list[Request]:
        """All of them, in the order in which they were sent."""
        return list(self._sent)

    def reads(self) -> Iterator[ReadRequest]:
        """Those that read for the tree; what an audit reads changes nothing in it."""
        for request, sent in self._sent.items():
            if isinstance(request, ReadRequest) and sent.purpose != AUDIT:
                yield request

    def is_reading(self, path: str) -> bool:
        """Whether a path is being read or listed, for any purpose."""
        return any(
            path in request.reads or path in request.lists for request in self._sent if isinstance(request, ReadRequest)
        )

    @property
    def operations(self) -> int:
        """How many operations the requests have in all. From any thread."""
        return sum(r.operations if isinstance(r, ReadRequest) else 1 for r in self.requests())

    @property
    def oldest_at(self) -> float | None:
        """When the oldest of them was sent, or None. From any thread."""
        return min((sent.at for sent in list(self._sent.values())), default=None)
