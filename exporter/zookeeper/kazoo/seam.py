"""The seam: kazoo's client and connection under names of ours, for each generation of kazoo that names them otherwise.

kazoo hands replies and watch events to different threads and so loses their order; it also drops the events of
recursive watches. A session steps in where the client's connection reads from its socket, which kazoo keeps to itself.
Each of those names is declared here once, by `declare`, and `adapt` refuses a client that lacks one.

A release of kazoo that renames some gets a generation: a subclass of `Kazoo2` that declares these anew, in
`GENERATIONS`. The one that a client has everything of is taken.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.handlers.threading import SequentialThreadingHandler

from exporter.zookeeper.client import Client, Methods, Pending, Queued
from exporter.zookeeper.kazoo.polling import PollingHandler


class IncompatibleKazooError(KazooException):  # type: ignore[misc]
    """This release of kazoo does not have what the session's stream is read through."""


class Name(property):
    """One of kazoo's names, and which of its objects has it."""

    owner: str
    name: str


def declare(owner: str, name: str) -> Any:
    """An attribute of a generation that stands for one of kazoo's, to be read and replaced.

    Args:
        owner: which of kazoo's objects has it: ``client``, ``connection`` or ``handler``.
        name: what kazoo calls it.
    """

    def replace(seam: Kazoo2, value: object) -> None:
        setattr(getattr(seam, owner), name, value)

    # Reading one is done for each message, and runs no Python code.
    declared = Name(attrgetter(f"{owner}.{name}"), replace)
    declared.owner, declared.name = owner, name
    return declared


class Kazoo2:
    """A client of kazoo 2.11 and later releases, as a `Client`."""

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
    state: Any = declare("client", "state")
    client_state: Any = declare("client", "client_state")

    logger: logging.Logger = declare("connection", "logger")
    sasl_options: dict[str, Any] | None = declare("connection", "sasl_options")
    socket: Any = declare("connection", "_socket")
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
        #: None has so far; one that will needs no other generation for that.
        self.has_persistent_watches = hasattr(client, "add_watch")

    @classmethod
    def names(cls) -> Iterator[tuple[str, str]]:
        """Every name that is needed, by the path of its owner: what is declared above, and nothing else is used."""
        paths = {"client": "client", "connection": f"client.{cls.CONNECTION}", "handler": "client.handler"}
        yield "client", cls.CONNECTION
        yield "client", "handler"
        for attribute in dir(cls):
            declared = inspect.getattr_static(cls, attribute)
            if isinstance(declared, Name):
                yield paths[declared.owner], declared.name

    @classmethod
    def missing(cls, client: KazooClient) -> list[str]:
        """What a client lacks of this generation's names, each with its owner's path; nothing of an owner it lacks."""

        def has(path: str, name: str) -> bool:
            owner: Any = client
            for step in path.split(".")[1:]:
                owner = getattr(owner, step, None)
            return owner is None or hasattr(owner, name)

        return sorted(f"{path}.{name}" for path, name in cls.names() if not has(path, name))

    def methods(self) -> Methods:
        """The methods that the client has now."""
        return Methods(*(getattr(self, name) for name in Methods._fields))

    def step_in(self, methods: Methods, pause: Callable[[], float], on_state: Callable[[Any], None]) -> None:
        """Has these methods called in place of the client's; see `Client.step_in`."""
        for name, method in methods._asdict().items():
            setattr(self, name, method)
        if type(self.handler) is SequentialThreadingHandler:
            self.connection_handler = PollingHandler(self.handler, pause)
        self.client.add_listener(on_state)

    def hang_up(self) -> None:
        """Ends the connection, not the session: kazoo's own thread reads the end of the stream, and connects again."""
        sock = self.socket
        if sock is None:
            return
        with contextlib.suppress(OSError):
            # Not by a TLS socket's own method, which would have that thread read what is still encrypted.
            shutting: Any = super(ssl.SSLSocket, sock) if isinstance(sock, ssl.SSLSocket) else sock
            shutting.shutdown(socket.SHUT_RDWR)


#: The generations of kazoo that are known, the oldest first.
GENERATIONS: list[type[Kazoo2]] = [Kazoo2]


def adapt(client: KazooClient) -> Client:
    """A client as a session needs it, by the first generation that it has every name of.

    Raises:
        IncompatibleKazooError: there is none; says which names the client lacks of the one that comes closest.
    """
    missing = [(generation.missing(client), generation) for generation in GENERATIONS]
    lacking, closest = min(missing, key=lambda found: len(found[0]))
    if lacking:
        raise IncompatibleKazooError(f"this release of kazoo has no {', '.join(lacking)}")
    return closest(client)
