"""The messages of a session's stream: replies, watch events, barriers and state changes, in the order of arrival."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from exporter.zookeeper.moments import Moment
from exporter.zookeeper.wire import Request

CREATED = 1
DELETED = 2
CHANGED = 3
CHILD = 4

#: The kinds of barriers, the stronger first: a write that changes nothing but needs the quorum, and ``sync``.
BARRIERS = ("quorum", "sync")


class Connected(NamedTuple):
    """The client is connected to a server.

    ``read_only`` if the server has lost its quorum. ``recursive`` says whether it supports recursive watches and bulk
    reads; if it is None, a subscriber that needs to know asks, and `Capable` follows. ``ask_in`` is the seconds until
    it should ask again, None for never on this connection. Bulk requests have at most ``request_bytes``.
    """

    server: str
    read_only: bool = False
    recursive: bool | None = True
    ask_in: float | None = None
    request_bytes: int = 48 * 1024


class Capable(NamedTuple):
    """The result of asking the connected server for its capabilities; the fields are those of `Connected`.

    ``recursive`` is None if that could not be found out.
    """

    recursive: bool | None
    ask_in: float | None = None


class Suspended(NamedTuple):
    """The connection is lost; the session may live on."""


class Lost(NamedTuple):
    """The session is over: expired, refused for its credentials, or closed by its client."""


class WatchEvent(NamedTuple):
    """A watch fired: one of CREATED, DELETED, CHANGED and CHILD on the server's path.

    ``zxid`` is that of the change, from ZooKeeper 3.9 on, and -1 before. ``heard_at`` is the monotonic time at which
    the event was read from the connection. ``trace`` is the return value of an observer's `watch_fired`.
    """

    kind: int
    path: str
    zxid: int
    heard_at: float = 0.0
    trace: object = None


class Reply(NamedTuple):
    """The answer to a request: an error code, or 0 and a body that starts at ``offset``.

    ``exemplar`` is for observers, as in the request's `Call`.
    """

    request: Request
    zxid: int
    error: int
    body: bytes
    offset: int
    exemplar: Mapping[str, str] | None = None


class Unanswered(NamedTuple):
    """A request that gets no answer: its connection or session is lost, or kazoo failed to queue it.

    ``connected`` if the connection lives on. If not, the message of its loss has come or will come.
    """

    request: Request
    connected: bool = False


class Barrier(NamedTuple):
    """A barrier was answered: the watch events of everything committed before its request have arrived.

    ``kind`` is one of `BARRIERS`. ``asked_at`` is the monotonic time of the request, and ``asked_at_unix`` the same by
    the wall clock of that moment. ``zxid`` is that of the last transaction before the answer. ``exemplar`` is for
    observers, like a `Reply`'s.
    """

    kind: str
    asked_at: float
    asked_at_unix: float
    zxid: int
    exemplar: Mapping[str, str] | None = None

    @property
    def asked(self) -> Moment:
        """When it was requested, by both clocks."""
        return Moment(self.asked_at, self.asked_at_unix)


class BarrierFailed(NamedTuple):
    """A barrier failed: it was answered with an error code, or not at all if that is None."""

    kind: str
    error: int | None


Message = Connected | Capable | Suspended | Lost | WatchEvent | Reply | Unanswered | Barrier | BarrierFailed
