"""Driving: a view and a tree of znodes, whose changes the view gets as a cache passes them on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from exporter.treecache.events import TreeEvent
from exporter.treecache.outcome import AddedRun, Event
from exporter.treecache.view import View
from exporter.views.rules.rule import Rule
from exporter.views.rules.state import Snapshot
from exporter.views.rules.view import RulesView
from tests.simulation.znodes import Znode

#: Milliseconds of the server's clock at its zxid 0.
EPOCH = 1_700_000_000_000
SESSION_TIMEOUT = 10.0


class Driving:
    """A view of some rules about a tree below a root."""

    def __init__(self, *rules: Rule) -> None:
        self.now = 0.0
        self.view = RulesView(
            rules,
            session_timeout=lambda: SESSION_TIMEOUT,
            unheard_for=lambda: self.now,
            wall=lambda: EPOCH / 1000 + self.now,
        )
        self.nodes: dict[str, Znode] = {}
        self.zxid = 0
        self.unreadable: set[str] = set()
        self._held: list[Event] | None = None
        self.create("")

    def create(self, path: str, data: bytes = b"", owner: int = 0, **stat: Any) -> None:
        """Creates a znode."""
        self.zxid += 1
        at = EPOCH + 1000 * self.zxid
        times = {"czxid": self.zxid, "mzxid": self.zxid, "pzxid": self.zxid, "ctime": at, "mtime": at}
        node = self.nodes[path] = Znode(data, owner=owner, **{**times, **stat})
        self._pass(Event(TreeEvent.NODE_ADDED, path, node.record))
        self._count(path, +1)

    def create_all(self, head: str, names: list[str], data: bytes = b"", owner: int = 0) -> None:
        """Creates children of one znode, which arrive as a run."""
        paths = [f"{head}/{name}" for name in names]
        for path in paths:
            self.zxid += 1
            self.nodes[path] = Znode(data, self.zxid, self.zxid, self.zxid, owner)
        self.view.changed([AddedRun(paths, [self.nodes[path].record for path in paths])])

    def set(self, path: str, data: bytes, writes: int = 1) -> None:
        """Writes the data of a znode, several times if the view sees only the last."""
        self.zxid += 1
        node, old = self.nodes[path], self.nodes[path].record
        node.data, node.mzxid, node.mtime = data, self.zxid, EPOCH + 1000 * self.zxid
        node.version += writes
        node.changed()
        self._pass(Event(TreeEvent.NODE_UPDATED, path, node.record, old))

    def delete(self, path: str) -> None:
        """Deletes a znode."""
        self.zxid += 1
        record = self.nodes.pop(path).record if path not in self.unreadable else None
        self.nodes.pop(path, None)
        self.unreadable.discard(path)
        self._pass(Event(TreeEvent.NODE_REMOVED, path, record, record))
        self._count(path, -1)

    def hide(self, path: str) -> None:
        """Makes a znode unreadable."""
        record = self.nodes[path].record
        self.unreadable.add(path)
        self._pass(Event(TreeEvent.NODE_REMOVED, path, record, record), Event(View.NODE_UNREADABLE, path))

    def show(self, path: str) -> None:
        """Makes an unreadable znode readable."""
        self.unreadable.remove(path)
        self._pass(Event(TreeEvent.NODE_ADDED, path, self.nodes[path].record))

    @contextmanager
    def batch(self) -> Iterator[None]:
        """A context whose changes arrive together."""
        self._held = []
        yield
        held, self._held = self._held, None
        self.view.changed(held)

    def from_scratch(self) -> RulesView:
        """A view that has seen nothing but the tree as it is."""
        view = RulesView(self.view.rules)
        for path in sorted(self.nodes):
            record = None if path in self.unreadable else self.nodes[path].record
            view.changed([Event(TreeEvent.NODE_ADDED if record else View.NODE_UNREADABLE, path, record)])
        view.complete()
        return view

    def _pass(self, *events: Event) -> None:
        if self._held is None:
            self.view.changed(events)
        else:
            self._held += events

    def _count(self, path: str, change: int) -> None:
        parent = path.rpartition("/")[0] if path else None
        if parent is not None and parent in self.nodes and parent not in self.unreadable:
            node, old = self.nodes[parent], self.nodes[parent].record
            node.cversion, node.pzxid = node.cversion + 1, self.zxid
            (node.children.add if change > 0 else node.children.discard)(path.rpartition("/")[2])
            node.changed()
            self._pass(Event(TreeEvent.NODE_UPDATED, parent, node.record, old))

    # What the view says

    @property
    def snapshot(self) -> Snapshot:
        """That of the one rule."""
        (snapshot,) = self.view.snapshots()
        return snapshot

    @property
    def series(self) -> dict[tuple[str, ...], float]:
        """The series of the first metric of the one rule."""
        return dict(self.snapshot.series[0][1])

    @property
    def families(self) -> dict[str, dict[tuple[str, ...], float]]:
        """The series of all metrics of the one rule, by what follows its name."""
        rule = self.snapshot.rule
        return {
            family.name.removeprefix(f"zookeeper_znode_{rule.name}_"): dict(series)
            for family, series in self.snapshot.series
        }

    @property
    def unusable(self) -> dict[str, int]:
        """The reasons that count anything."""
        return {reason: count for reason, count in self.snapshot.unusable.items() if count}


def driving(match: str, value: str, complete: bool = True, **fields: Any) -> Driving:
    """A view of one rule about a complete tree that has only its root."""
    driving = Driving(Rule(name="x", match=match, value=value, **fields))
    if complete:
        driving.view.complete()
    return driving
