"""PollingHandler: kazoo's threading handler with a much cheaper select.

kazoo makes a new epoll object for each call, several times for each message; a plain poll of the two or three sockets
does the same.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from typing import Any

_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR
_WRITABLE = select.POLLOUT | select.POLLHUP | select.POLLERR

Ready = tuple[list[Any], list[Any], list[Any]]


class PollingHandler:
    """Wraps a handler of threads and replaces its `select`. Not for greenlets, which must not block.

    Args:
        handler: the other handler.
        pause: returns for how many seconds arriving messages may gather now. A connection that waits for its socket and
            for requests to send first waits that long for requests only.
    """

    def __init__(self, handler: Any, pause: Callable[[], float] = float) -> None:
        self._handler = handler
        #: Has ``select`` if somebody has replaced that, as tests do that simulate the network.
        self._own_attributes = vars(handler)
        self._pause = pause

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)

    def select(
        self, readers: Sequence[Any], writers: Sequence[Any], exceptional: Sequence[Any], timeout: float | None = None
    ) -> Ready:
        """Waits, at most `timeout` seconds, until some of these sockets can be read or written.

        Raises:
            ValueError: a socket is closed.
        """
        if "select" in self._own_attributes:
            ready: Ready = self._handler.select(readers, writers, exceptional, timeout)
            return ready
        if len(readers) > 1 and (pause := self._pause()):
            _poll(readers[1:], (), pause)
        happened = _poll(readers, writers, timeout)
        if not happened:
            return [], [], []
        readable = [reader for reader in readers if happened.get(reader.fileno(), 0) & _READABLE]
        writable = writers and [writer for writer in writers if happened.get(writer.fileno(), 0) & _WRITABLE]
        return readable, list(writable), []


def _poll(readers: Sequence[Any], writers: Sequence[Any], timeout: float | None) -> dict[int, int]:
    """The events by descriptor, as `poll` returns them."""
    poll = select.poll()
    for reader in readers:
        poll.register(reader, select.POLLIN)
    for writer in writers:
        poll.register(writer, select.POLLOUT)
    return dict(poll.poll(None if timeout is None else timeout * 1000))
