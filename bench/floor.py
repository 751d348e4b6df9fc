"""The floor of latency: a client with one socket and no cache, driven like `bench.peer`: `python -m bench.floor HOSTS`.

It sets a recursive watch, reads each znode that an event names, and notes the age of what it read: the two exchanges
with the server that any cache makes for a change, and nothing else.
"""

from __future__ import annotations

import json
import struct
import sys
import threading
import time
from typing import Any

from bench.raw import frame, request_session
from bench.trees import ROOT
from exporter.zookeeper import watchevent
from exporter.zookeeper.records import data_of
from exporter.zookeeper.wire import AddWatch, GetData, Request

_INT = struct.Struct("!i")
_REPLY_HEADER = struct.Struct("!iqi")
_WATCH_XID = -1


class Floor:
    """The commands, by name; see `bench.peer`."""

    def __init__(self, hosts: str) -> None:
        self._socket = request_session(hosts)
        self._received = b""
        self._ages: list[float] = []
        self._frame()
        self._xid = 0

    def load(self) -> dict[str, Any]:
        self._send(AddWatch(ROOT))
        self._frame()
        threading.Thread(target=self._follow, daemon=True).start()
        return {}

    def listen(self) -> dict[str, Any]:
        return {}

    def ages(self) -> dict[str, Any]:
        return {"ages": self._ages}

    def _follow(self) -> None:
        while True:
            message = self._frame()
            xid, _, error = _REPLY_HEADER.unpack_from(message)
            if xid == _WATCH_XID:
                _, path = watchevent.decode(message, _REPLY_HEADER.size)
                self._send(GetData("", path))
            elif not error:
                data = data_of(message[_REPLY_HEADER.size :]) or b""
                if data[:1] == b"T":
                    self._ages.append(time.time() - float(data[1:]))

    def _send(self, request: Request) -> None:
        self._xid += 1
        self._socket.sendall(frame(self._xid, request))

    def _frame(self) -> bytes:
        while len(self._received) < 4 or len(self._received) < 4 + _INT.unpack_from(self._received)[0]:
            self._received += self._socket.recv(1 << 16)
        end = 4 + _INT.unpack_from(self._received)[0]
        message, self._received = self._received[4:end], self._received[end:]
        return message


def main() -> None:
    """Serves commands until standard input ends."""
    floor = Floor(*sys.argv[1:])
    for line in sys.stdin:
        print(json.dumps(getattr(floor, json.loads(line)["do"])()), flush=True)


if __name__ == "__main__":
    main()
