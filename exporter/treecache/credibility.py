"""Credibility: whether the recursive watches of a server say what changed.

ClickHouse Keeper reports every change below a recursive watch as a change of its root. So an event of such a znode,
which nobody is reading, is doubted until a read has shown that the znode has changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from exporter.treecache.tree import Tree, record_of
from exporter.zookeeper.messages import WatchEvent

#: Events without a change until a server is not believed any more.
_ENOUGH = 3


class Credibility:
    """What is to be believed of the servers' events, by what changes in the `tree`."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._misleading: Counter[str] = Counter()
        #: Of each path that a recursive watch is set on, an event that came although nothing of it was being read.
        self._doubted: dict[str, WatchEvent] = {}

    def believes(self, server: str) -> bool:
        """Whether a server is still believed."""
        return self._misleading[server] < _ENOUGH

    def misled_by(self, server: str) -> bool:
        """Notes an event without a change; True for the one after which the server is believed no more."""
        self._misleading[server] += 1
        return self._misleading[server] == _ENOUGH

    def doubt(self, path: str, event: WatchEvent) -> None:
        """The event is to be held against what the next read of its path brings."""
        self._doubted[path] = event

    def forget_doubts(self) -> None:
        """Everything is read anew."""
        self._doubted.clear()

    def held_before(self, causes: Iterable[str]) -> dict[str, bytes]:
        """What is held of those paths that a request follows events of, and whose events are doubted."""
        tree = self._tree
        found = ((path, tree.find(path)) for path in causes if path in self._doubted) if self._doubted else ()
        return {path: record_of(entry) for path, entry in found if entry is not None}

    def was_misled(self, causes: Iterable[str], before: dict[str, bytes]) -> bool:
        """Whether nothing has changed, by the request's answer, in a znode that an event was about."""
        for path in causes if self._doubted else ():
            self._doubted.pop(path, None)
        tree = self._tree
        found = ((record, tree.find(path)) for path, record in before.items() if record)
        return any(entry is not None and record_of(entry) == record for record, entry in found)
