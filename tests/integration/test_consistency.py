"""Random changes at a real server: after each burst, the cache and its replayed events equal the server."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException

from exporter import TreeCache
from tests.conftest import ClientFactory
from tests.replay import Replay, held, read, same
from tests.support import eventually

pytestmark = pytest.mark.long

NAMES = st.sampled_from(["a", "b", "c", "ü", "d.e"])
BELOW = st.lists(NAMES, min_size=1, max_size=4).map(lambda names: "".join("/" + name for name in names))
DATA = st.binary(max_size=20)
_roots = itertools.count()


class Changes(RuleBasedStateMachine):
    """Makes bursts of changes with two sessions, and compares after each."""

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
        wanted = {path: (data, stat.czxid, stat.mzxid) for path, (data, stat, _) in expected.items()}
        eventually(lambda: same(self._replay.data(), wanted))
        assert not self._replay.wrong
        assert len(self._cache) == len(expected)

    def _finish(self) -> None:
        for result in self._pending:
            with contextlib.suppress(KazooException):
                result.get(timeout=10)
        self._pending.clear()


def test_cache_equals_the_server_after_every_burst(client_factory: ClientFactory) -> None:
    reader, writer, owner = client_factory(), client_factory(), client_factory()

    class ChangesHere(Changes):
        def __init__(self) -> None:
            super().__init__(reader, writer, owner)

    run_state_machine_as_test(
        ChangesHere,
        settings=settings(
            max_examples=50,
            stateful_step_count=40,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
