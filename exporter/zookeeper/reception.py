"""Reception: reads whole frames from the server, all that have arrived, and passes each on in order."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Sized
from typing import Any

from kazoo.exceptions import AuthFailedError, ConnectionDropped
from kazoo.protocol.connection import AUTH_XID, CLOSE_RESPONSE, PING_XID, WATCH_XID

from exporter.zookeeper.calls import Call, error_of
from exporter.zookeeper.client import Client, Methods
from exporter.zookeeper.connecting import Connecting
from exporter.zookeeper.frames import FrameBuffer
from exporter.zookeeper.inquiries import Inquiries
from exporter.zookeeper.kazoo.repairs import answer_auth, answer_oldest, overtaken
from exporter.zookeeper.messages import Reply
from exporter.zookeeper.moderation import Moderation
from exporter.zookeeper.observers import Observers
from exporter.zookeeper.protocol import ProtocolError
from exporter.zookeeper.sending import Sending
from exporter.zookeeper.traffic import Traffic
from exporter.zookeeper.watches import Watches
from exporter.zookeeper.wire import NO_NODE, Exists, ReadRequest, Request

_HEADER = struct.Struct("!iqi")


class Reception:
    """Replaces the client's methods for its socket, `originals`; runs on the connection's thread."""

    def __init__(
        self,
        client: Client,
        originals: Methods,
        observers: Observers,
        traffic: Traffic,
        connecting: Connecting,
        inquiries: Inquiries,
        watches: Watches,
        sending: Sending,
        arrived: Callable[[Sized | None], None],
    ) -> None:
        self._client = client
        self._write = originals.write
        #: Has ``select`` if somebody has replaced that, see `exporter.zookeeper.kazoo.polling`.
        self._own_attributes = vars(client.handler)
        self._observers = observers
        self._traffic = traffic
        self._connecting = connecting
        self._inquiries = inquiries
        self._capabilities = inquiries.capabilities
        self._watches = watches
        self._sending = sending
        self._arrived = arrived
        self._buffer = FrameBuffer()
        self._is_limited = False
        self._moderation = Moderation()

    def limit(self, max_bytes: int) -> None:
        """Limits the length of replies; see `Session.limit_replies`."""
        self._buffer.limit = max(max_bytes, self._buffer.limit) if self._is_limited else max_bytes
        self._is_limited = True

    def pause(self) -> float:
        """For how many seconds events may gather: 0 while a request of anyone else waits for its reply."""
        pending = self._client.pending
        return self._moderation.pause if not pending or isinstance(pending[0][0], Request) else 0.0

    def drop(self, reason: str) -> None:
        """Ends the connection because of a reply that cannot be decoded; see `Session.drop`."""
        self._connecting.on_protocol_error(ProtocolError(reason, "a reply that cannot be decoded"))
        self._client.hang_up()

    # Replacements of the client's methods of these names

    def write(self, message: Any, timeout: Any) -> None:
        """Sends bytes."""
        try:
            # At once, while kazoo first asks the socket whether it takes any bytes; kazoo also knows what errors mean.
            try:
                sent = 0 if "select" in self._own_attributes else self._client.socket.send(message)
            except OSError:
                sent = 0
            if sent < len(message):
                self._write(message[sent:], timeout)
        except ConnectionDropped:
            # The reason why the server hung up may have arrived before: read it.
            try:
                self.read_socket(timeout)
            except AuthFailedError:
                raise
            except Exception:
                pass
            raise
        self._traffic.sent_bytes += len(message)

    def read_socket(self, read_timeout: float) -> Any:
        """Reads all arrived messages; kazoo's own method reads one frame with several system calls."""
        sock, handler = self._client.socket, self._client.handler
        if "select" in self._own_attributes and not handler.select([sock], [], [], read_timeout)[0]:
            raise handler.timeout_exception("socket time-out during read")
        self._traffic.heard(self._buffer.receive(sock))
        frames = self._buffer.frames()
        try:
            for frame in frames:
                if self.on_frame(frame) == CLOSE_RESPONSE:
                    self._arrived(None)
                    return CLOSE_RESPONSE
        except BaseException as error:
            self._arrived(None)
            if isinstance(error, ProtocolError):
                self._on_protocol_error(error)
            raise
        finally:
            frames.close()
        self._moderation.read(self._traffic.last_heard or 0.0)
        self._sending.give_occasion(self._arrived, read_timeout)
        return None

    # Frames

    def on_frame(self, frame: bytes) -> Any:
        """Handles one message; returns `CLOSE_RESPONSE` for the answer to the end of the session.

        Raises:
            ConnectionDropped: the message ends the connection; a ProtocolError if that is the server's fault.
            AuthFailedError: the message ends the session.
        """
        if len(frame) < _HEADER.size:
            raise ProtocolError("bad_frame", f"a message of {len(frame)} bytes, without a whole header")
        xid, zxid, error = _HEADER.unpack_from(frame)
        if xid == WATCH_XID:
            self._moderation.event()
            self._watches.on_event(frame, _HEADER.size, zxid)
        elif xid == PING_XID:
            self._client.ping_outstanding.clear()
            self._traffic.pinged_zxid = max(self._traffic.pinged_zxid, zxid)
            self._observers.answered(xid, zxid, len(frame))
        elif xid == AUTH_XID:
            answer_auth(self._client, error)
        else:
            return self._on_reply(frame, xid, zxid, error)
        return None

    def _on_reply(self, frame: bytes, xid: int, zxid: int, error: int) -> Any:
        pending = self._client.pending
        if not pending or pending[0][2] != xid:
            self._on_overtaking_reply(xid, error)
        request, result, _ = pending[0]
        call: Call | None = getattr(result, "call", None)
        if call is not None:
            call.zxid, call.received_bytes = zxid, len(frame)
        if isinstance(request, Request):
            pending.popleft()
            if zxid > 0:
                self._client.last_zxid = zxid
            self._capabilities.answered(request, error, self._connecting.peer, time.monotonic())
            self._watches.answered(request, error)
            if call is not None:
                call.end(error_of(error) if error and not (error == NO_NODE and isinstance(request, Exists)) else None)
            result.sink(Reply(request, zxid, error, frame, _HEADER.size, None if call is None else call.exemplar))
            return None
        answer = answer_oldest(self._client, (xid, zxid, error), frame, _HEADER.size, result)
        if result is None:
            self._observers.answered(xid, zxid, len(frame), error_of(error))
        return answer

    def _on_overtaking_reply(self, xid: int, error: int) -> None:
        """A reply out of order ends the connection; if it answers a session's request, its error is noted."""
        waiting = overtaken(self._client, xid)
        for request in waiting:
            if isinstance(request, Request):
                self._capabilities.answered(request, error, self._connecting.peer, time.monotonic())
                self._watches.answered(request, error)
        if waiting:
            raise ConnectionDropped(f"a reply with xid {xid} out of order")
        raise ProtocolError("unexpected_reply", f"a reply with xid {xid} that no request waits for")

    def _on_protocol_error(self, error: ProtocolError) -> None:
        self._connecting.on_protocol_error(error)
        pending = self._client.pending
        if error.reason == "frame_too_large" and pending and isinstance(pending[0][0], ReadRequest):
            self._inquiries.on_too_much(pending[0][0])
