"""Proxy: a TCP proxy between ZooKeeper clients and a server that causes network faults.

It forwards whole frames (a length of four bytes, and that many bytes), so that it can break one in the middle and
answer requests in place of the server.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType

from exporter.demo.ports import free_port

UP = "client to server"
DOWN = "server to client"

_LENGTH = struct.Struct("!i")
_REQUEST_HEADER = struct.Struct("!ii")
_REPLY = struct.Struct("!iiqi")
_PING = struct.pack("!iii", 8, -2, 11)
#: The start of a client's first frame: protocol version, last zxid, timeout, session id.
_BEFORE_SESSION = struct.Struct("!iiqi")
_SESSION = struct.Struct("!qi16s")


class Proxy:
    """Listens on a loopback port while its block runs; `target` is the server's port and may be changed.

    `address` and `port` say where it listens: by default at 127.0.0.1, on a free port.

    Faults affect existing and new connections until `heal`. `accepted` counts connections.
    """

    def __init__(self, target: int, address: str = "127.0.0.1", port: int | None = None) -> None:
        self.target = target
        self.address = address
        self.port = port or free_port()
        self.accepted = 0
        self.refused_requests: list[int] = []
        self.delay = 0.0
        #: Whether reconnecting clients get new sessions, because their first frame no longer names the old one.
        self.forgets_sessions = False
        #: Returns a replacement for a frame of the server, with its length.
        self.corrupt: Callable[[bytes], bytes] | None = None
        #: Whether the server gets a ping in place of refused requests, so that it keeps the sessions of clients that
        #: send nothing else.
        self.keeps_sessions = False
        #: Whether to close connections when a client requests a session, as a server without a quorum does.
        self.hangs_up = False
        self._flowing = {UP: threading.Event(), DOWN: threading.Event()}
        self._breaking: str | None = None
        self._refusal: tuple[frozenset[int], int | None, bool] = (frozenset(), 0, False)
        self._links: list[_Link] = []
        self._listener: socket.socket | None = None
        self.heal()

    @property
    def hosts(self) -> str:
        """The proxy's connection string."""
        return f"{self.address}:{self.port}"

    @property
    def breaking(self) -> bool:
        """Whether the frame to break has not arrived yet."""
        return self._breaking is not None

    def __enter__(self) -> Proxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self.cut()
        for link in self._links:
            link.join()

    # Faults

    def cut(self) -> None:
        """Closes every connection."""
        for link in list(self._links):
            link.close()

    def inject(self, data: bytes) -> None:
        """Sends data to every client that no server sent."""
        for link in list(self._links):
            link.inject(data)

    def refuse(self) -> None:
        """Refuses new connections from now on."""
        if self._listener is not None:
            # Closing alone would leave the thread blocked in accept().
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def stall(self, direction: str) -> None:
        """Stops forwarding in one direction; connections stay open."""
        self._flowing[direction].clear()

    def break_frame(self, direction: str) -> None:
        """Forwards half of the next frame in this direction, then cuts its connection."""
        self._breaking = direction

    def refuse_requests(self, opcodes: set[int], error: int | None, *, close: bool) -> None:
        """Answers requests with these opcodes with an error, as a server that does not support them does.

        It answers immediately, before pending requests, and with `close` it then closes the connection: real servers do
        both. Without an `error` it closes the connection without an answer.
        """
        self._refusal = frozenset(opcodes), error, close

    def heal(self) -> None:
        """Ends delays, corruption, stalls and refusal of connections. Refusal of requests stays."""
        self.delay = 0.0
        self.corrupt = None
        self._breaking = None
        for flowing in self._flowing.values():
            flowing.set()
        if self._listener is None:
            self._listener = socket.create_server((self.address, self.port))
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    # For links

    def connecting(self, frame: bytes) -> bytes:
        """The frame to forward for a client's first one, which requests a session; empty if it is refused."""
        if self.hangs_up:
            return b""
        if not self.forgets_sessions:
            return frame
        start, end = _BEFORE_SESSION.size, _BEFORE_SESSION.size + _SESSION.size
        return frame[:start] + _SESSION.pack(0, 16, bytes(16)) + frame[end:]

    def wait_flowing(self, direction: str, link: _Link) -> None:
        """Waits until this direction is not stalled, or the link is closed."""
        if self.delay:
            time.sleep(self.delay)
        while not self._flowing[direction].wait(0.05) and not link.closed.is_set():
            pass

    def takes_to_break(self, direction: str) -> bool:
        """Whether this frame is the one to break."""
        if self._breaking != direction:
            return False
        self._breaking = None
        return True

    def answer_to(self, request: bytes) -> tuple[bytes, bool] | None:
        """The refusal of a request, and whether to close the connection after it; None for requests that pass."""
        opcodes, error, close = self._refusal
        xid, opcode = _REQUEST_HEADER.unpack_from(request, _LENGTH.size)
        if opcode not in opcodes:
            return None
        self.refused_requests.append(opcode)
        answer = b"" if error is None else _REPLY.pack(_REPLY.size - _LENGTH.size, xid, 0, error)
        return answer, close

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._links = [link for link in self._links if not link.closed.is_set()]
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            link = _Link(self, client, server)
            # Before any data passes, so that every connected client can be cut.
            self._links.append(link)
            link.start()


class _Link:
    """One connection through the proxy, with a thread for each direction."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.closed = threading.Event()
        self._proxy = proxy
        self._client = client
        self._server = server
        self._answering = threading.Lock()
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._threads = [
            threading.Thread(target=self._pump, args=(direction,), daemon=True) for direction in (UP, DOWN)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self.closed.set()
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def inject(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._send(DOWN, data)

    def join(self) -> None:
        for thread in self._threads:
            # The thread of the last connection may not have started; it ends because the connection is closed.
            with contextlib.suppress(RuntimeError):
                thread.join(10)

    def _pump(self, direction: str) -> None:
        try:
            self._forward(direction)
        except OSError:
            pass
        finally:
            self.close()
            (self._client if direction == UP else self._server).close()

    def _forward(self, direction: str) -> None:
        source = self._client if direction == UP else self._server
        begun = False
        for frames in _frames(source):
            self._proxy.wait_flowing(direction, self)
            if self.closed.is_set():
                return
            if self._proxy.takes_to_break(direction):
                self._send(direction, frames[0][: len(frames[0]) // 2])
                return
            if direction == DOWN and (corrupt := self._proxy.corrupt):
                frames = [corrupt(frame) for frame in frames]
            # The first frame of a connection is not a request.
            if direction == UP and not begun:
                frames[0] = self._proxy.connecting(frames[0])
                if not frames[0]:
                    return
            refused = self._refused(frames if begun else frames[1:]) if direction == UP else None
            begun = True
            if refused is None:
                self._send(direction, b"".join(frames))
                continue
            passing = [frame for frame in frames if frame not in refused]
            self._send(UP, b"".join(passing) or (_PING if self._proxy.keeps_sessions else b""))
            for answer, hangs_up in refused.values():
                self._send(DOWN, answer)
                if hangs_up:
                    return

    def _refused(self, requests: list[bytes]) -> dict[bytes, tuple[bytes, bool]] | None:
        answers = ((request, self._proxy.answer_to(request)) for request in requests)
        return {request: answer for request, answer in answers if answer is not None} or None

    def _send(self, direction: str, data: bytes) -> None:
        if direction == UP:
            self._server.sendall(data)
        else:
            with self._answering:
                self._client.sendall(data)


def _frames(source: socket.socket) -> Iterator[list[bytes]]:
    """Yields lists of whole frames that arrive together."""
    buffer = bytearray()
    while chunk := source.recv(1 << 16):
        buffer += chunk
        frames = []
        while len(buffer) >= _LENGTH.size:
            size = _LENGTH.size + _LENGTH.unpack_from(buffer)[0]
            if len(buffer) < size:
                break
            frames.append(bytes(buffer[:size]))
            del buffer[:size]
        if frames:
            yield frames
