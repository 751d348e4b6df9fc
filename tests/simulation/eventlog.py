"""EventLog: replays a replica's events from nothing and refuses every sequence that a listener must never see."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.treecache.events import TreeEvent
from exporter.treecache.outcome import Event
from exporter.treecache.tree import Tree
from exporter.zookeeper.records import history_of
from tests.simulation.server import ModelServer
from tests.simulation.znodes import STAT

_NODE_EVENTS = (TreeEvent.NODE_ADDED, TreeEvent.NODE_UPDATED, TreeEvent.NODE_REMOVED)


class EventLog:
    """The events so far, and the znodes that they result in.

    Args:
        server: knows what the events may lack: unreadable znodes, and states older than earlier ones.
        prefix: the server's path of the root, which precedes the events' paths.
    """

    def __init__(self, server: ModelServer, prefix: str) -> None:
        self.events: list[Event] = []
        self.nodes: dict[str, bytes] = {}
        self._server = server
        self._prefix = prefix
        self._seen: dict[str, tuple[int, int]] = {}
        self.initialized = False
        self._interrupted = False
        self._reconnects = 0
        self._excused: set[str] = set()

    def extend(self, events: Iterable[Event]) -> None:
        """Adds events that a replica published."""
        for event in events:
            self.events.append(event)
            if event.type in _NODE_EVENTS:
                self._replay(event)
            else:
                self._on_state(event.type)

    def excuse(self, path: str, record: bytes | None) -> None:
        """Replaces what the events result in at a path; None for nothing at and below it."""
        self._excused.add(path)
        if record is not None:
            self.nodes[path] = record
            return
        for gone in [gone for gone in self.nodes if gone == path or gone.startswith(path + "/")]:
            self._excused.add(gone)
            del self.nodes[gone]

    def assert_equals(self, tree: Tree, held: dict[str, bytes]) -> None:
        """Asserts that the events result in the znodes held; stats may have changed by children since."""
        replayed = {self._prefix + path or "/": gist(record) for path, record in self.nodes.items()}
        assert replayed == {path: gist(record) for path, record in held.items()}, "the events are not the tree"

    def _on_state(self, kind: int) -> None:
        if kind == TreeEvent.CONNECTION_RECONNECTED:
            self._interrupted = False
            self._reconnects += 1
            if self._may_go_back() or self._server.rewound[self._reconnects - 1]:
                self._seen.clear()
        elif kind == TreeEvent.INITIALIZED:
            assert not self.initialized, "initialized twice in one session"
            assert not self._interrupted, "initialized without a connection"
            self.initialized = True
            self._assert_loaded()
        else:
            self._interrupted = True
            if kind == TreeEvent.CONNECTION_LOST:
                self.initialized = False

    def _replay(self, event: Event) -> None:
        kind, path, record, old = event
        assert not self._interrupted, f"{path!r} published before the reconnection"
        assert record, f"{path!r} published without a record"
        held = self.nodes.get(path)
        if kind == TreeEvent.NODE_ADDED:
            assert held is None, f"{path!r} added twice"
            assert self._has_parent(path), f"{path!r} added before its parent"
            self._assert_newer(path, record, added=True)
            self.nodes[path] = record
        elif kind == TreeEvent.NODE_UPDATED:
            assert held is not None, f"unknown {path!r} updated"
            assert old is not None, f"{path!r} updated without its old record"
            assert gist(old) == gist(held), f"{path!r} updated with a wrong old record"
            assert history_of(record)[0] == history_of(held)[0], f"{path!r} created again but published as updated"
            assert gist(record) != gist(held), f"{path!r} updated without a change"
            self._assert_newer(path, record, added=False)
            self.nodes[path] = record
        else:
            assert held is not None, f"unknown {path!r} removed"
            assert gist(record) == gist(held), f"{path!r} removed with another record than its last"
            del self.nodes[path]
            self._excuse_below(path)
            orphans = [other for other in self.nodes if other.startswith(path + "/")]
            assert not orphans or self._may_be_unreadable(path), f"{path!r} removed before {orphans}"

    def _has_parent(self, path: str) -> bool:
        parent = path.rpartition("/")[0]
        return not path or parent in self.nodes or self._may_be_unreadable(parent)

    def _may_be_unreadable(self, path: str) -> bool:
        return (self._prefix + path or "/") in self._server.ever_unreadable

    def _may_go_back(self) -> bool:
        return self._reconnects >= len(self._server.rewound) or self._server.rewound[self._reconnects]

    def _excuse_below(self, path: str) -> None:
        """Lets the znodes below a znode that was created again be published once more."""
        for other in [other for other in self._seen if other.startswith(path + "/")]:
            del self._seen[other]

    def _assert_newer(self, path: str, record: bytes, added: bool) -> None:
        (czxid, _), (mzxid, _), _ = history_of(record)
        version, seen = (czxid, mzxid), self._seen.get(path)
        is_excused = self._may_go_back() or path in self._excused or self._may_be_unreadable(path)
        if seen is not None and not is_excused:
            assert version[0] > seen[0] if added else version > seen, f"{path!r} went back to an older state"
        self._seen[path] = version

    def _assert_loaded(self) -> None:
        """Asserts that all znodes from before this connection's load are there."""
        server = self._server
        began = server.reads_began_at
        if began is None or not server.connected or server.poisoned or self._reconnects != len(server.rewound) - 1:
            return
        for path in server.expected()[0]:
            node = server.nodes[path]
            if node.czxid <= began and path not in server.ever_unreadable:
                below = path[len(self._prefix) :] if path != "/" else ""
                assert below in self.nodes or server.ever_unreadable, f"initialized without {below!r}"


def gist(record: bytes) -> tuple[bytes, bytes]:
    """The parts of a record whose change is an update: the data, czxid, mzxid and times."""
    stat = record[-STAT.size :]
    return record[: -STAT.size], stat[:36]
