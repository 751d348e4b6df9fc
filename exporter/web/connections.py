"""Connections: one client's connection, with HTTP or TLS, and the timeout of each step.

uvicorn waits for a request's headers without limit; here they have a deadline. When there are too many connections, the
lobby decides which one ends.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

from exporter.web.guard import SECURITY_HEADERS
from exporter.web.lobby import Kind, Lobby
from exporter.web.tls import has_allowed_name

#: Seconds for a TLS handshake; for a request's headers, counted from the start of the connection or the first byte of a
#: later request; and for a client to read an answer.
HANDSHAKE_TIMEOUT = 5.0
REQUEST_TIMEOUT = 10.0
WRITE_TIMEOUT = 30.0
#: The answer of Go's TLS servers to a plain HTTP request, and how such a request begins.
PLAIN_HTTP = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
_HTTP_BEGINS = (b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO")

log = structlog.stdlib.get_logger("exporter.web")


class HttpProtocol(H11Protocol):
    """One HTTP connection. The `lobby` tracks it; `ending` is set when the server stops.

    `kind_of` maps the path of a request to its kind.

    The scope's state has `endings`, for answers that would otherwise never end: `ending`, and an event that is set when
    the client is gone or sends no more.
    """

    def __init__(
        self, *, lobby: Lobby, ending: asyncio.Event, kind_of: Callable[[str], Kind], **of_uvicorn: Any
    ) -> None:
        super().__init__(**of_uvicorn)
        self._kind_of = kind_of
        self._gone = asyncio.Event()
        self.app_state = {"endings": (ending, self._gone)}
        self._lobby = lobby
        self._socket: asyncio.Transport | None = None
        self._is_last = False
        self._deadline: asyncio.TimerHandle | None = None
        self._write_timeout: asyncio.TimerHandle | None = None

    def take_over(self, socket: asyncio.Transport) -> None:
        """Sets the transport below TLS, which has already entered the lobby."""
        self._socket = socket

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts waiting for a request."""
        super().connection_made(transport)
        if self._socket is None:
            self._socket = transport
            self._lobby.enter(transport)
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """Removes the connection from the lobby."""
        for timer in (self._deadline, self._write_timeout):
            if timer is not None:
                timer.cancel()
        assert self._socket is not None
        self._lobby.leave(self._socket)
        self._gone.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Takes received data; the first byte of a request starts its deadline."""
        self._expect_request()
        super().data_received(data)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Still answers a client that sends no more; a TLS connection cannot be half closed."""
        self._gone.set()
        self._is_last = self._is_answering and self.transport is self._socket
        return self._is_last

    def handle_events(self) -> None:
        """Handles the complete events in the received data."""
        before = self.cycle
        super().handle_events()
        if self._is_answering:
            assert self._socket is not None
            self._request_is_complete()
            # on_response_complete calls this again for a pipelined request.
            if self.cycle is not before:
                self._begin_answer()

    def _begin_answer(self) -> None:
        """Takes a place for the request; the task that answers it starts later and notices if there is no place."""
        assert self._socket is not None
        admitted = self._lobby.busy(self._socket, self._kind_of(self.scope["path"]))
        self.scope["state"]["refused"] = not admitted
        if not admitted or self._lobby.is_full:
            # Others wait, so the next request has to queue with them.
            self.cycle.keep_alive = False
            self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"close")]

    def on_response_complete(self) -> None:
        """Waits for the next request, or for the client to read the last answer."""
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
        """Refuses invalid HTTP, unless an answer has begun, and ends the connection."""
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
        """The client reads more slowly than the answer is written."""
        super().pause_writing()
        self._lose_patience_later()
        assert self._socket is not None
        self._lobby.slow(self._socket, self._unread)

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()
        assert self._socket is not None
        self._lobby.reads(self._socket)
        if self._write_timeout is not None and not self.transport.is_closing():
            self._write_timeout.cancel()
            self._write_timeout = None

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
        if self._write_timeout is None:
            self._write_timeout = self.loop.call_later(WRITE_TIMEOUT, self._abort)

    def _abort(self) -> None:
        assert self._socket is not None
        self._socket.abort()


class TlsGate(asyncio.Protocol):
    """One connection before and during its TLS handshake; after it, the protocol that `make` returns takes over.

    `context` is called for each connection, so that renewed certificates are used immediately. If there are
    `allowed_names`, a client's certificate must have one of them.
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
        self._early = b""
        self._socket: asyncio.Transport | None = None
        self._timeout: asyncio.TimerHandle | None = None
        self._handshake: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Waits for the first bytes, which show whether the client speaks TLS."""
        assert isinstance(transport, asyncio.Transport)
        self._socket = transport
        self._timeout = asyncio.get_running_loop().call_later(HANDSHAKE_TIMEOUT, transport.abort)
        self._lobby.enter(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Removes a connection whose handshake did not succeed."""
        assert self._socket is not None
        self._cancel_timeout()
        self._lobby.leave(self._socket)

    def data_received(self, data: bytes) -> None:
        """Starts the handshake, or refuses a plain HTTP request; keeps data that arrives during the handshake."""
        assert self._socket is not None
        self._early += data
        if self._handshake is not None or self._socket.is_closing():
            return
        if self._early.startswith(_HTTP_BEGINS):
            self._socket.write(PLAIN_HTTP)
            self._socket.close()
        elif not any(begin.startswith(self._early) for begin in _HTTP_BEGINS):
            self._handshake = asyncio.get_running_loop().create_task(self._shake_hands(self._socket))

    def _cancel_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()

    async def _shake_hands(self, socket: asyncio.Transport) -> None:
        transport = None
        loop = asyncio.get_running_loop()
        assert self._timeout is not None
        left = max(0.01, self._timeout.when() - loop.time())
        self._cancel_timeout()
        if socket.is_closing():
            # start_tls would not notice that the connection is lost.
            return
        try:
            handshake = loop.create_task(
                loop.start_tls(socket, self, self._context(), server_side=True, ssl_handshake_timeout=left)
            )
            # The first turn lets start_tls set its protocol, which misses earlier data; the second lets that start.
            await asyncio.sleep(0)
            hello, self._early = self._early, b""
            await asyncio.sleep(0)
            _feed(socket.get_protocol(), hello)
            transport = await handshake
        except OSError as error:
            log.debug("TLS handshake failed", reason=str(error))
            # The traceback would keep the connection's buffers alive until the garbage collector finds the cycle.
            error.__traceback__ = None
        # None if the client left in between.
        if transport is None or transport.is_closing() or not self._is_welcome(transport):
            self._lobby.leave(socket)
            (transport or socket).abort()
            return
        protocol = self._make()
        protocol.take_over(socket)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._early:
            protocol.data_received(self._early)

    def _is_welcome(self, transport: asyncio.Transport) -> bool:
        allowed = self._allowed_names()
        certificate = transport.get_extra_info("peercert") or {}
        if not allowed or has_allowed_name(certificate.get("subjectAltName", ()), allowed):
            return True
        log.debug("TLS client refused", reason="its certificate has none of client_allowed_sans")
        return False


def _feed(protocol: asyncio.BaseProtocol | None, data: bytes) -> None:
    """Gives a protocol data that was received before it was set; None means that the connection is lost."""
    if protocol is None:
        return
    if isinstance(protocol, asyncio.Protocol):
        protocol.data_received(data)
        return
    assert isinstance(protocol, asyncio.BufferedProtocol)
    while data:
        buffer = memoryview(protocol.get_buffer(len(data)))
        part = data[: len(buffer)]
        buffer[: len(part)] = part
        protocol.buffer_updated(len(part))
        data = data[len(part) :]
