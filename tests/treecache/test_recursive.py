"""RecursiveStrategy: one watch, and batches within a window."""

from __future__ import annotations

import pytest

from exporter.treecache.agenda import ALL_LOADS, NO_LOADS, Agenda
from exporter.treecache.recursive import RecursiveStrategy
from exporter.treecache.strategy import Sending, Strategy
from exporter.zookeeper.messages import CHANGED, CHILD, CREATED, DELETED
from exporter.zookeeper.wire import AddWatch


def requests(
    strategy: RecursiveStrategy, agenda: Agenda, in_flight: int = 0, allowance: int | None = None, children: int = 1
) -> list[Sending]:
    return list(strategy.requests(agenda, in_flight, allowance, lambda path: children))


def wanting(count: int) -> Agenda:
    agenda = Agenda()
    agenda.want_reads([f"/{number}" for number in range(count)], True)
    return agenda


def test_the_watch_comes_before_the_first_read() -> None:
    watch = RecursiveStrategy("/app", 1024, 4).arm()
    assert isinstance(watch, AddWatch)
    assert watch.path == "/app"


@pytest.mark.parametrize(
    ("kind", "path", "reads"),
    [
        (CHANGED, "/a/b", ("/a/b",)),
        (CREATED, "/a/b", ("/a/b", "/a")),
        (DELETED, "/a/b", ("/a/b", "/a")),
        (DELETED, "/a", ("/a", "")),
        (CREATED, "", ("",)),
        (CHILD, "/a", ()),
    ],
)
def test_what_an_event_calls_for(kind: int, path: str, reads: tuple[str, ...]) -> None:
    assert RecursiveStrategy("/app", 1024, 4).dirty(kind, path) == (reads, ())


@pytest.mark.parametrize(("in_flight", "sent"), [(0, 4), (3, 1), (4, 0), (9, 0)])
def test_no_more_than_the_window(in_flight: int, sent: int) -> None:
    strategy = RecursiveStrategy("/app", 10, 4)
    assert [s.request.operations for s in requests(strategy, wanting(1_000), in_flight)] == [10] * sent


def test_no_more_than_the_allowance() -> None:
    sent = requests(RecursiveStrategy("/app", 10, 4), wanting(1_000), allowance=25)
    assert [sending.request.operations for sending in sent] == [10, 10, 5]


def test_lists_take_room_for_the_names_they_bring() -> None:
    agenda = Agenda()
    for number in range(10):
        agenda.want_list(f"/{number}", True)
    sent = requests(RecursiveStrategy("/app", 100, 4), agenda, children=30_000)
    assert [len(sending.request.lists) for sending in sent] == [2, 2, 2, 2]


def test_what_is_dirty_comes_before_lists_and_these_before_the_survey() -> None:
    agenda = Agenda()
    agenda.want_reads(["/read"], False)
    agenda.want_list("/list", False)
    agenda.survey(iter(["/surveyed"]))
    strategy = RecursiveStrategy("/app", 1, 4)
    assert [(list(s.request.reads), s.request.lists) for s in requests(strategy, agenda)] == [
        (["/read"], []),
        ([], ["/list"]),
        (["/surveyed"], []),
    ]


def test_a_load_waits_for_its_own_paths_only() -> None:
    agenda = wanting(2)
    agenda.want_reads(["/refresh"], False)
    (sending,) = requests(RecursiveStrategy("/app", 100, 4), agenda)
    assert "/0" in sending.loads
    assert "/refresh" not in sending.loads
    (only_refresh,) = requests(RecursiveStrategy("/app", 100, 4), refreshing("/a"))
    assert only_refresh.loads == NO_LOADS
    (only_load,) = requests(RecursiveStrategy("/app", 100, 4), wanting(1))
    assert only_load.loads == ALL_LOADS


def refreshing(path: str) -> Agenda:
    agenda = Agenda()
    agenda.want_reads([path], False)
    return agenda


def test_parents_are_read_before_their_children() -> None:
    agenda = Agenda()
    agenda.want_reads(["/a/b", "/a"], False)
    (sending,) = requests(RecursiveStrategy("/app", 100, 4), agenda)
    assert list(sending.request.reads) == ["/a", "/a/b"]


def test_a_missing_root_needs_nothing_more() -> None:
    strategy: Strategy = RecursiveStrategy("/app", 1024, 4)
    assert strategy.missing_root() is None
