"""Frames: the messages on a connection, as many as have arrived at once, where kazoo reads one with several calls."""

from __future__ import annotations

import ssl
import struct
from collections.abc import Generator
from typing import Any

from kazoo.exceptions import ConnectionDropped

_READ_SIZE = 256 * 1024
#: Enough for one turn of the connection's loop, which also sends requests and pings.
_READ_LIMIT = 1024 * 1024
_LENGTH = struct.Struct("!i")


class FrameBuffer:
    """What was received on a connection's current socket and is no whole frame yet. Each frame follows its length."""

    def __init__(self) -> None:
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
        """Gives out, and forgets, the whole frames; one that its reader stumbles over is forgotten too."""
        buffer, offset = self._buffer, 0
        try:
            while len(buffer) - offset >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(buffer, offset)
                start = offset + _LENGTH.size
                if len(buffer) - start < length:
                    break
                offset = start + length
                yield bytes(memoryview(buffer)[start:offset])
        finally:
            del buffer[:offset]
