"""The log of trees' conditions: each change once, limited in number, and finally the actual state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from exporter.pages.standing import standing_of
from exporter.pages.standinglog import INTERVAL, LIMIT, StandingLog
from exporter.treecache.stats import CacheStats
from tests.telemetry.known import BUSY_CACHE, BUSY_CLIENT
from tests.views.limits.driving import sized
from tests.web.running import fresh

BEGAN, ENDED = "tree condition began", "tree condition ended"


class Watched:
    """A tree whose stats the test sets, a second apart, and what was logged about it."""

    def __init__(self, logged: list[Any]) -> None:
        self.now = 0.0
        self.logged = logged
        self._log = StandingLog(lambda: self.now)

    def step(self, **of_a: Any) -> list[tuple[str, str]]:
        """What is logged about a cache that is complete but for these changes."""
        self.now += 1
        before = len(self.logged)
        tree: CacheStats = fresh(**{"stale_after": 0.0, **of_a})
        self._log.note({"main": [standing_of("services", BUSY_CLIENT, tree)]})
        return [(line["event"], line["condition"]) for line in self.logged[before:]]


@pytest.fixture
def watched() -> Iterator[Watched]:
    with structlog.testing.capture_logs() as logged:
        yield Watched(logged)


def test_a_complete_tree_is_no_news(watched: Watched) -> None:
    assert watched.step() == watched.step() == []


def test_a_condition_begins_changes_and_ends(watched: Watched) -> None:
    assert watched.step(unreadable_nodes=2) == [(BEGAN, "znodes unreadable")]
    assert watched.step(unreadable_nodes=3) == []
    assert watched.step(state="failed", failure="MemoryError") == [(BEGAN, "failed"), (ENDED, "znodes unreadable")]
    assert watched.step() == [(ENDED, "failed")]
    of_tree = {"ensemble": "main", "tree": "services", "path": "/services"}
    levels = ["warning", "warning", "info", "info"]
    assert [line["log_level"] for line in watched.logged] == levels
    assert all(of_tree.items() <= line.items() for line in watched.logged)
    assert watched.logged[0]["unreadable"] == 2
    assert watched.logged[1]["reason"] == "MemoryError"


def test_each_znode_near_the_size_limit_is_named_once() -> None:
    with structlog.testing.capture_logs() as logged:
        log = StandingLog(lambda: 0.0)
        for large in (["/a"], ["/a", "/b"], ["/b"], [], ["/a"]):
            sizes = sized(dict.fromkeys(large, b"x" * 900), limit=1000)
            log.note({"main": [standing_of("services", BUSY_CLIENT, fresh(stale_after=0.0), sizes=sizes)]})
    named = [line["path"] for line in logged if line["event"] == "znode near the size limit"]
    assert named == ["/services/a", "/services/b", "/services/a"]


def test_many_znodes_near_the_size_limit_are_no_flood() -> None:
    with structlog.testing.capture_logs() as logged:
        log = StandingLog(lambda: 0.0)
        for number in range(100):
            sizes = sized({f"/{number}-{each}": b"x" * 900 for each in range(9)}, limit=1000)
            log.note({"main": [standing_of("services", BUSY_CLIENT, fresh(stale_after=0.0), sizes=sizes)]})
    assert len([line for line in logged if line["event"] == "znode near the size limit"]) == LIMIT


def test_a_read_that_waits_is_no_news(watched: Watched) -> None:
    assert watched.step(oldest_operation_age=60.0) == []


def test_what_comes_and_goes_with_the_connection_is_logged_there(watched: Watched) -> None:
    for state in ("disconnected", "loading", "catching_up", "in_sync"):
        assert watched.step(state=state) == []


def test_nothing_is_over_while_nothing_can_be_known(watched: Watched) -> None:
    nothing = {"root": "unknown", "nodes": dict.fromkeys(BUSY_CACHE.nodes, 0)}
    watched.step(root="missing")
    assert watched.step(state="disconnected", **nothing) == watched.step(state="loading", **nothing) == []
    assert watched.step() == [(ENDED, "root missing")]


def test_what_comes_and_goes_all_the_time_is_no_flood_and_in_the_end_the_log_is_right(watched: Watched) -> None:
    lines = [line for _ in range(30) for line in watched.step(root="missing") + watched.step()]
    assert len(lines) <= LIMIT * (1 + 60 // INTERVAL)
    watched.step(root="missing")
    watched.now += INTERVAL
    watched.step(root="missing")
    last = watched.logged[-1]
    assert (last["event"], last["condition"]) == (BEGAN, "root missing")
