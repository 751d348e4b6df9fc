"""Looks: what an audit reads next, and what it knows about each znode that it has not settled yet."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from exporter.treecache.agenda import Wanted
from exporter.zookeeper.paths import Paths, Siblings, byte_length
from exporter.zookeeper.wire import ReadRequest


class Look:
    """One look at a znode: how often it was put off, whether it is the second one, and whether it was counted."""

    __slots__ = ("is_counted", "is_second", "lists", "tries")

    def __init__(self, *, is_second: bool = False, lists: bool = False, is_counted: bool = False) -> None:
        self.tries = 0
        self.is_second = is_second
        #: Whether a second look is about children that the tree lacks.
        self.lists = lists
        self.is_counted = is_second or is_counted


class Round:
    """The znodes that are looked at together, within bounds, and the requests that do so.

    Args:
        room: the maximum number of operations.
        size: the maximum number of bytes of the requests and their answers.
    """

    def __init__(self, room: int, size: int) -> None:
        #: The znodes to read, and those to read and list.
        self.reads = Paths()
        self.lists: list[str] = []
        #: The look at each, but for first looks at leaves, of which there are very many.
        self.looks: dict[str, Look] = {}
        #: How many more operations there may be.
        self.room = room
        self.size = 0
        self._limit = size
        #: The requests that are not answered yet.
        self.requests: set[ReadRequest] = set()
        #: The paths that have become dirty since the requests were sent.
        self.touched = Wanted()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to look at."""
        return not self.reads and not self.lists

    @property
    def has_room(self) -> bool:
        """Whether more znodes may be looked at."""
        return self.room > 0 and not self.is_large

    @property
    def is_large(self) -> bool:
        """Whether there are enough bytes."""
        return self.size >= self._limit

    def add_leaves(self, prefix: str, run: Siblings, data_bytes: Sequence[int]) -> int:
        """Adds first looks at leaves, at least one, until the round is large; returns at how many."""
        in_front = 8 * len(prefix + run.stem)
        fit, size = len(run.names), len(run.names) * in_front + 8 * byte_length(run.names) + sum(data_bytes)
        if self.size + size > self._limit:
            ends = list(accumulate(in_front + 8 * len(n) + s for n, s in zip(run.names, data_bytes, strict=True)))
            fit = min(fit, 1 + bisect_left(ends, self._limit - self.size))
            size = ends[fit - 1]
        self.reads.add(Siblings(run.stem, run.names[:fit]))
        self.room -= fit
        self.size += size
        return fit

    def add_read(self, path: str, look: Look, size: int) -> None:
        """Adds a look of so many bytes at a record."""
        self.reads.add(Siblings("", (path,)))
        self._add(path, look, 1, size)

    def add_list(self, path: str, look: Look, size: int) -> None:
        """Adds a look of so many bytes at a record and its list of children."""
        self.lists.append(path)
        self._add(path, look, 2, size)

    def _add(self, path: str, look: Look, operations: int, size: int) -> None:
        self.looks[path] = look
        self.room -= operations
        self.size += size


def bytes_of(path: str, data_bytes: int) -> int:
    """The bytes of a request and its answer, about."""
    return 8 * len(path) + data_bytes
