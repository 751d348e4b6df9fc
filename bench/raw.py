"""Reads a tree's records straight from the server, with the same bulk reads as the cache."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from types import TracebackType

from kazoo.protocol.serialization import Connect

from bench.trees import Shape
from exporter.zookeeper.wire import MultiRead, Request

_INT = struct.Struct("!i")
_REQUEST_HEADER = struct.Struct("!ii")
#: Offset of a reply's body, after xid, zxid and error.
BODY = 16
_BATCH = 1024
_WINDOW = 4


class Reader:
    """A session, open within its block, that reads every znode of a tree, four requests at a time."""

    def __init__(self, hosts: str, shape: Shape) -> None:
        paths = list(shape.paths())
        self._batches = [MultiRead("", paths[start : start + _BATCH], []) for start in range(0, len(paths), _BATCH)]
        self._frames = [frame(xid, batch) for xid, batch in enumerate(self._batches, 1)]
        self._buffer = memoryview(bytearray(1 << 26))
        self._connection = request_session(hosts)

    def __enter__(self) -> Reader:
        self._receive()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def replies(self) -> Iterator[tuple[MultiRead, memoryview]]:
        """Each request with its reply, which is valid until the next one."""
        unanswered = iter(self._batches)
        for sent, batch_frame in enumerate(self._frames):
            self._connection.sendall(batch_frame)
            if sent >= _WINDOW - 1:
                yield next(unanswered), self._receive()
        for batch in unanswered:
            yield batch, self._receive()

    def _receive(self) -> memoryview:
        self._connection.recv_into(self._buffer[:4], 4, socket.MSG_WAITALL)
        (length,) = _INT.unpack_from(self._buffer)
        self._connection.recv_into(self._buffer[:length], length, socket.MSG_WAITALL)
        return self._buffer[:length]


def request_session(hosts: str) -> socket.socket:
    """A connection on which a session was requested; the server's answer is the first frame."""
    host, port = hosts.split(":")
    connection = socket.create_connection((host, int(port)))
    connect = bytes(Connect(0, 0, 30_000, 0, b"\0" * 16, False).serialize())
    connection.sendall(_INT.pack(len(connect)) + connect)
    return connection


def frame(xid: int, request: Request) -> bytes:
    """A request as it is sent."""
    body = _REQUEST_HEADER.pack(xid, request.type) + request.serialize()
    return _INT.pack(len(body)) + body
