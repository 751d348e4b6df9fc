"""Connections: one client's, with HTTP or TLS on it, and how long it may take for each step.

uvicorn waits for a request's headers without end. Here a request has to be complete in time; who has to leave when
there are too many connections is the lobby's to say.
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

#: Seconds for a TLS handshake; from a connection's begin, or from the first byte of a later request, to the end of
#: the request's headers; and for a client to take what was written to it.
HANDSHAKE_TIMEOUT = 5.0
REQUEST_TIMEOUT = 10.0
WRITE_TIMEOUT = 30.0
#: What Go's servers answer to a request without TLS, where TLS is spoken, and how such a request begins.
PLAIN_HTTP = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
_HTTP_BEGINS = (b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO")

log = structlog.stdlib.get_logger("exporter.web")


class HttpProtocol(H11Protocol):
    """One connection that speaks HTTP. `lobby` keeps account of it, `ending` is set when the server is to end.

    `kind_of` says by its path what a request asks for.

    The application finds `endings` in its scope's state, for answers that would go on for ever: `ending`, and an event
    that is set when the client is gone or sends no more.
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
        self._end_of_patience: asyncio.TimerHandle | None = None

    def take_over(self, socket: asyncio.Transport) -> None:
        """Gives the protocol the transport below TLS, which is in the lobby already."""
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
        before = self.cycle
        super().handle_events()
        if self._is_answering:
            assert self._socket is not None
            self._request_is_complete()
            # A request that is answered in turn comes by here again: on_response_complete reads on.
            if self.cycle is not before:
                self._begin_answer()

    def _begin_answer(self) -> None:
        """Takes the request's place; the task that answers it has not begun yet, and finds out if there is none."""
        assert self._socket is not None
        admitted = self._lobby.busy(self._socket, self._kind_of(self.scope["path"]))
        self.scope["state"]["refused"] = not admitted
        if not admitted or self._lobby.is_full:
            # Others wait: the next request has to queue with them.
            self.cycle.keep_alive = False
            self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"close")]

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
        self._early = b""
        self._socket: asyncio.Transport | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._handshake: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Waits for the first bytes, which say whether the client speaks TLS."""
        assert isinstance(transport, asyncio.Transport)
        self._socket = transport
        self._silence = asyncio.get_running_loop().call_later(HANDSHAKE_TIMEOUT, transport.abort)
        self._lobby.enter(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets a connection that never came to speak HTTP."""
        assert self._socket is not None
        self._be_patient_no_longer()
        self._lobby.leave(self._socket)

    def data_received(self, data: bytes) -> None:
        """Begins the handshake, or refuses a request that comes without; keeps what comes right behind it."""
        assert self._socket is not None
        self._early += data
        if self._handshake is not None or self._socket.is_closing():
            return
        if self._early.startswith(_HTTP_BEGINS):
            self._socket.write(PLAIN_HTTP)
            self._socket.close()
        elif not any(begin.startswith(self._early) for begin in _HTTP_BEGINS):
            self._handshake = asyncio.get_running_loop().create_task(self._shake_hands(self._socket))

    def _be_patient_no_longer(self) -> None:
        if self._silence is not None:
            self._silence.cancel()

    async def _shake_hands(self, socket: asyncio.Transport) -> None:
        transport = None
        loop = asyncio.get_running_loop()
        assert self._silence is not None
        left = max(0.01, self._silence.when() - loop.time())
        self._be_patient_no_longer()
        if socket.is_closing():
            # start_tls would not learn that the connection is lost.
            return
        try:
            handshake = loop.create_task(
                loop.start_tls(socket, self, self._context(), server_side=True, ssl_handshake_timeout=left)
            )
            # Once for start_tls to set its protocol, which until then nothing reaches, and once for that to begin.
            await asyncio.sleep(0)
            hello, self._early = self._early, b""
            await asyncio.sleep(0)
            _feed(socket.get_protocol(), hello)
            transport = await handshake
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
    """Gives a protocol what was received in its place; there is none any more where the connection was lost."""
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
