"""Connecting: connects a client, and keeps its server and the server's decision about the session."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from kazoo.exceptions import AuthFailedError, ConnectionDropped, SessionExpiredError
from kazoo.protocol.serialization import Connect

from exporter.zookeeper.calls import SESSION_EXPIRED, error_of
from exporter.zookeeper.capabilities import Capabilities
from exporter.zookeeper.client import Client, Methods
from exporter.zookeeper.heritage import Heritage
from exporter.zookeeper.kazoo.repairs import check_length, exchange, resolve
from exporter.zookeeper.observers import Observers
from exporter.zookeeper.protocol import Mistrust, ProtocolError, protocol_error_in
from exporter.zookeeper.statechange import session_in_hex
from exporter.zookeeper.traffic import Traffic

#: Decides whether to give up a session that servers hang up on; see `Session.allow_giving_up`.
GivingUp = Callable[[int, float], bool]


class Connecting:
    """Replaces a client's methods for connecting, `originals`; runs on the connection's thread."""

    def __init__(
        self,
        client: Client,
        originals: Methods,
        observers: Observers,
        traffic: Traffic,
        capabilities: Capabilities,
        heritage: Heritage,
    ) -> None:
        self._client = client
        self._originals = originals
        self._observers = observers
        self._traffic = traffic
        self._capabilities = capabilities
        self._heritage = heritage
        self._mistrust = Mistrust()
        #: None without an attempt, and during an attempt that began before this object was made.
        self._connecting_since: float | None = None
        #: The server that the client is or was last connected to, by its configured name.
        self.server: str | None = None
        #: The server that the client is trying, or tried last.
        self.tried: str | None = None
        #: Whether an attempt is under way. kazoo reports a connection before the server has answered to credentials.
        self.is_under_way = False
        #: Whether the client ever had a connection.
        self.ever_connected = client.connected
        #: The address that the client is, or was last, connected to: a name may stand for several servers.
        self.peer = self.peer_now() if client.connected else ""
        #: The session timeout that the server granted, in seconds.
        self.granted_timeout: float | None = None
        #: When the session began, by the monotonic clock and in Unix time.
        self.session_started: float | None = None
        self.session_started_at = 0.0
        #: The session that a server has replaced by a new one, and when it began, until that is reported.
        self.replaced: tuple[str, float | None] | None = None
        #: Whether the session is given up, until that is reported.
        self.given_up = False
        #: Decides whether to give it up; see `Session.allow_giving_up`.
        self.gives_up: GivingUp | None = None

    # Servers

    def server_now(self) -> str | None:
        """The server that the client is connected to, as ``host:port``; None without a connection."""
        if self._heritage.is_dead or not self._client.connected:
            return None
        if self.server is None:
            self.server = _peer(self._client.socket)
        return self.server

    def peer_now(self) -> str:
        """The address of the server that the client is connected to."""
        return _peer(self._client.socket) or self.server or ""

    def on_protocol_error(self, error: ProtocolError) -> None:
        """Counts the error and delays the next connection to the server, which kazoo would make immediately."""
        self._traffic.protocol_errors[error.reason] += 1
        server = self.server_now() or self.server or ""
        if self._mistrust.broken(server, time.monotonic(), self.granted_timeout):
            self._client.logger.warning("%s violated the protocol (%s): %s", server, error.reason, error)
        self._capabilities.given_up()

    # Replacements of the client's methods of these names

    def expand_hosts(self) -> list[Any]:
        """The addresses to try."""
        self.tried = None
        addresses = resolve(self._client, self._originals.expand_hosts)
        if not addresses:
            self._traffic.failed("dns")
        return addresses

    def connect(self, host: str, *where: Any) -> Any:
        """Connects, opens or resumes the session, and authenticates."""
        self._traffic.connection_attempts += 1
        self.server = self.tried = f"[{host}]:{where[-1]}" if ":" in host else f"{host}:{where[-1]}"
        self.is_under_way = True
        try:
            return self._shake_hands(host, *where)
        except SessionExpiredError:
            raise
        except Exception as error:
            reason = _failure_reason(error, self._client.handler.timeout_exception)
            self._traffic.failed(reason)
            if reason == "hung_up" and self._is_given_up():
                self.given_up = True
                raise SessionExpiredError("the session is given up") from error
            raise
        finally:
            self.is_under_way = False

    def read(self, length: int, timeout: Any) -> Any:
        """Reads `length` bytes."""
        check_length(length)
        data = self._originals.read(length, timeout)
        self._traffic.heard(len(data))
        return data

    def read_header(self, timeout: Any) -> Any:
        """Reads one reply, and ends its call if it is one of SASL's."""
        header, frame, offset = self._originals.read_header(timeout)
        self._observers.answered(header.xid, header.zxid, len(frame), error_of(header.err))
        return header, frame, offset

    def invoke(self, timeout: float, request: Any, xid: Any = None) -> Any:
        """Makes one exchange; the first on a connection opens or resumes the session."""
        client, traffic = self._client, self._traffic
        if self._observers:
            with self._observers.exchange(request, self.server) as call:
                call.xid = xid or 0
                sent_before, received_before = traffic.sent_bytes, traffic.received_bytes
                answer = exchange(client, self._originals, timeout, request, xid)
                call.sent_bytes = traffic.sent_bytes - sent_before
                call.received_bytes = traffic.received_bytes - received_before
                if isinstance(request, Connect) and answer[0].time_out <= 0:
                    call.end(SESSION_EXPIRED)
            began, self._connecting_since = self._connecting_since, None
            if began is not None and isinstance(request, Connect) and answer[0].time_out > 0:
                self._observers.connected(time.monotonic() - began, call.exemplar)
        else:
            answer = exchange(client, self._originals, timeout, request, xid)
        if isinstance(request, Connect) and answer[0].time_out > 0:
            self._on_session(answer[0])
        return answer

    def _shake_hands(self, *where: Any) -> Any:
        """Connects as kazoo does, but checks every answer: kazoo's client would die of one that it cannot decode."""
        self._client.stopped.wait(self._mistrust.remaining(self.server or "", time.monotonic()))
        received_before, self._connecting_since = self._traffic.received_bytes, time.monotonic()
        try:
            return self._originals.connect(*where)
        except Exception as error:
            broken = protocol_error_in(error) if self._traffic.received_bytes > received_before else None
            if broken is None:
                raise
            self.on_protocol_error(broken)
            raise broken from error

    def _on_session(self, connected: Any) -> None:
        """A server has opened a session or resumed the client's."""
        self.granted_timeout = connected.time_out / 1000
        session_id = self._client.session_id
        if connected.session_id != session_id:
            if session_id and self.ever_connected:
                self.replaced = session_in_hex(session_id), self.session_started
            self.session_started, self.session_started_at = time.monotonic(), time.time()

    def _is_given_up(self) -> bool:
        """Whether to give up a session that a server hangs up on.

        A server hangs up while it has no quorum, which says nothing about the session, and, forever, if it has lost
        transactions that the client has seen (ZooKeeperServer.processConnectRequest).
        """
        last_heard = self._traffic.last_heard
        if self.gives_up is None or not self._client.session_id or last_heard is None:
            return False
        return self.gives_up(self._client.last_zxid, time.monotonic() - last_heard)


def _failure_reason(error: BaseException, timeout_exception: type[BaseException]) -> str:
    """Classifies a failed connection attempt as one of `FAILURE_REASONS`."""
    cause = error.__context__ if isinstance(error, ConnectionDropped) and error.__context__ else error
    # kazoo's ConnectionDropped means a hang-up, unless its context is an error of the socket.
    hung_up = (ConnectionResetError, BrokenPipeError, ConnectionAbortedError, ConnectionDropped)
    reasons: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
        (socket.gaierror, "dns"),
        (ConnectionRefusedError, "refused"),
        (ssl.SSLError, "tls"),
        ((TimeoutError, socket.timeout, timeout_exception), "timeout"),
        (AuthFailedError, "auth"),
        (hung_up, "hung_up"),
    )
    return next((reason for kind, reason in reasons if isinstance(cause, kind)), "other")


def _peer(sock: Any) -> str | None:
    try:
        host, port = sock.getpeername()[:2]
    except (AttributeError, OSError):
        return None
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
