"""A change that comes alone takes the shortcut, and nothing else does. The simulation compares the results."""

from __future__ import annotations

from typing import Any

import pytest
from kazoo.client import KazooClient

from exporter import TreeCache, TreeEvent
from exporter.treecache.shard import Shard
from exporter.zookeeper.messages import CHANGED, WatchEvent
from tests.simulation.harness import Harness
from tests.support import eventually

EVENT = WatchEvent(CHANGED, "/app/a", -1)


def loaded(**options: Any) -> Harness:
    harness = Harness(**options)
    for path in ("/app", "/app/a", "/app/b"):
        harness.server.create(path, b"")
    harness.start()
    return harness


def test_a_real_change_takes_it(client: KazooClient) -> None:
    client.ensure_path("/app/a")
    heard: list[TreeEvent] = []
    with TreeCache(client, "/app") as cache:
        assert cache.wait_initialized(60)
        cache.listen(heard.append)
        replica, taken = cache._replica, 0

        def is_taken() -> bool:
            nonlocal taken
            taken += 1
            before = len(heard)
            client.set("/app/a", b"%d" % taken)
            eventually(lambda: len(heard) > before)
            return len(shortcuts) >= 2

        shortcut, shortcuts = replica.shortcut, list[object]()

        def note(message: Any, now: float) -> Any:
            outcome = shortcut(message, now)
            if outcome is not None:
                shortcuts.append(outcome)
            return outcome

        replica.shortcut = note  # type: ignore[method-assign]
        # A freshness check may be under way during one of them.
        eventually(is_taken)
        assert cache.get_data("/app/a").data == b"%d" % taken


def test_the_answer_to_its_read_takes_it_too() -> None:
    harness = loaded()
    harness.is_prompt = True
    harness.server.set("/app/a", b"new")
    harness.deliver()
    harness.server.execute()
    harness.deliver()
    assert harness.shortcuts == 2
    assert harness.published()[-1] == (TreeEvent.NODE_UPDATED, "/a")
    harness.check()


@pytest.mark.parametrize(
    "options", [{"mode": "classic"}, {"max_depth": 5}, {"shard": Shard(0, 1)}, {"max_nodes_per_second": 1000.0}]
)
def test_options_rule_it_out(options: dict[str, Any]) -> None:
    harness = loaded(**options)
    assert harness.replica.shortcut(EVENT, harness.now) is None


def test_a_second_change_does_not_take_it() -> None:
    harness = loaded()
    assert harness.replica.shortcut(EVENT, harness.now) is not None
    assert harness.replica.shortcut(WatchEvent(CHANGED, "/app/b", -1), harness.now) is None
