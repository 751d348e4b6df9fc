"""OneShotWatches: counts the one-shot watches that this package's own reads hold on the server. kazoo counts its own.

The rules are those of ZooKeeper's ``WatchManager``: on a connection, a path has at most one watch of each kind, however
often it is set; an event removes the watch of its kind, and a deletion both.
"""

from __future__ import annotations

from exporter.zookeeper.messages import CHILD, DELETED
from exporter.zookeeper.wire import NO_NODE, OK, Exists, GetChildren, RemoveWatches, Request, WatchingRead

_DATA = 1
_CHILDREN = 2


class OneShotWatches:
    """Keeps one number for each watched path, since there may be as many paths as znodes."""

    def __init__(self) -> None:
        #: The kinds by the hash of the path: half the size of the paths themselves, and as good for counting.
        self._kinds: dict[int, int] = {}
        self.data = 0
        self.children = 0

    def answered(self, request: Request, error: int) -> None:
        """A request was answered. A read that fails sets no watch, except an Exists that finds nothing."""
        if isinstance(request, RemoveWatches):
            if error == OK:
                self._change(request.path, 0)
            return
        found = error == OK or (error == NO_NODE and isinstance(request, Exists))
        if found and isinstance(request, WatchingRead) and request.watch:
            kind = _CHILDREN if isinstance(request, GetChildren) else _DATA
            self._change(request.path, self._kinds.get(hash(request.path), 0) | kind)

    def fired(self, event: int, path: str) -> None:
        """A watch event came."""
        kinds = self._kinds.get(hash(path), 0)
        if kinds:
            used_up = _DATA | _CHILDREN if event == DELETED else _CHILDREN if event == CHILD else _DATA
            self._change(path, kinds & ~used_up)

    def clear(self) -> None:
        """The connection is lost, and the watches with it."""
        self._kinds.clear()
        self.data = self.children = 0

    def _change(self, path: str, kinds: int) -> None:
        key = hash(path)
        before = self._kinds.pop(key, 0)
        if kinds:
            self._kinds[key] = kinds
        self.data += bool(kinds & _DATA) - bool(before & _DATA)
        self.children += bool(kinds & _CHILDREN) - bool(before & _CHILDREN)
