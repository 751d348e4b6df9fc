"""Server: uvicorn, without signal handling, and with its own acceptor and connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
from asyncio import sslproto
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Sequence
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from exporter.config.web import WebConfig
from exporter.web.accepting import Acceptor
from exporter.web.connections import HttpProtocol, TlsGate
from exporter.web.current import CurrentConfig
from exporter.web.guard import Guard
from exporter.web.lobby import Kind, Lobby

_HEADER_LIMIT = 16 * 1024
#: Longer than the usual scrape interval, so that Prometheus can reuse its connection.
_KEEP_ALIVE = 75
#: Seconds that running requests have to end when the server stops; then they are cut. uvicorn, which calls that an
#: error in the log, waits longer than that, and than a busy machine may take to cut them.
_GRACE, _LAST_RESORT = 0.8, 5
#: Seconds after which a computing thread yields to another. The event loop gives up the interpreter at each system
#: call; at Python's default of 5 ms, a thousand calls during a collection of metrics would wait many seconds.
_SWITCH_INTERVAL = 0.0005
_TLS_BUFFER = 32 * 1024


class ServerError(Exception):
    """The server ended unexpectedly; the text says why."""


@contextlib.asynccontextmanager
async def serving(
    app: ASGIApp,
    listeners: Sequence[socket.socket],
    config: WebConfig | None = None,
    *,
    open_to_all: Collection[str] = (),
    kind_of: Callable[[str], Kind] = lambda _path: Kind.PAGE,
) -> AsyncIterator[asyncio.Future[ServerError]]:
    """Serves `app` on `listeners` for as long as the body runs, then lets running requests end within a second.

    The body runs once connections are accepted, and receives a future that is done if the server ends unexpectedly.
    `config` sets TLS, users and headers; its files are read again when they change. Paths in `open_to_all` need no
    password. `kind_of` maps paths to kinds, which decide which connection ends when there are too many.

    Raises SettingsError if a file that `config` names cannot be used, ServerError if the server cannot start.
    """
    current = CurrentConfig(config) if config is not None else None
    lobby, ending = Lobby(), asyncio.Event()
    guard = Guard(app, lambda: current.config if current else None, frozenset(open_to_all))
    server = _Server(
        _uvicorn_config(_may_be_cut(guard, ending), _protocol_factory(lobby, ending, kind_of, current)), lobby
    )
    before = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_INTERVAL)
    task = asyncio.create_task(_ended(server.serve([*listeners])))
    watch = asyncio.create_task(current.keep_up()) if current else None
    try:
        await _begun(server, task)
        yield task
    finally:
        if watch is not None:
            watch.cancel()
        ending.set()
        lobby.end_waiting()
        cutting = asyncio.create_task(_cut(server, lobby))
        server.should_exit = True
        await task
        cutting.cancel()
        guard.close()
        sys.setswitchinterval(before)


def _may_be_cut(app: ASGIApp, ending: asyncio.Event) -> ASGIApp:
    """The application, whose requests may be cancelled while the server ends: that is no error to log."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if not ending.is_set():
                raise

    return run


async def _cut(server: uvicorn.Server, lobby: Lobby) -> None:
    """Ends what is left of connections and requests after the grace."""
    await asyncio.sleep(_GRACE)
    lobby.end_all()
    while True:
        # Requests notice first that their clients are gone.
        await asyncio.sleep(0.05)
        for task in list(server.server_state.tasks):
            task.cancel()


async def _ended(running: Awaitable[None]) -> ServerError:
    """Waits for the server to end, and says why it did."""
    try:
        await running
    except Exception as error:
        return ServerError(f"{type(error).__name__}: {error}")
    return ServerError("it ended unexpectedly")


async def _begun(server: _Server, task: asyncio.Future[ServerError]) -> None:
    """Waits until the server accepts connections. Raises ServerError if it ends instead."""
    begun = asyncio.create_task(server.begun.wait())
    outcomes: list[asyncio.Future[Any]] = [begun, task]
    await asyncio.wait(outcomes, return_when=asyncio.FIRST_COMPLETED)
    if not begun.done():
        begun.cancel()
        raise task.result()


def _uvicorn_config(app: ASGIApp, protocol: Callable[..., asyncio.Protocol]) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        # uvicorn expects a class, but only calls it.
        http=protocol,  # type: ignore[arg-type]
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=_HEADER_LIMIT,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_LAST_RESORT,
    )


def _protocol_factory(
    lobby: Lobby, ending: asyncio.Event, kind_of: Callable[[str], Kind], current: CurrentConfig | None
) -> Callable[..., asyncio.Protocol]:
    """Returns the factory of protocols for new connections: HTTP, or HTTP over TLS."""

    def http(**of_uvicorn: Any) -> HttpProtocol:
        return HttpProtocol(lobby=lobby, ending=ending, kind_of=kind_of, **of_uvicorn)

    if current is None or current.config.tls is None:
        return http

    def context() -> ssl.SSLContext:
        assert current.context is not None
        return current.context

    def allowed_names() -> tuple[str, ...]:
        tls = current.config.tls
        return tls.client_allowed_sans if tls else ()

    # asyncio reserves 256 KiB for each TLS connection, a quarter of a gigabyte for a thousand; a TLS record has at most
    # 16 KiB.
    sslproto.SSLProtocol.max_size = _TLS_BUFFER

    def tls(**of_uvicorn: Any) -> TlsGate:
        return TlsGate(lobby, context, allowed_names, lambda: http(**of_uvicorn))

    return tls


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, lobby: Lobby) -> None:
        super().__init__(config)
        self.begun = asyncio.Event()
        self._lobby = lobby
        self._acceptor: Acceptor | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Does nothing: the daemon handles signals."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to serve, with an acceptor instead of asyncio's servers."""
        await super().startup([])
        if self.started and sockets:
            self._acceptor = Acceptor(sockets, self._protocol, self._lobby.make_room, max(1, self._lobby.limit // 8))
            self.begun.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops accepting, and lets running requests end."""
        if self._acceptor is not None:
            self._acceptor.close()
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        make = self.config.http_protocol_class
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)  # type: ignore[call-arg]
