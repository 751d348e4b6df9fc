"""RecursiveStrategy: one watch, and batches within a window."""

from __future__ import annotations

import pytest

from exporter.treecache.agenda import ALL_LOADS, NO_LOADS, Agenda
from exporter.treecache.reading import AUDITED
from exporter.treecache.recursive import RecursiveStrategy
from exporter.treecache.strategy import Sending, Strategy
from exporter.zookeeper.messages import CHANGED, CHILD, CREATED, DELETED
from exporter.zookeeper.paths import Siblings
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


@pytest.mark.parametrize(("children", "together"), [(1, 32), (16, 16), (100, 5), (30_000, 1)])
def test_lists_take_room_for_the_names_they_bring(children: int, together: int) -> None:
    agenda = Agenda()
    for number in range(200):
        agenda.want_list(f"/{number}", True)
    sent = requests(RecursiveStrategy("/app", 64, 4), agenda, children=children)
    assert [len(sending.request.lists) for sending in sent] == [together] * 4


def test_what_is_dirty_comes_before_lists_and_these_before_the_survey() -> None:
    agenda = Agenda()
    agenda.want_reads(["/read"], False)
    agenda.want_list("/list", False)
    agenda.survey(iter([Siblings("/", ["surveyed"])]))
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


@pytest.mark.parametrize(("reads", "lists"), [(0, 0), (1, 0), (3 * AUDITED, 0), (300, 0), (100, 206), (0, 257)])
def test_audits_are_cut_into_as_few_small_requests_as_possible(reads: int, lists: int) -> None:
    strategy = RecursiveStrategy("/app", 1024, 4)
    read, listed = [f"/{number}" for number in range(reads)], [f"/list-{number}" for number in range(lists)]
    sent = strategy.audits(read, listed)
    assert [path for request in sent for path in request.reads] == read
    assert [path for request in sent for path in request.lists] == listed
    assert all(request.operations <= AUDITED for request in sent)
    assert len(sent) == -(-(reads + 2 * lists) // AUDITED)


@pytest.mark.parametrize(
    ("in_flight", "audited", "allowance", "room"),
    [
        (0, 0, None, 4 * AUDITED),
        (1, 2, None, AUDITED),
        (3, 0, 100, 100),
        (2, 2, None, 0),
        (9, 0, 5, 0),
        (0, 2, AUDITED - 1, 0),
        (0, 2, 200, 200),
    ],
)
def test_audits_have_the_room_that_refreshes_leave(
    in_flight: int, audited: int, allowance: int | None, room: int
) -> None:
    assert RecursiveStrategy("/app", 1024, 4).audit_room(in_flight, audited, allowance) == room


@pytest.mark.parametrize(("children", "lists_root"), [(0, True), (5, True), (0, False)])
def test_the_first_request_of_a_load_lists_the_root_if_its_children_are_wanted(children: int, lists_root: bool) -> None:
    agenda = Agenda()
    agenda.want_reads([""], True)
    agenda.survey(iter(()))
    (sending,) = requests(RecursiveStrategy("/app", 1024, 4, lists_root=lists_root), agenda, children=children)
    is_listed = lists_root and not children
    assert (list(sending.request.reads), list(sending.request.lists)) == (([], [""]) if is_listed else ([""], []))
    assert sending.loads is ALL_LOADS
