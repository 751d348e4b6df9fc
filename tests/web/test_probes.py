"""`/-/healthy` and `/-/ready` in each state of a cache, and their lines about each tree."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest
from starlette.applications import Starlette

from exporter.pages.history import History
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache.stats import CACHE_STATES, CacheStats
from exporter.web.probes import LASTING, Probes
from tests import plainhttp
from tests.telemetry.known import BUSY_CACHE, BUSY_CLIENT, NEW_CACHE, Source
from tests.web.running import fresh, loading

NEVER = dict.fromkeys(BUSY_CACHE.events, 0)


class Asked:
    """An exporter of these trees whose probes can be asked repeatedly."""

    def __init__(self, **trees: CacheStats) -> None:
        self.trees = {name: Source(tree) for name, tree in trees.items()}
        self._history = History([EnsembleSource("main", Source(BUSY_CLIENT), self.trees)])
        self._app = Starlette(routes=Probes(self._history).routes)

    def healthy(self) -> tuple[int, str]:
        self._history.look()
        return self._ask("/-/healthy")

    def ready(self) -> tuple[int, str]:
        return self._ask("/-/ready")

    def _ask(self, path: str) -> tuple[int, str]:
        async def converse() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with plainhttp.AsyncClient(transport=transport, base_url="http://exporter") as client:
                return await client.get(path)

        response = asyncio.run(converse())
        return response.status_code, response.text


def in_state(state: str, **of_a: object) -> CacheStats:
    return fresh(state=state, initialized=state in ("in_sync", "catching_up", "disconnected"), **of_a)


@pytest.mark.parametrize("state", CACHE_STATES)
@pytest.mark.parametrize("was_complete", [True, False])
def test_each_state(state: str, was_complete: bool) -> None:
    asked = Asked(a=in_state(state, events=BUSY_CACHE.events if was_complete else NEVER))
    is_ready = was_complete and state not in ("failed", "closed")
    status, said = asked.ready()
    assert status == (200 if is_ready else 503)
    assert said.startswith("Ready.\nmain a: " if is_ready else f"Not ready: main a {state}.\nmain a: ")
    assert said.splitlines()[1].split(", ")[0] == f"main a: {state}"
    assert asked.healthy()[0] == 200


def test_ready_for_good_once_it_was_whatever_a_reload_adds() -> None:
    asked = Asked(a=fresh())
    assert asked.ready() == (200, "Ready.\nmain a: in_sync\n")
    asked.trees["b"] = Source(NEW_CACHE)
    assert asked.ready()[0] == 200
    # A failed cache makes it unready, although it was ready before.
    asked.trees["a"].told = in_state("failed")
    status, said = asked.ready()
    assert (status, said.splitlines()[0]) == (503, "Not ready: main a failed.")
    asked.trees["a"].told = loading()
    assert asked.ready()[0] == 200


def test_not_ready_until_every_tree_had_its_first_load() -> None:
    asked = Asked(a=fresh(), b=NEW_CACHE, c=NEW_CACHE)
    status, said = asked.ready()
    assert (status, said.splitlines()[0]) == (503, "Not ready: main b disconnected, main c disconnected.")
    assert sorted(said.splitlines()[1:]) == [
        "main a: in_sync",
        "main b: disconnected, never complete",
        "main c: disconnected, never complete",
    ]


def test_what_is_wrong_is_said_without_numbers() -> None:
    asked = Asked(
        closed=fresh(root="unreadable", unreadable_nodes=7),
        gone=fresh(root="missing", nodes=dict.fromkeys(BUSY_CACHE.nodes, 0)),
        partly=fresh(unreadable_nodes=7),
        stale=fresh(verified_at=1.0),
    )
    for status, said in (asked.ready(), asked.healthy()):
        assert status == 200
        assert said.splitlines()[1:] == [
            "main closed: in_sync, root unreadable, znodes unreadable",
            "main gone: in_sync, root missing",
            "main partly: in_sync, znodes unreadable",
            "main stale: in_sync, stale",
        ]


def test_a_failure_that_lasts_is_for_the_process_manager() -> None:
    asked = Asked(a=in_state("failed", failure="MemoryError", failed_at=time.time() - LASTING / 2), b=fresh())
    assert asked.healthy()[0] == 200
    asked.trees["a"].told = in_state("failed", failure="MemoryError", failed_at=time.time() - LASTING - 1)
    assert asked.healthy() == (503, "Not healthy: main a failed.\nmain a: failed\nmain b: in_sync\n")
    # The time of the failure is unknown.
    asked.trees["a"].told = in_state("failed", failed_at=0.0)
    assert asked.healthy()[0] == 200


def test_a_thousand_trees_are_some_lines() -> None:
    status, said = Asked(**{f"t{number:04}": NEW_CACHE for number in range(1000)}).ready()
    lines = said.splitlines()
    assert (status, len(lines)) == (503, 102)
    assert lines[0].endswith("main t0004 disconnected, 995 more trees.")
    assert lines[-1] == "and 900 more trees"


def test_a_name_is_one_line() -> None:
    _, said = Asked(**{"a\nHealthy.": fresh()}).ready()
    assert said == "Ready.\nmain a\\nHealthy.: in_sync\n"


def test_healthy_asks_no_cache() -> None:
    asked = Asked(a=fresh())
    assert asked._ask("/-/healthy") == (200, "Healthy.\n")
    assert asked.trees["a"].asked == 0
