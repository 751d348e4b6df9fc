"""Strategy: how a replica keeps up with a server: the interface of all strategies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from exporter.treecache.agenda import Agenda, Loads
from exporter.zookeeper.wire import MultiRead, ReadRequest, Request


class Sending(NamedTuple):
    """A request to send, the paths of it that a load waits for, and requests for watches to send before it."""

    request: ReadRequest
    loads: Loads
    watches: tuple[Request, ...] = ()


class Strategy(Protocol):
    """Turns wanted paths into requests, and watch events into wanted paths."""

    #: Its name, as in `zookeeper_cache_info`.
    mode: str

    def arm(self) -> Request | None:
        """A request that must be answered before the first read, if any; earlier watches are gone."""

    def lists_leaf(self, path: str) -> bool:
        """Whether a znode must be listed even if it has no children, because only a list watches for them."""

    def watches_from(self, path: str) -> bool:
        """Whether this path is one that the strategy sets a recursive watch on."""

    def dirty(self, kind: int, path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The paths to read and the paths to list after a watch event."""

    def requests(
        self, agenda: Agenda, in_flight: int, allowance: int | None, children_of: Callable[[str], int]
    ) -> Iterator[Sending]:
        """The requests to send now, with at most `allowance` reads allowed.

        `in_flight` requests are under way, besides those of an audit.
        """

    def refresh(self, path: str) -> MultiRead | None:
        """The request after a change of this one znode, while nothing else waits; None if more may follow from it."""

    def audit_room(self, in_flight: int, audited: int, allowance: int | None) -> int:
        """How many operations an audit may send now, besides `audited` requests of its own and `in_flight` others."""

    def audits(self, reads: Sequence[str], lists: Sequence[str]) -> list[ReadRequest]:
        """Requests that read and list these paths and set no watches."""

    def answered(self, request: ReadRequest, size: int) -> None:
        """Learns from the size of an answer, in bytes."""

    def disarm(self, is_wanted: Callable[[str], bool]) -> Iterable[Request]:
        """Requests that remove watches of no further use, once everything is read; paths in the tree are wanted."""

    def missing_root(self) -> ReadRequest | None:
        """A request that watches for the creation of a missing root, if needed."""
