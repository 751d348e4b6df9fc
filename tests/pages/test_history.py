"""The page's memory: charts, and the changes between two looks."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from exporter.pages.history import INTERVAL, POINTS, History, Series
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache.stats import CacheStats
from exporter.zookeeper.stats import ClientStats
from tests.telemetry.known import BUSY_CACHE, BUSY_CLIENT, Source
from tests.web.running import fresh, loading


def with_events(number: int, *, initialized: bool = True) -> CacheStats:
    events = {**BUSY_CACHE.events, "node_added": number, "node_updated": 0, "node_removed": 0}
    return fresh(events=events, initialized=initialized, state="in_sync" if initialized else "loading")


def test_a_chart_has_a_point_for_each_interval() -> None:
    series = Series(0, 0.0)
    for second, events in enumerate([0, 10, 20, 30, 40, 50, 50, 50, 50, 50, 50, 51]):
        series.add(with_events(events), float(second))
    assert list(series.rates) == [50 / INTERVAL, 0.0]
    for number in range(2 * POINTS):
        series.add(with_events(51), 100 + number * INTERVAL)
    assert len(series.rates) == POINTS


def test_a_load_does_not_dwarf_what_follows() -> None:
    series = Series(0, 0.0)
    series.add(with_events(0, initialized=False), 1)
    series.add(with_events(50_000, initialized=False), 3)
    series.add(with_events(100_000), 4)
    series.add(with_events(100_005), 5)
    assert list(series.rates) == [1.0]


def test_a_point_of_staleness_is_the_worst_since_the_one_before() -> None:
    series = Series(0, 0.0)
    for second, staleness in enumerate([1, 2, 9, 1, 2, 3]):
        series.add(replace(BUSY_CACHE, verified_at=time.time() - staleness), float(second))
    (worst,) = series.staleness
    assert 9 <= worst < 10


class Story:
    """An ensemble whose stats the test sets one after the other, and its history."""

    def __init__(self) -> None:
        self._client, self._cache = Source(BUSY_CLIENT), Source(fresh())
        self._history = History([EnsembleSource("main", self._client, {"/services": self._cache})])
        self._history.look()

    def step(self, client: ClientStats = BUSY_CLIENT, cache: CacheStats | None = None) -> list[tuple[str, str, str]]:
        """The changes since the start, the latest first."""
        self._client.told, self._cache.told = client, cache or fresh()
        self._history.look()
        return [(change.where, change.what, change.level) for change in self._history.changes()]


def test_nothing_happened() -> None:
    assert Story().step() == []


def test_a_connection_goes_and_comes() -> None:
    story = Story()
    suspended = replace(BUSY_CLIENT, state="suspended", server=None)
    assert story.step(suspended) == [("main", "connection suspended", "bad")]
    assert story.step(suspended) == [("main", "connection suspended", "bad")]
    assert story.step()[0] == ("main", "connected to zk1.example:2181", "good")


def test_a_session_is_lost_between_two_looks() -> None:
    lost = {**BUSY_CLIENT.sessions_lost, "expired": BUSY_CLIENT.sessions_lost["expired"] + 1}
    assert Story().step(replace(BUSY_CLIENT, sessions_lost=lost)) == [("main", "session lost: expired", "bad")]


def test_a_tree_is_loaded_again() -> None:
    story = Story()
    story.step(cache=loading())
    assert story.step() == [
        ("main /services", "complete, 203 znodes", "good"),
        ("main /services", "loading", "waiting"),
    ]


def test_a_tree_gets_into_trouble_and_out_of_it() -> None:
    story = Story()
    story.step(cache=fresh(unreadable_nodes=2))
    story.step(cache=fresh(state="failed", initialized=False))
    story.step(cache=fresh(root="missing", nodes=dict.fromkeys(BUSY_CACHE.nodes, 0)))
    assert story.step() == [
        ("main /services", "complete, 203 znodes", "good"),
        ("main /services", "root missing", "waiting"),
        ("main /services", "engine failed, restarting", "bad"),
        ("main /services", "2 of 205 znodes unreadable", "waiting"),
    ]


def test_what_comes_and_goes_with_the_connection_is_the_ensembles_news() -> None:
    story = Story()
    suspended = replace(BUSY_CLIENT, state="suspended", server=None)
    story.step(suspended, fresh(state="disconnected"))
    story.step(cache=fresh(state="catching_up"))
    assert [where for where, _, _ in story.step()] == ["main", "main"]


def test_what_a_slow_look_found_is_not_noted_after_what_a_later_one_found() -> None:
    asked, release = threading.Event(), threading.Event()

    class SlowOnce(Source[CacheStats]):
        def stats(self) -> CacheStats:
            told = super().stats()
            if self.asked == 2:
                asked.set()
                assert release.wait(10)
            return told

    cache = SlowOnce(loading())
    history = History([EnsembleSource("main", Source(BUSY_CLIENT), {"/services": cache})])
    history.look()
    slow, later = threading.Thread(target=history.look), threading.Thread(target=history.look)
    slow.start()
    assert asked.wait(10)
    cache.told = fresh()
    later.start()
    later.join(0.2)
    release.set()
    slow.join(10)
    later.join(10)
    assert [change.what for change in history.changes()] == ["complete, 203 znodes"]


def test_since_when_a_complete_tree_waits_for_its_first_proof() -> None:
    series = Series(0, 0.0)
    loading, complete = replace(BUSY_CACHE, initialized=False, verified_at=0.0), replace(BUSY_CACHE, verified_at=0.0)
    known = []
    for second, tree in enumerate([loading, complete, complete, BUSY_CACHE, complete, loading]):
        series.add(tree, float(second))
        known.append(series.unverified_since)
    assert known == [None, 1.0, 1.0, None, 4.0, None]


def test_ensembles_and_trees_come_and_go() -> None:
    sources = [EnsembleSource("a", Source(BUSY_CLIENT), {"/x": Source(BUSY_CACHE)})]
    history = History(sources)
    history.look()
    sources[:] = [EnsembleSource("b", Source(BUSY_CLIENT), {"/y": Source(BUSY_CACHE)})]
    history.look()
    assert history.changes() == []
    assert history.charts("a", "/x") == ((), ())
