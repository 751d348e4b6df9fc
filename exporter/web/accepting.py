"""Accepting: takes new connections from listening sockets, and copes with running out of file descriptors.

asyncio's own servers accept either one connection per turn of the event loop, so that many busy connections delay new
ones, or as many as the backlog is long; then, without file descriptors, each of them starts a separate retry timer.
"""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
from collections.abc import Callable, Sequence

import structlog

from exporter.process.repetitions import FAULT_INTERVAL, Repetitions

#: Connections that may wait to be accepted; the kernel has its own limit.
BACKLOG = 1024
#: Seconds until the next attempt after a connection could not be accepted.
_PAUSE = 0.2
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
#: Bytes that the kernel buffers for a client that does not read; the default is megabytes for each.
_SEND_BUFFER = 128 * 1024

log = structlog.stdlib.get_logger("exporter.web")


class Acceptor:
    """Accepts connections from `listeners` and gives each a new `protocol`.

    Accepts at most `at_once` connections per turn of the event loop, because the files of connections that it ends are
    closed some turns later. Calls `make_room`, which may end another connection, when file descriptors run out.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        protocol: Callable[[], asyncio.BaseProtocol],
        make_room: Callable[[], object],
        at_once: int,
    ) -> None:
        self._listeners = listeners
        self._protocol = protocol
        self._make_room = make_room
        self._at_once = at_once
        self._loop = asyncio.get_running_loop()
        self._paused: dict[socket.socket, asyncio.TimerHandle] = {}
        self._beginning: set[asyncio.Task[object]] = set()
        self._repetitions = Repetitions(FAULT_INTERVAL)
        for listener in listeners:
            listener.setblocking(False)
            listener.listen(BACKLOG)
            # Accepted connections inherit these.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            if listener.family != socket.AF_UNIX:
                # Else the end of an answer waits for the client's acknowledgement of its beginning, up to 40 ms.
                # asyncio does this only for sockets that name their protocol.
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._resume(listener)

    def close(self) -> None:
        """Stops accepting; the listening sockets stay open."""
        for pause in self._paused.values():
            pause.cancel()
        for listener in self._listeners:
            self._loop.remove_reader(listener)

    def _resume(self, listener: socket.socket) -> None:
        self._paused.pop(listener, None)
        self._loop.add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(self._at_once):
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                # The client left before it was accepted.
                continue
            except OSError as error:
                self._pause(listener, error)
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._begin(connection))
            self._beginning.add(task)
            task.add_done_callback(self._beginning.discard)

    async def _begin(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:
            connection.close()

    def _pause(self, listener: socket.socket, error: OSError) -> None:
        """Waits for a moment: the connection stays in the queue, and without a pause the loop would retry endlessly."""
        self._loop.remove_reader(listener)
        self._paused[listener] = self._loop.call_later(_PAUSE, self._resume, listener)
        if error.errno in _NO_ROOM:
            self._make_room()
        if self._repetitions.admit(str(error.errno)) is None:
            return
        if error.errno == errno.EMFILE:
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
            log.warning("too many open files", limit=limit, reason="new connections wait")
        else:
            log.warning("cannot accept connections", reason=error.strerror)
