"""The words for trees in every combination of conditions; all is well only if nothing is wrong."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from dashboards.prometheus.parameters import Parameters
from exporter.pages.conditions import CONDITIONS, LEVELS, UNREADABLE_SHARE, situation_of
from exporter.pages.headline import Connected, headline
from exporter.pages.standing import Standing, standing_of
from exporter.treecache.stats import CACHE_STATES, ROOT_STATES, CacheStats
from exporter.treecache.view import View
from exporter.zookeeper.stats import CLIENT_STATES, ClientStats
from tests.telemetry.known import BUSY_CACHE, BUSY_CLIENT
from tests.views.limits.driving import sized
from tests.web.running import fresh

NEVER = dict.fromkeys(BUSY_CACHE.events, 0)
EMPTY = dict.fromkeys(BUSY_CACHE.nodes, 0)


def client_in(situation: str) -> ClientStats:
    if situation == "turned_away":
        return replace(BUSY_CLIENT, state="suspended", server=None, failed_attempts={"refused": 9, "hung_up": 3})
    return replace(BUSY_CLIENT, state=situation)


def standing(
    tree: CacheStats, situation: str = "connected", unverified_for: float = 0.0, sizes: View | None = None
) -> Standing:
    return standing_of("/services", client_in(situation), tree, unverified_for, sizes)


def well(**of_a: Any) -> CacheStats:
    """A cache without conditions that a slow machine may cause."""
    return fresh(**{"stale_after": 0.0, **of_a})


def combinations() -> Iterator[tuple[str, CacheStats, bool]]:
    """Every combination of a client's state, a cache's state and problems, and whether nothing is wrong."""
    now = time.time()
    axes = itertools.product(
        (*CLIENT_STATES, "turned_away"),
        CACHE_STATES,
        ROOT_STATES,
        (0, 1, 40),
        (1.0, 1000.0),
        (0.5, 60.0),
        (0.0, 60.0),
        (NEVER, BUSY_CACHE.events),
    )
    for client, state, root, unreadable, age, reading_for, undelivered_for, events in axes:
        tree = replace(
            BUSY_CACHE,
            state=state,
            initialized=state in ("in_sync", "catching_up", "disconnected"),
            root=root,
            unreadable_nodes=unreadable,
            verified_at=now - age,
            oldest_operation_age=reading_for,
            undelivered_for=undelivered_for,
            events=events,
        )
        is_well = (client, state, root) == ("connected", "in_sync", "readable")
        yield client, tree, is_well and (unreadable, age, reading_for, undelivered_for) == (0, 1.0, 0.5, 0.0)


@pytest.mark.long
def test_all_is_well_only_where_nothing_is_wrong() -> None:
    """Thousands of combinations, alone and next to a tree without problems."""
    fine = standing(well())
    said = set()
    for client, tree, is_well in combinations():
        if tree.root == "unknown" and tree.state == "in_sync":
            # A cache that was complete knows its root.
            continue
        one = standing(tree, client)
        assert one.is_complete == (one.level == "good") == (one.words == "complete")
        assert is_well <= one.is_complete
        for trees in ([one], [fine, one]):
            text, level, _ = headline([Connected(client, trees)])
            assert ("complete, and" in text) == (level == "good") == is_well, (text, tree)
            assert LEVELS.index(level) >= LEVELS.index(one.level)
            assert "{" not in text
            assert text.endswith(".")
            said.add(text)
        text, level, _ = headline([Connected("connected", [fine]), Connected(client, [one])])
        assert ("complete, and" in text) == (level == "good") == is_well, (text, tree)
    assert len(said) > 500


EACH = {
    "failed": (well(state="failed", initialized=False), "bad", "engine failed, restarting"),
    "closed": (well(state="closed", initialized=False), "bad", "closed"),
    "disconnected": (well(state="disconnected"), "bad", "disconnected"),
    "root unreadable": (
        well(root="unreadable", unreadable_nodes=1, nodes=EMPTY),
        "bad",
        "root unreadable",
    ),
    "never complete": (
        well(state="disconnected", events=NEVER),
        "bad",
        "disconnected, never complete",
    ),
    "loading": (well(state="loading", initialized=False), "waiting", "loading"),
    "root missing": (well(root="missing", nodes=EMPTY), "waiting", "root missing"),
    "many znodes unreadable": (well(unreadable_nodes=300), "bad", "300 of 503 znodes unreadable"),
    "znodes unreadable": (well(unreadable_nodes=3), "waiting", "3 of 206 znodes unreadable"),
    "catching up": (well(state="catching_up"), "waiting", "catching up"),
    "stale": (fresh(verified_at=1.0), "waiting", "stale"),
    "read unanswered": (well(oldest_operation_age=61.0), "waiting", "read unanswered for 1 min 1 s"),
    "events undelivered": (well(undelivered_for=61.0), "waiting", "2 events undelivered for 1 min 1 s"),
}


#: Those that stats of a connected client's tree do not show.
NOT_IN_STATS = ("waiting for a connection", "without a quorum", "near the size limit")


@pytest.mark.parametrize("name", [one.name for one in CONDITIONS if one.name not in NOT_IN_STATS])
def test_each_condition_alone(name: str) -> None:
    tree, level, words = EACH[name]
    one = standing(tree)
    assert name in [condition.name for condition in one.conditions]
    assert (one.level, one.words) == (level, words)


def test_znodes_near_the_size_limit_are_named_the_largest_first() -> None:
    sizes = {f"/{size}": b"x" * size for size in (799, 800, 810, 820, 830)}
    one = standing(well(), sizes=sized(sizes, limit=1000))
    assert (one.level, one.runbook) == ("waiting", "TreeCacheNearSizeLimit")
    root = BUSY_CACHE.path
    assert one.words == (f"4 znodes near the size limit of 1000 B: {root}/830, {root}/820, {root}/810 and 1 more")
    assert standing(well(), sizes=sized({"/a": b"x" * 799}, limit=1000)).is_complete


def test_before_the_first_connection() -> None:
    one = standing(replace(well(), state="disconnected", events=NEVER), "connecting")
    assert (one.level, one.words) == ("waiting", "waiting for a connection")


def test_servers_that_close_each_new_connection_have_no_quorum() -> None:
    away = client_in("turned_away")
    assert situation_of(away) == "turned_away"
    assert situation_of(replace(away, state="connecting")) == "turned_away"
    # So does a server that stops, once or twice.
    assert situation_of(replace(away, failed_attempts={"refused": 9, "hung_up": 2})) == "suspended"
    assert situation_of(replace(away, state="connected", server="host:2181", failed_attempts={})) == "connected"
    one = standing(well(state="disconnected"), "turned_away")
    assert (one.level, one.words, one.runbook) == ("bad", "disconnected, as without a quorum", "TreeCacheQuorumLost")
    assert headline([Connected("turned_away", [one]), Connected("suspended", [])]) == (
        "1 of 2 ensembles is disconnected: its servers close each new connection, as without a quorum; showing the "
        "last known data. 1 of 2 ensembles is disconnected; no data loaded yet.",
        "bad",
        "TreeCacheQuorumLost",
    )


def test_the_worst_is_said_first_and_nothing_is_left_out() -> None:
    one = standing(well(state="disconnected", unreadable_nodes=3), "suspended")
    assert one.words == "disconnected, 3 of 206 znodes unreadable"
    assert headline([Connected("suspended", [one])]) == (
        "The ensemble is disconnected; showing the last known data. /services: 3 of 206 znodes unreadable.",
        "bad",
        "TreeCacheClientDown",
    )
    # A failed tree is worse than a server that may lack changes.
    failed = standing(EACH["failed"][0], "connected_ro")
    assert headline([Connected("connected_ro", [failed])]) == (
        "/services: engine failed, restarting. "
        "The ensemble is connected to a read-only server, which may lack changes.",
        "bad",
        "TreeCacheFailed",
    )


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (
            lambda: well(state="failed", initialized=False, failed_at=time.time() - 65),
            "engine failed 1 min ago, restarting",
        ),
        (lambda: EACH["root missing"][0], "root is missing"),
        (lambda: EACH["root unreadable"][0], "root is unreadable"),
        (lambda: EACH["many znodes unreadable"][0], "300 of 503 znodes unreadable"),
        (lambda: fresh(verified_at=time.time() - 65, stale_after=30.0), "stale, last verified 1 min ago"),
        (lambda: well(undelivered_for=61.0), "listeners have taken no event for 1 min"),
        (lambda: well(oldest_operation_age=61.0), "read unanswered for 1 min"),
    ],
)
def test_the_only_tree_in_a_condition_is_named_and_what_is_wrong_with_it_is_said(
    tree: Callable[[], CacheStats], said: str
) -> None:
    one, fine = standing(tree()), replace(standing(well()), name="/fine")
    assert headline([Connected("connected", [fine, one])]).text == f"/services: {said}."
    elsewhere = [Connected("connected", [fine], "shop"), Connected("connected", [one], "jobs")]
    assert headline(elsewhere).text == f"jobs /services: {said}."


def named(tree: CacheStats, *names: str) -> list[Standing]:
    return [replace(standing(tree), name=name) for name in names]


def test_headlines_of_many() -> None:
    fine, missing = standing(well()), EACH["root missing"][0]
    some, many = EACH["znodes unreadable"][0], EACH["many znodes unreadable"][0]
    never = standing(well(state="disconnected", events=NEVER), "lost")
    for ensembles, text in (
        ([Connected("connected", [fine])], "The tree is complete, and its changes arrive."),
        ([Connected("connected", [fine, fine])], "All 2 trees are complete, and their changes arrive."),
        ([], "No tree is watched."),
        ([Connected("connected", [])], "No tree is watched."),
        (
            [Connected("connected", [fine, *named(missing, "/a", "/b")])],
            "2 of 3 trees have no root in ZooKeeper: /a, /b.",
        ),
        ([Connected("connected", named(missing, "/a", "/b"))], "All 2 trees have no root in ZooKeeper."),
        (
            [Connected("connected", [fine, *named(missing, *"abcde")])],
            "5 of 6 trees have no root in ZooKeeper: a, b, c, 2 more.",
        ),
        (
            [
                Connected("connected", [*named(many, "/a"), fine], "one"),
                Connected("connected", named(many, "/b"), "two"),
            ],
            "2 of 3 trees are incomplete, 600 of 1\u202f006 znodes unreadable: one /a, two /b.",
        ),
        (
            [Connected("connected", [fine, *named(some, "/few"), *named(many, "/many")])],
            "/many: 300 of 503 znodes unreadable. /few: 3 of 206 znodes unreadable.",
        ),
        (
            [Connected("lost", [never]), Connected("connected", [fine])],
            "1 of 2 ensembles is disconnected; no data loaded yet.",
        ),
        (
            [Connected("connected_ro", [fine])],
            "The ensemble is connected to a read-only server, which may lack changes.",
        ),
        (
            [Connected("connecting", []), Connected("connecting", [])],
            "All 2 ensembles are connecting.",
        ),
    ):
        assert headline(ensembles).text == text


def test_the_page_and_the_alerts_have_the_same_limit_on_unreadable_znodes() -> None:
    assert Parameters().unreadable_ratio == UNREADABLE_SHARE


def test_a_tree_that_nobody_proves_is_never_stale() -> None:
    on_demand = well(verified_at=0.0)
    assert standing(on_demand, unverified_for=1e6).is_complete
    assert standing(replace(on_demand, stale_after=30.0), unverified_for=31.0).words == "stale"
