"""Sent: a request that a replica sent, with its reasons, and the table of requests that wait for an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

from exporter.treecache.agenda import NO_LOADS, Loads
from exporter.zookeeper.messages import WatchEvent
from exporter.zookeeper.wire import ReadRequest, Request

#: The purposes of requests: loading a tree, following watch events, comparing the tree with the server.
SYNC, REFRESH, AUDIT = "sync", "refresh", "audit"
NO_CAUSES: Mapping[str, WatchEvent] = MappingProxyType({})


class Sent(NamedTuple):
    """A request that was sent ``at`` a monotonic time.

    ``loads`` has the paths that a load waits for, ``purpose`` says what the request is for, and ``causes`` has the
    watch events that it follows: for each path the first since it was last read. ``exemplar`` is its answer's, for
    observers.
    """

    request: Request
    at: float
    loads: Loads = NO_LOADS
    purpose: str = SYNC
    causes: Mapping[str, WatchEvent] = NO_CAUSES
    exemplar: Mapping[str, str] | None = None


class InFlight(dict[Request, Sent]):
    """The requests not yet answered, in the order in which they were sent.

    One thread changes the table, any thread may measure it.
    """

    def reads(self) -> Iterator[ReadRequest]:
        """The requests whose results go into the tree, which results of audits do not."""
        for request, sent in self.items():
            if isinstance(request, ReadRequest) and sent.purpose != AUDIT:
                yield request

    def is_reading(self, path: str) -> bool:
        """Whether a path is being read or listed, for any purpose."""
        return any(
            path in request.reads or path in request.lists for request in self if isinstance(request, ReadRequest)
        )

    @property
    def operations(self) -> int:
        """The number of operations in all requests. From any thread."""
        return sum(r.operations if isinstance(r, ReadRequest) else 1 for r in list(self))

    @property
    def oldest_at(self) -> float | None:
        """When the oldest request was sent, or None. From any thread."""
        return min((sent.at for sent in list(self.values())), default=None)
