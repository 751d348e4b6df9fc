"""Client: the interface of a ZooKeeper client that a session needs. `kazoo/seam.py` implements it for kazoo's."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

#: A request and its result: an object with ``set`` and ``set_exception``, or None if nothing waits for it.
Queued = tuple[Any, Any]
#: A request that was sent, its result and its xid.
Pending = tuple[Any, Any, int]


class Methods(NamedTuple):
    """The methods of a client that a session replaces by its own.

    ``call(request, result)`` queues a request and wakes the connection. ``async_result()`` makes the results that
    callers wait for. ``stop()`` ends the session. The others run on the connection's thread:

    - ``expand_hosts()`` returns the addresses to try, each as name, address and port;
    - ``connect(host, address, port)`` connects, opens or resumes the session, and authenticates;
    - ``invoke(timeout, request, xid)`` makes one exchange while connecting, ``read(length, timeout)`` reads bytes from
      the socket for it, and ``read_header(timeout)`` a whole reply;
    - ``submit(request, timeout, xid)`` serializes and sends a request, ``write(message, timeout)`` sends bytes;
    - ``read_socket(timeout)`` reads the arrived messages; its return value says whether the session was closed.
    """

    call: Callable[[Any, Any], Any]
    async_result: Callable[[], Any]
    stop: Callable[[], Any]
    expand_hosts: Callable[[], list[Any]]
    connect: Callable[..., Any]
    invoke: Callable[..., Any]
    read: Callable[[int, Any], Any]
    read_header: Callable[[Any], Any]
    submit: Callable[..., Any]
    write: Callable[[Any, Any], Any]
    read_socket: Callable[[float], Any]


class Client(Protocol):
    """A client as a session sees it."""

    #: Starts threads and makes locks, events and results: kazoo's ``IHandler``.
    handler: Any
    #: The connection's logger.
    logger: logging.Logger
    #: The options of SASL, if used.
    sasl_options: dict[str, Any] | None
    #: An event that is set while the client must not connect: before its start and after its stop.
    stopped: Any
    #: The requests not yet sent, and those sent and not yet answered; replaced by new queues when a session ends.
    queue: deque[Queued]
    pending: deque[Pending]
    #: The one-shot watches of the client's own callers, by the server's path.
    data_watchers: Mapping[str, set[Any]]
    child_watchers: Mapping[str, set[Any]]
    #: Whether the client supports persistent watches itself, and so wants every event.
    has_persistent_watches: bool
    #: The socket of the connection, or of the last one; None before the first and while a new one is made.
    socket: Any
    session_id: int | None
    #: The newest zxid in a reply of the session.
    last_zxid: int
    #: The servers of the connection string.
    hosts: Sequence[Any]
    #: The xid of the connection's last request, not counting requests with a fixed xid.
    xid: int
    #: Set while a ping waits for its answer.
    ping_outstanding: Any
    #: Whether the client's thread is an operating system thread, so that other threads run while it waits.
    has_threads: bool

    @property
    def connected(self) -> bool:
        """Whether the session has a connection."""

    @property
    def state(self) -> Any:
        """One of kazoo's ``KazooState``."""

    @property
    def client_state(self) -> Any:
        """One of kazoo's ``KeeperState``, which has more detail."""

    # The methods of `Methods` that the session calls, in their current form: other code may have replaced them.
    call: Callable[[Any, Any], Any]
    expand_hosts: Callable[[], list[Any]]
    connect: Callable[..., Any]
    read: Callable[[int, Any], Any]
    submit: Callable[..., Any]

    #: Hands the oldest of ``pending`` its reply: called with a ``ReplyHeader``, a frame and where its body begins.
    read_response: Callable[[Any, bytes, int], Any]
    #: Fires one-shot watches of the client's callers: called with bytes, and where a ``WatcherEvent`` begins in them.
    read_watch_event: Callable[[bytes, int], Any]
    #: Changes the ``KeeperState``, with all consequences.
    change_state: Callable[[Any], None]

    def methods(self) -> Methods:
        """The client's current methods."""

    def step_in(self, methods: Methods, pause: Callable[[], float], on_state: Callable[[Any], None]) -> None:
        """Replaces the client's methods by these.

        Args:
            methods: the replacements.
            pause: returns for how many seconds messages may now gather in the socket before they are read.
            on_state: called with each new ``KazooState``, on the connection's thread.
        """

    def hang_up(self) -> None:
        """Ends the connection, not the session: the client's own thread then reads the end of the stream."""
