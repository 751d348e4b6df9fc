"""Random changes at a real server: after each burst the cache equals the server, and its events replayed equal both."""

from __future__ import annotations

import contextlib
import itertools
import threading
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NoNodeError

from exporter import NodeData, TreeCache, TreeEvent
from tests.conftest import ClientFactory
from tests.support import eventually

NAMES = st.sampled_from(["a", "b", "c", "ü", "d.e"])
BELOW = st.lists(NAMES, min_size=1, max_size=4).map(lambda names: "".join("/" + name for name in names))
DATA = st.binary(max_size=20)
_roots = itertools.count()


class Replay:
    """The tree that the events told so far make, and a refusal of every sequence that cannot be."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._nodes: dict[str, NodeData] = {}
        self.wrong: list[str] = []

    def __call__(self, event: TreeEvent) -> None:
        with self._lock:
            self._apply(event.event_type, event.event_data)

    def _apply(self, kind: int, node: NodeData | None) -> None:
        if node is None:
            return
        known = node.path in self._nodes
        if known == (kind == TreeEvent.NODE_ADDED):
            self.wrong.append(f"event {kind} for {node.path}, {'known' if known else 'unknown'}")
        if kind == TreeEvent.NODE_REMOVED:
            self._nodes.pop(node.path, None)
            self.wrong += [f"{path} outlives {node.path}" for path in self._nodes if path.startswith(node.path + "/")]
            return
        parent = node.path.rpartition("/")[0]
        if not known and len(self._nodes) and parent not in self._nodes:
            self.wrong.append(f"{node.path} before its parent")
        self._nodes[node.path] = node

    def data(self) -> dict[str, tuple[bytes, int, int]]:
        """Data, czxid and mzxid of every znode, as told by events."""
        with self._lock:
            return {path: (node.data, node.stat.czxid, node.stat.mzxid) for path, node in self._nodes.items()}


class Changes(RuleBasedStateMachine):
    """Bursts of changes by two sessions, and the comparison after each."""

    def __init__(self, reader: KazooClient, writer: KazooClient, owner: KazooClient) -> None:
        super().__init__()
        self._writer, self._owner = writer, owner
        self._root = f"/{next(_roots)}"
        self._pending: list[Any] = []
        self._replay = Replay()
        writer.create(self._root)
        self._cache = TreeCache(reader, self._root, batch_size=7, window=3)
        self._cache.listen(self._replay)
        self._cache.start()

    def teardown(self) -> None:
        self.compare()
        self._cache.close()

    @rule(below=BELOW, data=DATA)
    def create(self, below: str, data: bytes) -> None:
        self._pending.append(self._writer.create_async(self._root + below, data))

    @rule(below=BELOW, data=DATA)
    def create_with_parents(self, below: str, data: bytes) -> None:
        self._pending.append(self._writer.create_async(self._root + below, data, makepath=True))

    @rule(below=BELOW)
    def create_ephemeral_of_another_session(self, below: str) -> None:
        self._pending.append(self._owner.create_async(self._root + below, b"mine", ephemeral=True))

    @rule(below=BELOW, data=DATA)
    def set(self, below: str, data: bytes) -> None:
        self._pending.append(self._writer.set_async(self._root + below, data))

    @rule(below=BELOW)
    def delete(self, below: str) -> None:
        self._pending.append(self._writer.delete_async(self._root + below))

    @rule(below=BELOW)
    def delete_recursively(self, below: str) -> None:
        self._finish()
        with contextlib.suppress(KazooException):
            self._writer.delete(self._root + below, recursive=True)

    @rule(below=BELOW, data=DATA)
    def recreate(self, below: str, data: bytes) -> None:
        self.delete(below)
        self.create(below, data)

    @rule(below=BELOW, data=DATA)
    def transaction(self, below: str, data: bytes) -> None:
        transaction = self._writer.transaction()
        transaction.create(f"{self._root}{below}/t", data)
        transaction.set_data(f"{self._root}{below}", data)
        transaction.create(f"{self._root}{below}/t/u", data)
        self._pending.append(transaction.commit_async())

    @rule(below=BELOW, width=st.integers(10, 40))
    def create_many(self, below: str, width: int) -> None:
        self._pending += [self._writer.create_async(f"{self._root}{below}/{n}") for n in range(width)]

    @rule()
    def delete_the_root(self) -> None:
        self._finish()
        with contextlib.suppress(KazooException):
            self._writer.delete(self._root, recursive=True)

    @precondition(lambda self: self._pending)
    @rule()
    def compare(self) -> None:
        self._finish()
        self._writer.ensure_path(self._root)
        expected = read(self._writer, self._root)
        eventually(lambda: same(held(self._cache), expected))
        told = {path: (data, stat.czxid, stat.mzxid) for path, (data, stat, _) in expected.items()}
        eventually(lambda: same(self._replay.data(), told))
        assert not self._replay.wrong
        assert len(self._cache) == len(expected)

    def _finish(self) -> None:
        for result in self._pending:
            with contextlib.suppress(KazooException):
                result.get(timeout=10)
        self._pending.clear()


def read(client: KazooClient, path: str) -> dict[str, tuple[Any, Any, frozenset[str]]]:
    """Data, stat and children of every znode on the server at and below a path."""
    found: dict[str, tuple[Any, Any, frozenset[str]]] = {}
    paths = [path]
    for path in paths:
        with contextlib.suppress(NoNodeError):
            data, stat = client.get(path)
            children = client.get_children(path)
            found[path] = data, stat, frozenset(children)
            paths += [f"{path}/{name}" for name in children]
    return found


def held(cache: TreeCache) -> dict[str, tuple[Any, Any, frozenset[str]]]:
    """The same of every znode in a cache."""
    nodes = ((path, cache.get_data(path), cache.get_children(path)) for path in cache)
    return {path: (node.data, node.stat, children) for path, node, children in nodes if node is not None}


def same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    """Whether two trees are equal; says what differs when they are not."""
    different = [p for p in left.keys() | right.keys() if left.get(p) != right.get(p)]
    assert not different, {path: (left.get(path), right.get(path)) for path in sorted(different)[:3]}
    return True


def test_cache_equals_the_server_after_every_burst(client_factory: ClientFactory) -> None:
    reader, writer, owner = client_factory(), client_factory(), client_factory()

    class ChangesHere(Changes):
        def __init__(self) -> None:
            super().__init__(reader, writer, owner)

    run_state_machine_as_test(
        ChangesHere,
        settings=settings(
            max_examples=100,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
