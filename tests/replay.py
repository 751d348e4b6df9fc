"""Replay: a cache's event log, replayed into a tree, and a refusal of every sequence that cannot be.

With it come the two trees that this one is compared with: what a server has and what a cache holds.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError, NoNodeError

from exporter import NodeData, TreeCache, TreeEvent
from tests.support import eventually

Znode = tuple[Any, Any, frozenset[str]]


class Replay:
    """A listener: the tree that the events so far result in. `wrong` lists the events that contradict it."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.kinds: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._nodes: dict[str, NodeData] = {}
        self._children: Counter[str] = Counter()
        self._connected = True
        self._initialized = False

    def __call__(self, event: TreeEvent) -> None:
        kind, node = event
        with self._lock:
            self.kinds[kind] += 1
            if node is None:
                self._apply_state(kind)
            else:
                self._apply_node(kind, node)

    def _apply_state(self, kind: int) -> None:
        if kind == TreeEvent.INITIALIZED:
            self._check(not self._initialized, "initialized twice in a session")
            self._check(self._connected, "initialized without a connection")
            self._initialized = True
            return
        reconnected = kind == TreeEvent.CONNECTION_RECONNECTED
        self._check(reconnected != self._connected or kind == TreeEvent.CONNECTION_LOST, f"state {kind} out of turn")
        self._connected = reconnected
        if kind == TreeEvent.CONNECTION_LOST:
            self._initialized = False

    def _apply_node(self, kind: int, node: NodeData) -> None:
        path = node.path
        parent = path.rpartition("/")[0] or "/" if path != "/" else ""
        known = path in self._nodes
        self._check(self._connected, f"event {kind} for {path} without a connection")
        self._check(known != (kind == TreeEvent.NODE_ADDED), f"event {kind} for {path}, known: {known}")
        if kind == TreeEvent.NODE_REMOVED:
            self._check(not self._children[path], f"{path} removed before its children")
            del self._children[path]
            if self._nodes.pop(path, None) is not None:
                self._children[parent] -= 1
            return
        if kind == TreeEvent.NODE_ADDED and not known:
            self._check(not self._nodes or parent in self._nodes, f"{path} added before its parent")
            self._children[parent] += 1
        elif known:
            self._check(self._nodes[path].stat.czxid == node.stat.czxid, f"{path} updated to another znode")
        self._nodes[path] = node

    def _check(self, right: bool, otherwise: str) -> None:
        if not right:
            self.wrong.append(otherwise)

    def data(self) -> dict[str, tuple[Any, int, int]]:
        """Data, czxid and mzxid of every znode, by the events."""
        with self._lock:
            return {path: (node.data, node.stat.czxid, node.stat.mzxid) for path, node in self._nodes.items()}


def read(client: KazooClient, path: str) -> dict[str, Znode]:
    """Data, stat and children of every readable znode on the server at and below a path."""
    found: dict[str, Znode] = {}
    level = [path]
    while level:
        answers = [(path, client.get_async(path), client.get_children_async(path)) for path in level]
        level = []
        for path, node, names in answers:
            with contextlib.suppress(NoNodeError, NoAuthError):
                data, stat = node.get(timeout=30)
                children = names.get(timeout=30)
                found[path] = data, stat, frozenset(children)
                level += [f"{path.rstrip('/')}/{name}" for name in children]
    return found


def held(cache: TreeCache) -> dict[str, Znode]:
    """The same of every znode in a cache."""
    nodes = ((path, cache.get_data(path), cache.get_children(path)) for path in cache)
    return {path: (node.data, node.stat, children) for path, node, children in nodes if node is not None}


def same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    """Whether two trees are equal; says what differs when they are not."""
    different = [p for p in left.keys() | right.keys() if left.get(p) != right.get(p)]
    assert not different, {path: (left.get(path), right.get(path)) for path in sorted(different)[:3]}
    return True


def settles(cache: TreeCache, replay: Replay, client: KazooClient, root: str, timeout: float = 60.0) -> bool:
    """Waits until the server, the cache and the replayed events are one tree; fails if any event was wrong."""

    def equal() -> bool:
        expected = read(client, root)
        told = {path: (data, stat.czxid, stat.mzxid) for path, (data, stat, _) in expected.items()}
        return same(held(cache), expected) and same(replay.data(), told)

    eventually(equal, timeout=timeout, interval=0.05)
    assert not replay.wrong, replay.wrong[:5]
    assert len(cache) == len(held(cache))
    return True
