"""Frames: reads all messages that have arrived at once, where kazoo needs several system calls for each."""

from __future__ import annotations

import ssl
import struct
from collections.abc import Generator
from typing import Any

from kazoo.exceptions import ConnectionDropped

from exporter.zookeeper.protocol import ProtocolError

_READ_SIZE = 256 * 1024
#: The maximum number of bytes to read in one turn of the connection's loop, which also sends requests and pings.
_READ_LIMIT = 1024 * 1024
_LENGTH = struct.Struct("!i")
#: The maximum number of bytes of one frame by default. ZooKeeper limits requests (``jute.maxbuffer``, 1 MiB by default)
#: but not its replies: this fits the names of a few million children without exhausting memory.
MAX_FRAME = 256 * 1024 * 1024
#: The range of that limit: any znode fits into the minimum; the maximum is the longest length that a frame can have.
LEAST_MAX_FRAME, MOST_MAX_FRAME = 1024 * 1024, 2**31 - 1


class FrameBuffer:
    """The bytes received on a connection's current socket that form no whole frame yet. A frame follows its length.

    Args:
        limit: the maximum number of bytes of a frame.
    """

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self.limit = limit
        self._buffer = bytearray()
        #: The buffer of each receive. A new one each time would cost more than all the rest for a small message.
        self._chunk = memoryview(bytearray(_READ_SIZE))
        self._socket: Any = None

    def receive(self, sock: Any) -> int:
        """Reads the bytes that the socket has; returns their number.

        Raises:
            ConnectionDropped: the other side has closed the connection, and no bytes came before that.
        """
        if sock is not self._socket:
            self._socket = sock
            self._buffer.clear()
        # select does not see bytes that TLS has decrypted already, so read all of them at once.
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
        """Yields and forgets the whole frames, including one on which its reader fails.

        Raises:
            ProtocolError: a frame's length is negative or above the limit.
        """
        buffer, offset = self._buffer, 0
        try:
            while len(buffer) - offset >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(buffer, offset)
                if not 0 <= length <= self.limit:
                    # The beginning of the next frame is unknown.
                    offset = len(buffer)
                if length < 0:
                    raise ProtocolError("bad_frame", f"a frame of {length} bytes")
                if length > self.limit:
                    raise ProtocolError("frame_too_large", f"a frame of {length} bytes; the limit is {self.limit}")
                start = offset + _LENGTH.size
                if len(buffer) - start < length:
                    break
                offset = start + length
                yield bytes(memoryview(buffer)[start:offset])
        finally:
            del buffer[:offset]
