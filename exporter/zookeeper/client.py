"""Client: what a session needs of a ZooKeeper client. `kazoo/seam.py` has it of kazoo's, for each generation."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

#: A request and its result: an object with ``set`` and ``set_exception``, or None where nothing waits for it.
Queued = tuple[Any, Any]
#: A request that was sent, its result and its xid.
Pending = tuple[Any, Any, int]


class Methods(NamedTuple):
    """The methods of a client that a session puts its own in the place of.

    ``call(request, result)`` queues a request and wakes the connection. ``async_result()`` makes what the client's
    callers wait for. ``stop()`` ends the session. The others run on the connection's thread:

    - ``expand_hosts()`` gives the addresses to try, each as name, address and port;
    - ``connect(host, address, port)`` connects and opens or resumes the session;
    - ``invoke(timeout, request, xid)`` makes one exchange while that is done, ``read(length, timeout)`` takes bytes
      from the socket for it, and ``read_header(timeout)`` a whole reply;
    - ``submit(request, timeout, xid)`` serializes and sends a request, ``write(message, timeout)`` sends bytes;
    - ``read_socket(timeout)`` takes what has arrived; what it gives says whether the session was closed.
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
    """A client, as far as a session looks into it."""

    #: Runs threads, makes locks, events and results: kazoo's ``IHandler``.
    handler: Any
    #: Where the connection logs.
    logger: logging.Logger
    #: The options of SASL, if it is used.
    sasl_options: dict[str, Any] | None
    #: Set while the client is not to connect: before its start and from its stop on.
    stopped: Any
    #: What was asked for and not yet sent, and what was sent and not yet answered; other queues after a session's end.
    queue: deque[Queued]
    pending: deque[Pending]
    #: The one-shot watches of the client's own callers, by the server's path.
    data_watchers: Mapping[str, set[Any]]
    child_watchers: Mapping[str, set[Any]]
    #: Whether the client has persistent watches of its own, and so wants every event.
    has_persistent_watches: bool
    #: The socket of the connection, or of the last one; None before the first and while another one is being made.
    socket: Any
    session_id: int | None
    #: The newest transaction that a reply of the session carried.
    last_zxid: int
    #: Set while a ping waits for its answer.
    ping_outstanding: Any

    @property
    def connected(self) -> bool:
        """Whether the session has a connection."""

    @property
    def state(self) -> Any:
        """One of kazoo's ``KazooState``."""

    @property
    def client_state(self) -> Any:
        """One of kazoo's ``KeeperState``, which says more."""

    # Of its `Methods`, those that the session calls: as they are now, with what anyone has put in their place.
    call: Callable[[Any, Any], Any]
    expand_hosts: Callable[[], list[Any]]
    connect: Callable[..., Any]
    read: Callable[[int, Any], Any]
    submit: Callable[..., Any]

    #: Hands the oldest of ``pending`` its reply: called with a ``ReplyHeader``, a frame and where its body begins.
    read_response: Callable[[Any, bytes, int], Any]
    #: Fires one-shot watches of the client's callers: called with bytes, and where a ``WatcherEvent`` begins in them.
    read_watch_event: Callable[[bytes, int], Any]
    #: Notes a ``KeeperState``, with all that follows from it.
    change_state: Callable[[Any], None]

    def methods(self) -> Methods:
        """The methods that the client has now."""

    def step_in(self, methods: Methods, pause: Callable[[], float], on_state: Callable[[Any], None]) -> None:
        """Has these methods called in place of the client's.

        Args:
            methods: what is called.
            pause: for how many seconds what the connection is sent may gather now.
            on_state: called with each new ``KazooState``, on the connection's thread.
        """

    def hang_up(self) -> None:
        """Ends the connection, not the session: the client's own thread reads the end of the stream then."""
