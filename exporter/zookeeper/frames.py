"""Frames: the messages on a connection, as many as have arrived at once, where kazoo reads one with several calls."""

from __future__ import annotations

import ssl
import struct
from collections.abc import Generator
from typing import Any

from kazoo.exceptions import ConnectionDropped

from exporter.zookeeper.protocol import ProtocolError

_READ_SIZE = 256 * 1024
#: Enough for one turn of the connection's loop, which also sends requests and pings.
_READ_LIMIT = 1024 * 1024
_LENGTH = struct.Struct("!i")
#: Bytes that one frame may have unless said otherwise. ZooKeeper bounds what it is sent (``jute.maxbuffer``, 1 MiB by
#: default) but not its replies: the names of a few million children fit, and memory does not run out.
MAX_FRAME = 256 * 1024 * 1024
#: The least and the most that can be said: what any znode fits in, and the longest that a frame's length can say.
LEAST_MAX_FRAME, MOST_MAX_FRAME = 1024 * 1024, 2**31 - 1


class FrameBuffer:
    """What was received on a connection's current socket and is no whole frame yet. Each frame follows its length.

    Args:
        limit: the most bytes that a frame may have.
    """

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self.limit = limit
        self._buffer = bytearray()
        #: What one call receives. To have a new one made each time costs more than all the rest of a small message.
        self._chunk = memoryview(bytearray(_READ_SIZE))
        self._socket: Any = None

    def receive(self, sock: Any) -> int:
        """Takes what the socket has; gives how many bytes that were.

        Raises:
            ConnectionDropped: the other side has closed the connection, and there was nothing before that.
        """
        if sock is not self._socket:
            self._socket = sock
            self._buffer.clear()
        # TLS hides what it has decrypted from select, so all of that must be taken at once.
        pending = getattr(sock, "pending", int)
        received = 0
        while received < _READ_LIMIT or pending():
            try:
                count = sock.recv_into(self._chunk)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            if not count:
                if received:
                    break
                raise ConnectionDropped("socket connection broken")
            self._buffer += self._chunk[:count]
            received += count
            if count < _READ_SIZE and not pending():
                break
        return received

    def frames(self) -> Generator[bytes, None, None]:
        """Gives out, and forgets, the whole frames; one that its reader stumbles over is forgotten too.

        Raises:
            ProtocolError: a frame says that it has fewer than no bytes, or more than the limit.
        """
        buffer, offset = self._buffer, 0
        try:
            while len(buffer) - offset >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(buffer, offset)
                if not 0 <= length <= self.limit:
                    # Where the next frame begins is not known.
                    offset = len(buffer)
                if length < 0:
                    raise ProtocolError("bad_frame", f"a frame of {length} bytes")
                if length > self.limit:
                    raise ProtocolError("frame_too_large", f"a frame of {length} bytes, of {self.limit} at most")
                start = offset + _LENGTH.size
                if len(buffer) - start < length:
                    break
                offset = start + length
                yield bytes(memoryview(buffer)[start:offset])
        finally:
            del buffer[:offset]
