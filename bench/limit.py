"""The raw limit: what it takes to receive a tree's records at all, without making anything of them.

`python -m bench.limit HOSTS DIRECTORIES LEAVES` asks for every znode with the same bulk reads as the cache, four at a
time, and reads the answers into a buffer without looking at them.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time

from kazoo.protocol.serialization import Connect

from bench.trees import Shape
from exporter.zookeeper.wire import MultiRead

_INT = struct.Struct("!i")
_HEADER = struct.Struct("!ii")
_BATCH = 1024
_WINDOW = 4


def receive(connection: socket.socket, buffer: memoryview) -> None:
    """Reads one frame."""
    connection.recv_into(buffer[:4], 4, socket.MSG_WAITALL)
    (length,) = _INT.unpack_from(buffer)
    connection.recv_into(buffer[:length], length, socket.MSG_WAITALL)


def main() -> None:
    """Reads the tree once and prints the seconds as JSON."""
    host, port = sys.argv[1].split(":")
    paths = list(Shape(int(sys.argv[2]), int(sys.argv[3]), 0).paths())
    batches = [MultiRead("", paths[start : start + _BATCH], []) for start in range(0, len(paths), _BATCH)]
    frames = []
    for xid, batch in enumerate(batches, 1):
        body = _HEADER.pack(xid, batch.type) + batch.serialize()
        frames.append(_INT.pack(len(body)) + body)
    buffer = memoryview(bytearray(1 << 26))
    with socket.create_connection((host, int(port))) as connection:
        connect = bytes(Connect(0, 0, 10_000, 0, b"\0" * 16, False).serialize())
        connection.sendall(_INT.pack(len(connect)) + connect)
        receive(connection, buffer)
        started = time.perf_counter()
        for sent, frame in enumerate(frames):
            connection.sendall(frame)
            if sent >= _WINDOW - 1:
                receive(connection, buffer)
        for _ in range(min(_WINDOW - 1, len(frames))):
            receive(connection, buffer)
        print(json.dumps({"seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
