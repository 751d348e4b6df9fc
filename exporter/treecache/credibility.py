"""Credibility: whether the recursive watches of a server name the znodes that changed.

ClickHouse Keeper reports every change below a recursive watch as a change of its root. So an event of a watch's own
path that is not being read is in doubt until a read shows that the znode has changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from exporter.treecache.tree import Tree, record_of
from exporter.zookeeper.messages import WatchEvent

#: The number of events without a change after which a server is no longer believed.
_ENOUGH = 3


class Credibility:
    """Which servers' events are believed, judged by the changes in `tree`."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._misleading: Counter[str] = Counter()
        #: By the path of a recursive watch: an event of that path that came while the path was not being read.
        self.doubted: dict[str, WatchEvent] = {}

    def believes(self, server: str) -> bool:
        """Whether a server is still believed."""
        return self._misleading[server] < _ENOUGH

    def misled_by(self, server: str) -> bool:
        """Notes an event without a change; returns True for the one after which the server is no longer believed."""
        self._misleading[server] += 1
        return self._misleading[server] == _ENOUGH

    def doubt(self, path: str, event: WatchEvent) -> None:
        """Arranges that the event is compared with the next read of its path."""
        self.doubted[path] = event

    def forget_doubts(self) -> None:
        """Drops the doubted events, since everything is read again."""
        self.doubted.clear()

    def held_before(self, causes: Iterable[str]) -> dict[str, bytes]:
        """The records held of those `causes` whose events are in doubt."""
        if not self.doubted:
            return {}
        tree = self._tree
        found = ((path, tree.find(path)) for path in causes if path in self.doubted)
        return {path: record_of(entry) for path, entry in found if entry is not None}

    def was_misled(self, causes: Iterable[str], before: dict[str, bytes]) -> bool:
        """Whether the answer shows no change of a znode that an event reported as changed."""
        if not self.doubted and not before:
            return False
        for path in causes:
            self.doubted.pop(path, None)
        tree = self._tree
        found = ((record, tree.find(path)) for path, record in before.items() if record)
        return any(entry is not None and record_of(entry) == record for record, entry in found)
