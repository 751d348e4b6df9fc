"""ShardedStrategy: bulk reads of one share of the first-level children, and a recursive watch on each of them.

One recursive watch on the root would bring every share's events. So the root alone is watched by one-shot watches, its
data and its list of children; each child of the share is watched recursively before anything at or below it is read.
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
    """Watches the root as the classic strategy does, and below it all that it is asked to read.

    A server carries out a session's requests in their order, so watches need not be answered before the reads leave.

    Args:
        root: the server's path of the root.
        batch_size: the most operations in one request.
        window: the most requests in flight.
    """

    def __init__(self, root: str, batch_size: int, window: int) -> None:
        super().__init__(root, batch_size, window)
        self._watched: set[str] = set()
        #: Those of the watched that may be gone.
        self._unsure: set[str] = set()

    def arm(self) -> None:
        """Nothing: watches go before reads, from now on anew."""
        self._unsure |= self._watched
        self._watched.clear()

    def lists_leaf(self, path: str) -> bool:
        """The root, whose list alone tells of new children."""
        return not path

    def watches_from(self, path: str) -> bool:
        """The first level."""
        return path.count("/") == 1

    def dirty(self, kind: int, path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The same as below a recursive watch, and the root's children where those changed."""
        return ((path,), (path,)) if kind == CHILD and not path else super().dirty(kind, path)

    def answered(self, request: ReadRequest, size: int) -> None:
        """Adapts the size of batches, and notes which children were perhaps not there any more."""
        super().answered(request, size)
        for path in (*request.reads, *request.lists):
            if not path:
                self._unsure |= self._watched
            elif path.count("/") == 1:
                self._unsure.add(path)

    def disarm(self, is_wanted: Callable[[str], bool]) -> Iterator[Request]:
        """Takes the watches off children that are gone: names may come and go for as long as the session lives.

        Should one come back, then the root's list tells of it, and reading it sets the watch again.
        """
        unsure, self._unsure = self._unsure, set()
        for path in unsure:
            if not is_wanted(path):
                self._watched.discard(path)
                yield RemoveWatches(self._prefix + path)

    def next_batch(self, agenda: Agenda, allowance: int | None, children_of: Callable[[str], int]) -> Sending | None:
        """A batch with the watches that it needs, or the list of the root."""
        if agenda.first_list() == "" and allowance != 0:
            _, load = agenda.take_list()
            return Sending(GetChildren(self._prefix, ""), ALL_LOADS if load else NO_LOADS)
        sending = super().next_batch(agenda, allowance, children_of)
        if sending is None:
            return None
        return Sending(sending.request, sending.loads, tuple(self._watches(sending.request)))

    def belongs_in_batch(self, path: str) -> bool:
        """Any but the root's, which is read by itself, as that sets a watch."""
        return bool(path)

    def _watches(self, request: ReadRequest) -> Iterator[Request]:
        """What must be watched before a request is carried out and is not yet."""
        if "" in request.reads:
            yield Exists(self._prefix)
        for path in (*request.reads, *request.lists):
            child = first_level(path)
            if child and child not in self._watched:
                self._watched.add(child)
                self._unsure.add(child)
                yield AddWatch(self._prefix + child)
