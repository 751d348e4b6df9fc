"""Connections: how many there may be and how long a client may keep one without a complete request.

uvicorn waits for a request's headers without end, and answers everyone with 503 at its limit. Here a request has to
be complete in time, and at the limit the connection goes that has waited longest without one, so that whoever sends
requests gets through a crowd of those who do not.
"""

from __future__ import annotations

import asyncio
import resource
import ssl
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from exporter.web.guard import SECURITY_HEADERS
from exporter.web.tls import has_allowed_name

#: Connections at most; fewer where the process may open few files.
LIMIT = 512
#: Seconds for a TLS handshake; from a connection's begin, or from the first byte of a later request, to the end of
#: the request's headers; and for a client to take what was written to it.
HANDSHAKE_TIMEOUT = 5.0
REQUEST_TIMEOUT = 10.0
WRITE_TIMEOUT = 30.0
#: Bytes that may wait for all clients together to take them.
UNREAD_LIMIT = 32 * 1024 * 1024

log = structlog.stdlib.get_logger("exporter.web")


class Lobby:
    """Everyone who is connected. Those who wait without a complete request are the ones to go when it is full."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit or min(LIMIT, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self._present: set[asyncio.Transport] = set()
        # Of those present, in order of time: who never sent a request, and who is between two of them.
        self._strangers: OrderedDict[asyncio.Transport, None] = OrderedDict()
        self._idle: OrderedDict[asyncio.Transport, None] = OrderedDict()
        # How many bytes wait for those who do not read as fast as they are written to, in order of time.
        self._slow: OrderedDict[asyncio.Transport, Callable[[], int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._present)

    def enter(self, transport: asyncio.Transport) -> None:
        """A connection begins; when that is one too many, the one that waited longest ends."""
        if len(self._present) >= self.limit:
            waiting = self._strangers or self._idle
            oldest = next(iter(waiting), transport)
            self.leave(oldest)
            oldest.abort()
            if oldest is transport:
                return
        self._present.add(transport)
        self._strangers[transport] = None

    def busy(self, transport: asyncio.Transport) -> None:
        """A request is complete."""
        self._strangers.pop(transport, None)
        self._idle.pop(transport, None)

    def idle(self, transport: asyncio.Transport) -> None:
        """An answer is complete."""
        if transport in self._present:
            self._idle[transport] = None

    def slow(self, transport: asyncio.Transport, unread: Callable[[], int]) -> None:
        """A client does not read; when too much waits for all such, those end that have not read for the longest."""
        self._slow[transport] = unread
        while self._slow and sum(size() for size in self._slow.values()) > UNREAD_LIMIT:
            oldest, _ = self._slow.popitem(last=False)
            oldest.abort()

    def reads(self, transport: asyncio.Transport) -> None:
        """A client has read what waited for it."""
        self._slow.pop(transport, None)

    def leave(self, transport: asyncio.Transport) -> None:
        """A connection has ended."""
        self._present.discard(transport)
        self._slow.pop(transport, None)
        self._strangers.pop(transport, None)
        self._idle.pop(transport, None)

    def end_waiting(self) -> None:
        """Ends every connection that waits without a complete request."""
        for transport in [*self._strangers, *self._idle]:
            transport.abort()

    def end_all(self) -> None:
        """Ends every connection at once."""
        for transport in list(self._present):
            transport.abort()


class HttpProtocol(H11Protocol):
    """One connection that speaks HTTP. `lobby` keeps account of it, `ending` is set when the server is to end.

    The application finds `endings` in its scope's state, for answers that would go on for ever: `ending`, and an event
    that is set when the client is gone or sends no more.
    """

    def __init__(self, *, lobby: Lobby, ending: asyncio.Event, **of_uvicorn: Any) -> None:
        super().__init__(**of_uvicorn)
        self._gone = asyncio.Event()
        self.app_state = {"endings": (ending, self._gone)}
        self._lobby = lobby
        self._socket: asyncio.Transport | None = None
        self._is_last = False
        self._deadline: asyncio.TimerHandle | None = None
        self._end_of_patience: asyncio.TimerHandle | None = None

    def take_over(self, socket: asyncio.Transport) -> None:
        """Tells the protocol of the transport below TLS, which is in the lobby already."""
        self._socket = socket

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Waits for a request from now on."""
        super().connection_made(transport)
        if self._socket is None:
            self._socket = transport
            self._lobby.enter(transport)
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        for timer in (self._deadline, self._end_of_patience):
            if timer is not None:
                timer.cancel()
        assert self._socket is not None
        self._lobby.leave(self._socket)
        self._gone.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes what the client sent; from its first byte on a request has to be complete in time."""
        self._expect_request()
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Lets a client that sends no more have its answer; TLS cannot be closed by halves."""
        self._gone.set()
        self._is_last = self._is_answering and self.transport is self._socket
        return self._is_last

    def handle_events(self) -> None:
        """Handles what is complete of what the client sent."""
        super().handle_events()
        if self._is_answering:
            assert self._socket is not None
            self._lobby.busy(self._socket)
            self._request_is_complete()

    def on_response_complete(self) -> None:
        """Waits for the next request, or for the client to take the last answer."""
        super().on_response_complete()
        if self._is_last and not self._is_answering:
            self.transport.close()
        if self.transport.is_closing():
            self._lose_patience_later()
        elif not self._is_answering:
            assert self._socket is not None
            self._lobby.idle(self._socket)
            if self.conn.their_state is not h11.IDLE:
                self._expect_request()

    def send_400_response(self, msg: str) -> None:
        """Refuses what is no HTTP, if nothing was answered yet, and ends the connection."""
        if self._is_answering:
            self.cycle.disconnected = True
        elif self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Connection", "close"),
                *SECURITY_HEADERS.items(),
            ]
            for event in (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=f"{msg}\n".encode()),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
        self._lose_patience_later()

    def pause_writing(self) -> None:
        """The client does not read as fast as it is written to."""
        super().pause_writing()
        self._lose_patience_later()
        assert self._socket is not None
        self._lobby.slow(self._socket, self._unread)

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()
        assert self._socket is not None
        self._lobby.reads(self._socket)
        if self._end_of_patience is not None and not self.transport.is_closing():
            self._end_of_patience.cancel()
            self._end_of_patience = None

    def timeout_keep_alive_handler(self) -> None:
        """No further request came."""
        super().timeout_keep_alive_handler()
        self._lose_patience_later()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _unread(self) -> int:
        assert self._socket is not None
        below = 0 if self.transport is self._socket else self._socket.get_write_buffer_size()
        return self.transport.get_write_buffer_size() + below

    def _expect_request(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_TIMEOUT, self._abort)

    def _request_is_complete(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _lose_patience_later(self) -> None:
        if self._end_of_patience is None:
            self._end_of_patience = self.loop.call_later(WRITE_TIMEOUT, self._abort)

    def _abort(self) -> None:
        assert self._socket is not None
        self._socket.abort()


class TlsGate(asyncio.Protocol):
    """One connection before and during its TLS handshake, after which `make` gives the protocol that takes over.

    `context` is asked for each connection, so that renewed certificates are used at once. `allowed_names` are the
    names of which a client's certificate must have one, if there are any.
    """

    def __init__(
        self,
        lobby: Lobby,
        context: Callable[[], ssl.SSLContext],
        allowed_names: Callable[[], tuple[str, ...]],
        make: Callable[[], HttpProtocol],
    ) -> None:
        self._lobby = lobby
        self._context = context
        self._allowed_names = allowed_names
        self._make = make
        self._early: list[bytes] = []
        self._handshake: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins the handshake."""
        assert isinstance(transport, asyncio.Transport)
        self._lobby.enter(transport)
        self._handshake = asyncio.get_running_loop().create_task(self._shake_hands(transport))

    def data_received(self, data: bytes) -> None:
        """Keeps what comes right behind the handshake."""
        self._early.append(data)

    async def _shake_hands(self, socket: asyncio.Transport) -> None:
        transport = None
        try:
            transport = await asyncio.get_running_loop().start_tls(
                socket, self, self._context(), server_side=True, ssl_handshake_timeout=HANDSHAKE_TIMEOUT
            )
        except OSError as error:
            log.debug("TLS handshake failed", reason=str(error))
            # It would keep the connection's buffers until the garbage collector finds the circle.
            error.__traceback__ = None
        # None when the client left in between.
        if transport is None or transport.is_closing() or not self._is_welcome(transport):
            self._lobby.leave(socket)
            (transport or socket).abort()
            return
        protocol = self._make()
        protocol.take_over(socket)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        for data in self._early:
            protocol.data_received(data)

    def _is_welcome(self, transport: asyncio.Transport) -> bool:
        allowed = self._allowed_names()
        certificate = transport.get_extra_info("peercert") or {}
        if not allowed or has_allowed_name(certificate.get("subjectAltName", ()), allowed):
            return True
        log.debug("TLS client refused", reason="its certificate has none of client_allowed_sans")
        return False
