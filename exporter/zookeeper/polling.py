"""PollingHandler: kazoo's threading handler, with a select that costs a fraction of its own.

kazoo makes a fresh epoll object for each call, several times for each message; a plain poll of the two or three
sockets concerned does the same.
"""

from __future__ import annotations

import select
from collections.abc import Sequence
from typing import Any

_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR
_WRITABLE = select.POLLOUT | select.POLLHUP | select.POLLERR

Ready = tuple[list[Any], list[Any], list[Any]]


class PollingHandler:
    """Everything of another handler but its `select`. Not for handlers that are no threads: those must not block."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)

    def select(
        self, readers: Sequence[Any], writers: Sequence[Any], _exceptional: Sequence[Any], timeout: float | None = None
    ) -> Ready:
        """Waits, at most `timeout` seconds, until some of these sockets can be read from or written to.

        Raises:
            ValueError: a socket is closed.
        """
        poll = select.poll()
        for reader in readers:
            poll.register(reader, select.POLLIN)
        for writer in writers:
            poll.register(writer, select.POLLOUT)
        ready = dict(poll.poll(None if timeout is None else timeout * 1000))
        if not ready:
            return [], [], []
        return (
            [reader for reader in readers if ready.get(reader.fileno(), 0) & _READABLE],
            [writer for writer in writers if ready.get(writer.fileno(), 0) & _WRITABLE],
            [],
        )
