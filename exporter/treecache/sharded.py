"""ShardedStrategy: bulk reads of one shard of the first-level children, and a recursive watch on each of them.

A recursive watch on the root would bring the events of every shard. So one-shot watches cover the root's data and its
list of children, and each child of the shard gets a recursive watch before anything at or below it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from exporter.treecache.agenda import ALL_LOADS, NO_LOADS, Agenda
from exporter.treecache.recursive import RecursiveStrategy
from exporter.treecache.scope import first_level
from exporter.treecache.strategy import Sending
from exporter.zookeeper.messages import CHILD
from exporter.zookeeper.wire import AddWatch, Exists, GetChildren, ReadRequest, RemoveWatches, Request


class ShardedStrategy(RecursiveStrategy):
    """Watches the root as the classic strategy does, and recursively the first-level children that it reads.

    A server executes a session's requests in order, so reads may leave before their watches are answered.

    Args:
        root: the server's path of the root.
        batch_size: the maximum number of operations in one request.
        window: the maximum number of outstanding requests.
    """

    def __init__(self, root: str, batch_size: int, window: int) -> None:
        super().__init__(root, batch_size, window)
        self._watched: set[str] = set()
        #: The watched children that may no longer exist.
        self._unsure: set[str] = set()

    def arm(self) -> None:
        """Returns None: watches are sent with the reads, and all must be set again from now on."""
        self._unsure |= self._watched
        self._watched.clear()

    def lists_leaf(self, path: str) -> bool:
        """True for the root: only its list reports new children."""
        return not path

    def watches_from(self, path: str) -> bool:
        """True for first-level children."""
        return path.count("/") == 1

    def dirty(self, kind: int, path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The same as for a recursive watch, and the root's children if those changed."""
        return ((path,), (path,)) if kind == CHILD and not path else super().dirty(kind, path)

    def refresh(self, path: str) -> None:
        """Returns None: a read may need a watch first."""

    def answered(self, request: ReadRequest, size: int) -> None:
        """Adapts the size of batches, and notes children that may no longer exist."""
        super().answered(request, size)
        for path in (*request.reads, *request.lists):
            if not path:
                self._unsure |= self._watched
            elif path.count("/") == 1:
                self._unsure.add(path)

    def disarm(self, is_wanted: Callable[[str], bool]) -> Iterator[Request]:
        """Removes the watches of children that are gone, since names may come and go as long as the session lives.

        If a child comes back, the root's list reports it, and reading it sets the watch again.
        """
        unsure, self._unsure = self._unsure, set()
        for path in unsure:
            if not is_wanted(path):
                self._watched.discard(path)
                yield RemoveWatches(self._prefix + path)

    def next_batch(self, agenda: Agenda, allowance: int | None, children_of: Callable[[str], int]) -> Sending | None:
        """A batch with the watches that it needs first, or the list of the root."""
        if agenda.first_list() == "" and allowance != 0:
            _, load = agenda.take_list()
            return Sending(GetChildren(self._prefix, ""), ALL_LOADS if load else NO_LOADS)
        sending = super().next_batch(agenda, allowance, children_of)
        if sending is None:
            return None
        return Sending(sending.request, sending.loads, tuple(self._watches(sending.request)))

    def belongs_in_batch(self, path: str) -> bool:
        """True except for the root: its list is a separate request, which sets a watch."""
        return bool(path)

    def _watches(self, request: ReadRequest) -> Iterator[Request]:
        """The watches that a request needs and that are not set yet."""
        if "" in request.reads:
            yield Exists(self._prefix)
        for path in (*request.reads, *request.lists):
            child = first_level(path)
            if child and child not in self._watched:
                self._watched.add(child)
                self._unsure.add(child)
                yield AddWatch(self._prefix + child)
