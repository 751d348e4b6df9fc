"""The seam: gives kazoo's private names public names here, for each generation of kazoo.

kazoo passes replies and watch events to different threads and so loses their order; it also drops the events of
recursive watches. So a session steps in where the client's connection reads from its socket, which is private in kazoo.
`declare` declares each private name once, and `adapt` refuses a client that lacks one.

A release of kazoo that renames some of them gets a generation: a subclass of `Kazoo2` that declares these anew, in
`GENERATIONS`. `adapt` picks the generation whose names a client has.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.handlers.threading import SequentialThreadingHandler

from exporter.zookeeper.client import Client, Methods, Pending, Queued
from exporter.zookeeper.kazoo.polling import PollingHandler


class IncompatibleKazooError(KazooException):  # type: ignore[misc]
    """This release of kazoo lacks private attributes that this package needs."""


class Name(property):
    """One of kazoo's names, and the kazoo object with that attribute."""

    owner: str
    name: str


def declare(owner: str, name: str) -> Any:
    """An attribute of a generation that reads and replaces one of kazoo's.

    Args:
        owner: the kazoo object with that attribute: ``client``, ``connection`` or ``handler``.
        name: its name in kazoo.
    """

    def replace(seam: Kazoo2, value: object) -> None:
        setattr(getattr(seam, owner), name, value)

    # Attributes are read for each message; attrgetter runs no Python code.
    declared = Name(attrgetter(f"{owner}.{name}"), replace)
    declared.owner, declared.name = owner, name
    return declared


class Kazoo2:
    """A client of kazoo 2.11 or later as a `Client`."""

    #: The client's attribute that is its connection.
    CONNECTION = "_connection"

    stopped: Any = declare("client", "_stopped")
    queue: deque[Queued] = declare("client", "_queue")
    pending: deque[Pending] = declare("client", "_pending")
    data_watchers: Mapping[str, set[Any]] = declare("client", "_data_watchers")
    child_watchers: Mapping[str, set[Any]] = declare("client", "_child_watchers")
    session_id: int | None = declare("client", "_session_id")
    change_state: Callable[[Any], None] = declare("client", "_session_callback")
    last_zxid: int = declare("client", "last_zxid")
    connected: bool = declare("client", "connected")
    hosts: Sequence[Any] = declare("client", "hosts")
    state: Any = declare("client", "state")
    client_state: Any = declare("client", "client_state")

    logger: logging.Logger = declare("connection", "logger")
    sasl_options: dict[str, Any] | None = declare("connection", "sasl_options")
    socket: Any = declare("connection", "_socket")
    xid: int = declare("connection", "_xid")
    ping_outstanding: Any = declare("connection", "ping_outstanding")
    read_response: Callable[[Any, bytes, int], Any] = declare("connection", "_read_response")
    read_watch_event: Callable[[bytes, int], Any] = declare("connection", "_read_watch_event")
    connection_handler: Any = declare("connection", "handler")

    # Methods
    call: Callable[[Any, Any], Any] = declare("client", "_call")
    async_result: Callable[[], Any] = declare("handler", "async_result")
    stop: Callable[[], Any] = declare("client", "stop")
    expand_hosts: Callable[[], list[Any]] = declare("connection", "_expand_client_hosts")
    connect: Callable[..., Any] = declare("connection", "_connect")
    invoke: Callable[..., Any] = declare("connection", "_invoke")
    read: Callable[[int, Any], Any] = declare("connection", "_read")
    read_header: Callable[[Any], Any] = declare("connection", "_read_header")
    submit: Callable[..., Any] = declare("connection", "_submit")
    write: Callable[[Any, Any], Any] = declare("connection", "_write")
    read_socket: Callable[[float], Any] = declare("connection", "_read_socket")

    def __init__(self, client: KazooClient) -> None:
        self.client = client
        self.connection = getattr(client, self.CONNECTION)
        self.handler: Any = client.handler
        self.has_threads = type(self.handler) is SequentialThreadingHandler
        #: False for all releases so far; a release with them needs no other generation for that.
        self.has_persistent_watches = hasattr(client, "add_watch")

    @classmethod
    def names(cls) -> Iterator[tuple[str, str]]:
        """Every name that is declared above, with the path of its owner; no other private name is used."""
        paths = {"client": "client", "connection": f"client.{cls.CONNECTION}", "handler": "client.handler"}
        yield "client", cls.CONNECTION
        yield "client", "handler"
        for attribute in dir(cls):
            declared = inspect.getattr_static(cls, attribute)
            if isinstance(declared, Name):
                yield paths[declared.owner], declared.name

    @classmethod
    def missing(cls, client: KazooClient) -> list[str]:
        """The names of this generation that a client lacks, with their owners' paths; not those of a missing owner."""

        def has(path: str, name: str) -> bool:
            owner: Any = client
            for step in path.split(".")[1:]:
                owner = getattr(owner, step, None)
            return owner is None or hasattr(owner, name)

        return sorted(f"{path}.{name}" for path, name in cls.names() if not has(path, name))

    def methods(self) -> Methods:
        """The client's current methods."""
        return Methods(*(getattr(self, name) for name in Methods._fields))

    def step_in(self, methods: Methods, pause: Callable[[], float], on_state: Callable[[Any], None]) -> None:
        """Replaces the client's methods; see `Client.step_in`."""
        for name, method in methods._asdict().items():
            setattr(self, name, method)
        if self.has_threads:
            self.connection_handler = PollingHandler(self.handler, pause)
        self.client.add_listener(on_state)

    def hang_up(self) -> None:
        """Ends the connection, not the session: kazoo's own thread reads the end of the stream, and connects again."""
        sock = self.socket
        if sock is None:
            return
        with contextlib.suppress(OSError):
            # Not by a TLS socket's own method, after which that thread would read encrypted bytes.
            shutting: Any = super(ssl.SSLSocket, sock) if isinstance(sock, ssl.SSLSocket) else sock
            shutting.shutdown(socket.SHUT_RDWR)


#: The known generations of kazoo, oldest first.
GENERATIONS: list[type[Kazoo2]] = [Kazoo2]


def adapt(client: KazooClient) -> Client:
    """Adapts a client by the first generation whose names it has.

    Raises:
        IncompatibleKazooError: no generation fits; the message names what the client lacks of the closest one.
    """
    missing = [(generation.missing(client), generation) for generation in GENERATIONS]
    lacking, closest = min(missing, key=lambda found: len(found[0]))
    if lacking:
        raise IncompatibleKazooError(f"this release of kazoo has no {', '.join(lacking)}")
    return closest(client)
