"""Strategy: how a replica keeps up with a server. What a replica asks of one, whatever the server can do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from exporter.treecache.agenda import Agenda, Loads
from exporter.zookeeper.wire import ReadRequest, Request


class Sending(NamedTuple):
    """A request to send, which of its paths a load waits for, and what sets watches and is to be sent before it."""

    request: ReadRequest
    loads: Loads
    watches: tuple[Request, ...] = ()


class Strategy(Protocol):
    """Turns what is wanted into requests, and watch events into what is wanted."""

    #: What `zookeeper_cache_info` calls it.
    mode: str

    def arm(self) -> Request | None:
        """What must have been answered before the first read, if anything; what was watched before no longer is."""

    def lists_leaf(self, path: str) -> bool:
        """Whether the children of a znode must be listed even when it has none, as only a list watches for them."""

    def watches_from(self, path: str) -> bool:
        """Whether a recursive watch is set on this path, if it is set on any."""

    def dirty(self, kind: int, path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The paths to read and the paths to list after a watch event."""

    def requests(
        self, agenda: Agenda, in_flight: int, allowance: int | None, children_of: Callable[[str], int]
    ) -> Iterator[Sending]:
        """The requests to send now, with `in_flight` under way and at most `allowance` reads granted."""

    def audit_room(self, in_flight: int, allowance: int | None) -> int:
        """How many operations an audit may ask for now, beside `in_flight` requests."""

    def audits(self, reads: list[str], lists: list[str]) -> list[ReadRequest]:
        """Requests that read and list these paths and set no watches."""

    def answered(self, request: ReadRequest, size: int) -> None:
        """Learns from the size of an answer, in bytes."""

    def disarm(self, is_wanted: Callable[[str], bool]) -> Iterable[Request]:
        """What takes away the watches that are of no use any more, once all is read; paths in the tree are wanted."""

    def missing_root(self) -> ReadRequest | None:
        """What to send when the root does not exist, to hear of its creation."""
