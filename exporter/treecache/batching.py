"""BatchSize: how much one MultiRead may ask for, learnt from the answers.

A server commits no write while it works on a MultiRead, answers with a reply of any size, and drops a connection
that sends it more than ``jute.maxbuffer`` (1 MiB by default, less where somebody said so). So batches start small, grow
while answers stay small, and are bounded in operations, in the bytes of the request and in the bytes expected back.
"""

from __future__ import annotations

from exporter.zookeeper.capabilities import REQUEST_BYTES
from exporter.zookeeper.wire import READ_OVERHEAD

_FIRST_SIZE = 64
#: What a request has besides its paths.
_FRAME_BYTES = 64
_REPLY_BYTES = 1024 * 1024
_NAME_BYTES = 24
#: How much of the learnt size of an answer each new batch replaces.
_WEIGHT = 0.5


class BatchSize:
    """Adapts the size of batches, up to `ceiling` operations."""

    def __init__(self, ceiling: int) -> None:
        self._ceiling = ceiling
        self._size = min(_FIRST_SIZE, ceiling)
        self._answer_bytes = 1024.0
        #: How long a request may be, see `exporter.zookeeper.capabilities`.
        self.request_bytes = REQUEST_BYTES

    def room(self, prefix: int, allowance: int | None = None) -> Room:
        """An empty batch to fill with paths that all have so many bytes before them, `allowance` of them at most."""
        size = self._size if allowance is None else min(self._size, allowance)
        return Room(size, self._answer_bytes, prefix + READ_OVERHEAD, self.request_bytes - _FRAME_BYTES)

    def takes(self, prefix: int, operations: int, size: int) -> bool:
        """Whether one request may hold so many operations, on paths of `size` bytes and the prefix before each."""
        return size + operations * (prefix + READ_OVERHEAD) + _FRAME_BYTES <= self.request_bytes

    def answered(self, operations: int, size: int) -> None:
        """Learns from the bytes that so many operations brought back."""
        self._answer_bytes += _WEIGHT * (size / operations - self._answer_bytes)
        if operations >= self._size // 2:
            self._size = min(2 * self._size, self._ceiling)


class Room:
    """What is left of one batch's bounds. The first operation always fits."""

    def __init__(self, operations: int, answer_bytes: float, overhead: int, request_bytes: int) -> None:
        self._operations = operations
        self._request_bytes = request_bytes
        self._reply_bytes: float = _REPLY_BYTES
        self._answer_bytes = max(1.0, answer_bytes)
        self._overhead = overhead

    @property
    def operations(self) -> int:
        """How many more reads of common size fit."""
        if self._operations <= 0 or self._reply_bytes <= 0 or self._request_bytes <= 0:
            return 0
        fit = min(self._operations, self._reply_bytes / self._answer_bytes, self._request_bytes / self._overhead)
        return max(1, int(fit))

    @property
    def bytes(self) -> int:
        """How many bytes of paths fit, with the `overhead` of each."""
        return self._request_bytes

    @property
    def overhead(self) -> int:
        """The bytes that each path takes besides itself."""
        return self._overhead

    def fits(self, operations: int, size: int, names: int = 0) -> bool:
        """Whether operations on paths of so many bytes have a place beside what is there.

        The names they may list are no reason against it, unless they fill an answer by themselves.
        """
        return names * _NAME_BYTES <= _REPLY_BYTES and size + operations * self._overhead <= self._request_bytes

    def take(self, operations: int, size: int, names: int = 0) -> None:
        """Uses room for operations on paths of so many bytes in all, and for the names they may list."""
        self._operations -= operations
        self._request_bytes -= size + operations * self._overhead
        self._reply_bytes -= operations * self._answer_bytes + names * _NAME_BYTES
