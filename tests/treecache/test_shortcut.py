"""A change that comes alone takes the shortcut, and nothing else does. The simulation compares the results."""

from __future__ import annotations

from typing import Any, cast

import pytest
from kazoo.client import KazooClient

from exporter import TreeCache, TreeEvent
from exporter.treecache.findings import Findings
from exporter.treecache.reading import SHORT_BYTES
from exporter.treecache.shard import Shard
from exporter.zookeeper.capabilities import TOO_MUCH, Capabilities
from exporter.zookeeper.messages import CHANGED, Reply, WatchEvent
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
            return shortcuts >= {WatchEvent, Reply}

        shortcut, shortcuts = replica.shortcut, set[type]()

        def note(message: Any, now: float) -> Any:
            outcome = shortcut(message, now)
            if outcome is not None:
                shortcuts.add(type(message))
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


def test_a_read_that_is_refused_on_this_side_is_settled_at_once(
    client: KazooClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.ensure_path("/app/a")
    with TreeCache(client, "/app") as cache:
        assert cache.wait_initialized(60)
        patience, short_turn = list[object](), cache._short_turn

        def note() -> float | None:
            patience.append(short_turn())
            return cast(float | None, patience[-1])

        monkeypatch.setattr(cache, "_short_turn", note)
        monkeypatch.setattr(Capabilities, "refuses", lambda *told: TOO_MUCH)
        client.set("/app/a", b"large")
        eventually(lambda: cache.stats().unreadable_nodes == 1)
        assert patience[0] == 0.0, "the answer waits for another message"


@pytest.mark.parametrize(("size", "number"), [(SHORT_BYTES // 2, 2), (SHORT_BYTES + 1, 1)])
def test_a_large_answer_does_not_take_it(size: int, number: int) -> None:
    harness = loaded()
    harness.is_prompt = True
    harness.server.set("/app/a", bytes(size))
    harness.deliver()
    harness.server.execute()
    harness.deliver()
    assert harness.shortcuts == number


@pytest.mark.parametrize("kind", ["failures", "contradictions"])
@pytest.mark.parametrize(("struck", "number", "left"), [("/a", 1, 0), ("/b", 2, 1)])
def test_an_answer_that_settles_something_does_not_take_it(kind: str, struck: str, number: int, left: int) -> None:
    harness = loaded()
    answers, reconciler = harness.replica._answers, harness.replica._reconciler
    backoff = answers.failures if kind == "failures" else reconciler.contradictions
    backoff.strike(struck, harness.now)
    harness.is_prompt = True
    harness.server.set("/app/a", b"new")
    harness.deliver()
    harness.server.execute()
    harness.deliver()
    assert (harness.shortcuts, len(backoff)) == (number, left)


def test_what_an_audit_has_found_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = loaded(audit_interval=30.0)
    monkeypatch.setattr(Findings, "found", 1)
    harness.is_prompt = True
    harness.server.set("/app/a", b"new")
    harness.deliver()
    assert harness.shortcuts == 0


def test_a_second_change_does_not_take_it() -> None:
    harness = loaded()
    assert harness.replica.shortcut(EVENT, harness.now) is not None
    assert harness.replica.shortcut(WatchEvent(CHANGED, "/app/b", -1), harness.now) is None
