"""What a session's stream is made of: replies, watch events, barriers and state changes, in the order they arrived."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from exporter.zookeeper.moments import Moment
from exporter.zookeeper.wire import Request

CREATED = 1
DELETED = 2
CHANGED = 3
CHILD = 4

#: The kinds of barriers: a write that changes nothing and goes through the quorum, and ZooKeeper's ``sync``.
BARRIERS = ("quorum", "sync")


class Connected(NamedTuple):
    """A connection to a server stands.

    ``read_only`` when that server is cut off from its quorum. ``recursive`` says whether it knows recursive watches and
    bulk reads; while that is None, a subscriber that needs it asks, and `Capable` follows. ``ask_in`` are the seconds
    after which to ask again, None for not on this connection. Bulk requests have ``request_bytes`` at most.
    """

    server: str
    read_only: bool = False
    recursive: bool | None = True
    ask_in: float | None = None
    request_bytes: int = 48 * 1024


class Capable(NamedTuple):
    """What asking the connected server for its capabilities brought; the fields are those of `Connected`.

    ``recursive`` is None if that could not be found out.
    """

    recursive: bool | None
    ask_in: float | None = None


class Suspended(NamedTuple):
    """The connection is gone; the session may live on."""


class Lost(NamedTuple):
    """The session is over: expired, refused for its credentials, or closed by its client."""


class WatchEvent(NamedTuple):
    """A watch fired: one of CREATED, DELETED, CHANGED and CHILD on the server's path.

    ``zxid`` is the change's own from ZooKeeper 3.9 on and -1 before. ``heard_at`` is the monotonic time at which it was
    read from the connection. ``trace`` is what an observer of the client made of it.
    """

    kind: int
    path: str
    zxid: int
    heard_at: float = 0.0
    trace: object = None


class Reply(NamedTuple):
    """The answer to a request: an error code, or 0 and a body that starts at ``offset``.

    ``exemplar`` is for observers, as the request's `Call` has it.
    """

    request: Request
    zxid: int
    error: int
    body: bytes
    offset: int
    exemplar: Mapping[str, str] | None = None


class Unanswered(NamedTuple):
    """A request that gets no answer: its connection or session is gone, or kazoo failed to queue it.

    ``connected`` where the connection lives on. Otherwise the news of its end is still on the way, or has come.
    """

    request: Request
    connected: bool = False


class Barrier(NamedTuple):
    """A barrier's answer came: watch events have announced all that was committed before it was asked for.

    ``kind`` is one of `BARRIERS`. ``asked_at`` is when it was asked for, as a monotonic time, and ``asked_at_unix`` the
    same by the wall clock of that moment. ``zxid`` is that of the last transaction before the answer. ``exemplar`` is
    for observers, as a `Reply` has it.
    """

    kind: str
    asked_at: float
    asked_at_unix: float
    zxid: int
    exemplar: Mapping[str, str] | None = None

    @property
    def asked(self) -> Moment:
        """When it was asked for, by both clocks."""
        return Moment(self.asked_at, self.asked_at_unix)


class BarrierFailed(NamedTuple):
    """A barrier proves nothing: it was answered with an error code, or, where that is None, not at all."""

    kind: str
    error: int | None


Message = Connected | Capable | Suspended | Lost | WatchEvent | Reply | Unanswered | Barrier | BarrierFailed
