"""Reconciler: what a read changes, which events it causes, and what else must be read."""

from __future__ import annotations

import pytest
from kazoo.exceptions import NoAuthError

from exporter.treecache.agenda import NO_LOADS, Agenda
from exporter.treecache.events import TreeEvent
from exporter.treecache.options import CacheOptions
from exporter.treecache.outcome import Outbox, each
from exporter.treecache.reconciler import Reconciler
from exporter.zookeeper.paths import Siblings
from exporter.zookeeper.records import data_of
from tests.simulation.znodes import Znode

ADDED, UPDATED, REMOVED = TreeEvent.NODE_ADDED, TreeEvent.NODE_UPDATED, TreeEvent.NODE_REMOVED


def record(data: bytes = b"", czxid: int = 1, mzxid: int = 1, pzxid: int = 1, children: int = 0) -> bytes:
    names = set(map(str, range(children)))
    return Znode(data, czxid, mzxid, pzxid, children=names).record


class Reconciling:
    """A reconciler and its agenda after their first sync, with a root that counts one child."""

    def __init__(self, *, keep_data: bool = True, max_depth: int | None = None) -> None:
        self.agenda = Agenda()
        self.reconciler = Reconciler(
            "/app", self.agenda, Outbox(), CacheOptions(keep_data=keep_data, max_depth=max_depth)
        )
        self.reconciler.apply_record("", record(children=1), False)
        self.published()
        self.wanted()

    def published(self) -> list[tuple[int, str]]:
        """Type and path of every event since the last call."""
        events = [(event.type, event.path) for event in each(self.reconciler.events)]
        self.reconciler.events.clear()
        return events

    def wanted(self) -> tuple[list[str], list[str]]:
        """The paths to read and the paths to list since the last call."""
        reads = list(self.agenda.take_reads(100, 10_000).paths)
        lists = []
        while self.agenda.first_list() is not None:
            lists.append(self.agenda.take_list()[0])
        return reads, lists


@pytest.fixture
def reconciling() -> Reconciling:
    return Reconciling()


def test_a_new_znode_is_told_and_listed_if_it_has_children(reconciling: Reconciling) -> None:
    reconciling.reconciler.apply_record("/leaf", record(), False)
    reconciling.reconciler.apply_record("/branch", record(children=2), False)
    assert reconciling.published() == [(ADDED, "/leaf"), (ADDED, "/branch")]
    assert reconciling.wanted() == ([], ["/branch"])


def test_a_run_of_new_znodes_does_the_same(reconciling: Reconciling) -> None:
    records = [record(), record(children=1)]
    assert not reconciling.reconciler.apply_run(Siblings("/", ["leaf", "branch"]), records, NO_LOADS)
    assert reconciling.published() == [(ADDED, "/leaf"), (ADDED, "/branch")]
    assert reconciling.wanted() == ([], ["/branch"])


def test_of_a_run_with_known_znodes_nothing_is_applied(reconciling: Reconciling) -> None:
    reconciling.reconciler.apply_record("/known", record(), False)
    reconciling.published()
    odd = reconciling.reconciler.apply_run(Siblings("/", ["new", "known"]), [record(), record()], NO_LOADS)
    assert list(odd) == [0]
    assert reconciling.published() == []


def test_where_only_a_list_watches_leaves_are_listed_too(reconciling: Reconciling) -> None:
    reconciling.reconciler.lists_leaf = lambda path: True
    reconciling.reconciler.apply_record("/leaf", record(), False)
    assert reconciling.wanted() == ([], ["/leaf"])


def test_only_new_data_is_an_update(reconciling: Reconciling) -> None:
    reconciler = reconciling.reconciler
    reconciler.apply_record("/a", record(), False)
    reconciling.published()
    reconciler.apply_record("/a", record(), False)
    reconciler.apply_record("/a", record(pzxid=3), False)
    assert reconciling.published() == []
    reconciler.apply_record("/a", record(b"new", mzxid=4, pzxid=3), False)
    assert reconciling.published() == [(UPDATED, "/a")]


def test_an_older_version_never_replaces_a_newer_one(reconciling: Reconciling) -> None:
    reconciling.reconciler.apply_record("/a", record(b"new", mzxid=5), False)
    reconciling.published()
    reconciling.reconciler.apply_record("/a", record(b"old", mzxid=4), False)
    assert reconciling.published() == []
    assert data_of(reconciling.reconciler.tree.find("/a")) == b"new"  # type: ignore[arg-type]


def test_in_a_sync_the_servers_word_is_final(reconciling: Reconciling) -> None:
    reconciling.reconciler.apply_record("/a", record(b"new", mzxid=5), False)
    reconciling.published()
    reconciling.reconciler.begin_sync()
    reconciling.reconciler.apply_record("/a", record(b"restored", mzxid=4), True)
    assert reconciling.published() == [(UPDATED, "/a")]


def test_another_origin_is_another_znode(reconciling: Reconciling) -> None:
    reconciler = reconciling.reconciler
    reconciler.apply_record("/a", record(children=1), False)
    reconciler.apply_record("/a/0", record(), False)
    reconciling.published()
    reconciler.apply_record("/a", record(czxid=9, mzxid=9, pzxid=9), False)
    assert reconciling.published() == [(REMOVED, "/a/0"), (REMOVED, "/a"), (ADDED, "/a")]


def test_a_list_has_unknown_children_read_and_takes_away_the_others(reconciling: Reconciling) -> None:
    reconciler = reconciling.reconciler
    reconciler.apply_record("/old", record(czxid=2), False)
    reconciler.apply_record("/young", record(czxid=8), False)
    reconciling.published()
    reconciler.apply_names("", 5, ["new"], False)
    assert reconciling.published() == [(REMOVED, "/old")], "the young one came after the list"
    assert reconciling.wanted() == (["/new"], [])
    reconciler.apply_names("", 4, ["old"], False)
    assert reconciling.wanted() == ([], []), "a list older than the last is ignored"


def test_a_znode_without_its_parent_has_the_parent_listed(reconciling: Reconciling) -> None:
    reconciling.reconciler.apply_record("/gone/a", record(), False)
    reconciling.reconciler.hide("/gone/b", False)
    assert reconciling.published() == []
    assert reconciling.wanted() == ([], ["/gone"])


def test_a_removal_takes_everything_below_away_children_first(reconciling: Reconciling) -> None:
    for path in ("/a", "/a/b", "/a/b/c"):
        reconciling.reconciler.apply_record(path, record(children=1), False)
    reconciling.published()
    reconciling.reconciler.remove("/a")
    reconciling.reconciler.remove("/a")
    assert reconciling.published() == [(REMOVED, "/a/b/c"), (REMOVED, "/a/b"), (REMOVED, "/a")]


def test_a_hidden_znode_is_removed_and_a_fault_and_keeps_what_is_below(reconciling: Reconciling) -> None:
    reconciler = reconciling.reconciler
    reconciler.apply_record("/a", record(children=1), False)
    reconciler.apply_record("/a/0", record(), False)
    reconciling.published()
    reconciler.hide("/a", False)
    reconciler.hide("/a", False)
    assert reconciling.published() == [(REMOVED, "/a")]
    assert [(kind, type(error), str(error)) for kind, error in reconciler.faults] == [
        ("no_auth", NoAuthError, "/app/a may not be read")
    ]
    reconciler.apply_record("/a", record(children=1), False)
    assert reconciling.published() == [(ADDED, "/a")]
    assert reconciler.tree.find("/a/0") is not None
    assert not reconciler.hidden


def test_a_count_of_children_that_nothing_explains_is_looked_into(reconciling: Reconciling) -> None:
    reconciling.reconciler.apply_record("/a", record(), False)
    reconciling.reconciler.apply_record("/a", record(pzxid=2, children=1), False)
    assert reconciling.wanted() == ([], [])
    reconciling.reconciler.recheck_suspects(0.0, at_rest=True)
    assert reconciling.wanted() == ([], ["/a"])
    reconciling.reconciler.recheck_suspects(0.0, at_rest=True)
    assert reconciling.wanted() == ([], [])


def test_a_count_of_children_that_depth_explains_is_not() -> None:
    reconciling = Reconciling(max_depth=1)
    reconciling.reconciler.apply_record("/a", record(), False)
    reconciling.reconciler.apply_record("/a", record(pzxid=2, children=1), False)
    reconciling.reconciler.recheck_suspects(0.0, at_rest=True)
    assert reconciling.wanted() == ([], [])
    reconciling.reconciler.apply_names("/a", 2, ["0"], False)
    assert reconciling.wanted() == ([], [])


def test_data_is_not_kept_where_it_is_not_wanted() -> None:
    reconciler = Reconciling(keep_data=False).reconciler
    reconciler.apply_record("/a", record(b"12345"), False)
    reconciler.apply_run(Siblings("/", ["b"]), reconciler.keeping.results(["/b"], [record(b"12345")]), NO_LOADS)
    assert reconciler.tree.data_bytes == 10
    assert [data_of(reconciler.tree.find(path)) for path in ("/a", "/b")] == [None, None]  # type: ignore[arg-type]
