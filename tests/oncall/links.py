"""Links: an ensemble whose servers communicate with a delay, as over a slow network or with slow disks.

Each follower reaches its leader through a relay that delays messages. So a commit takes twice the delay, and a read,
which a server answers from its memory, takes no longer than before.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from exporter.demo.ports import free_port
from tests.faults.ensemble import LIMITS, Ensemble, Member

_CHUNK = 65536


class Relay:
    """Forwards data between a loopback port and a target, in both directions and in order, `delay` seconds later."""

    def __init__(self, target: int) -> None:
        self.delay = 0.0
        self.port = free_port()
        self._target = target
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def close(self) -> None:
        """Closes all connections, and accepts no more."""
        _shut(self._listener)
        self._threads[0].join(10)
        for end in self._open:
            _shut(end)
        for thread in self._threads:
            thread.join(10)
        for end in (self._listener, *self._open):
            end.close()

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self._open += [client, server]
            for source, sink in ((client, server), (server, client)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                self._start(self._read, source, waiting)
                self._start(_write, sink, waiting)

    def _read(self, source: socket.socket, waiting: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        data = b"to begin with"
        while data:
            try:
                data = source.recv(_CHUNK)
            except OSError:
                data = b""
            waiting.put((time.monotonic() + self.delay, data))


def _write(sink: socket.socket, waiting: queue.SimpleQueue[tuple[float, bytes]]) -> None:
    while True:
        due, data = waiting.get()
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            sink.sendall(data)
        except OSError:
            data = b""
        if not data:
            _shut(sink)
            return


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True)
class _SeenByOthers:
    """A member at the address that the others use."""

    number: int
    address: str


class _Late(Member):
    """A member that the others reach through a relay."""

    def __init__(self, number: int, limits: Mapping[str, str]) -> None:
        ports = free_port(), free_port(), free_port()
        super().__init__(number, ports, limits=limits)
        self.relay = Relay(ports[1])
        self._seen = _SeenByOthers(number, f"127.0.0.1:{self.relay.port}:{ports[2]}")

    def launch(self, members: Iterable[Member]) -> None:
        seen = [member if member is self or not isinstance(member, _Late) else member._seen for member in members]
        super().launch(cast("list[Member]", seen))


class LateEnsemble(Ensemble):
    """Three members whose communication can be delayed."""

    def __init__(self, *, limits: Mapping[str, str] = LIMITS) -> None:
        super().__init__(limits=limits)
        self._late = [_Late(member.number, limits) for member in self.members]
        self.members = list(self._late)

    def delay(self, seconds: float) -> None:
        """Delays the servers' messages to each other by this time in each direction, from now on."""
        for member in self._late:
            member.relay.delay = seconds

    def stop(self) -> None:
        """Kills all members, and stops the relays."""
        super().stop()
        for member in self._late:
            member.relay.close()
