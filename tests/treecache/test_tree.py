"""The tree compared with a plain dictionary of paths, and its guarantees to readers."""

from __future__ import annotations

import gc
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.treecache.tree import NEVER_LISTED, Branch, OrphanError, Tree, listed_pzxid_of, record_of
from exporter.zookeeper.paths import Paths, Siblings, runs_of
from exporter.zookeeper.records import UNREADABLE
from tests.simulation.znodes import Znode

NAMES = st.sampled_from("abc")
PATHS = st.lists(NAMES, max_size=4).map(lambda names: "".join("/" + name for name in names))
RECORDS = st.builds(
    lambda data, owner: Znode(data, 1, 1, 1, owner).record, st.binary(max_size=3), st.sampled_from([0, 7, -(1 << 63)])
) | st.just(UNREADABLE)
STEPS = st.tuples(st.sampled_from(["add", "replace", "remove", "branch", "fold"]), PATHS, RECORDS)


@given(st.lists(STEPS, max_size=60))
def test_equals_a_dictionary_of_paths(steps: list[tuple[str, str, bytes]]) -> None:
    tree, plain = Tree(), dict[str, bytes]()
    for step, path, record in steps:
        if step == "add":
            if path and path.rpartition("/")[0] not in plain:
                with pytest.raises(OrphanError):
                    tree.add(path, record)
            elif (held := tree.add(path, record)) is None:
                plain[path] = record
            else:
                assert record_of(held) == plain[path]
        elif step == "replace" and path in plain:
            tree.replace(path, record)
            plain[path] = record
        elif step == "remove":
            removed = tree.remove(path)
            gone = {p for p in plain if p == path or p.startswith(path + "/")}
            assert {p for p, _ in removed} == gone
            assert all(plain.pop(p) == r for p, r in removed)
            order = [p for p, _ in removed]
            assert all(order.index(p) < order.index(p.rpartition("/")[0]) for p in order if p != path)
        elif step == "branch":
            assert (tree.branch(path) is None) == (path not in plain)
        else:
            tree.fold(path)
        assert {p: record_of(entry) for p, entry in tree.walk()} == plain
    readable = [record for record in plain.values() if record]
    assert len(tree) == len(readable)
    assert tree.unreadable == len(plain) - len(readable)
    assert tree.kinds["ephemeral"] == sum(Znode(b"", 1, 1, 1, 7).record[-24:-16] == r[-24:-16] for r in readable)
    assert all(record_of(tree.find(path) or b"") == record for path, record in plain.items())


def test_leaf_is_nothing_but_its_record() -> None:
    tree, record = Tree(), Znode(b"x", 1, 1, 1).record
    tree.add("", record)
    tree.add("/a", record)
    assert tree.find("/a") is record


def test_children_of_a_leaf_are_completely_known() -> None:
    leaf = Znode(b"", 1, 1, 5).record
    assert listed_pzxid_of(leaf) == 5
    assert listed_pzxid_of(Znode(b"", 1, 1, 5, children={"x"}).record) == NEVER_LISTED
    assert listed_pzxid_of(UNREADABLE) == NEVER_LISTED
    tree = Tree()
    tree.add("", leaf)
    tree.add("/a", leaf)
    tree.add("/a/b", leaf)
    branch = tree.find("/a")
    assert isinstance(branch, Branch)
    assert branch.listed_pzxid == 5


def test_deep_trees_need_no_recursion() -> None:
    tree, record, path = Tree(), Znode(b"", 1, 1, 1).record, ""
    tree.add("", record)
    for _ in range(3000):
        path += "/d"
        tree.add(path, record)
    assert sum(1 for _ in tree.walk()) == 3001
    assert len(tree.remove("/d")) == 3000


def test_readers_see_all_of_a_removal_or_nothing() -> None:
    for _ in range(100):
        tree, record = Tree(), Znode(b"", 1, 1, 1).record
        for path in ("", "/p", *(f"/p/{number}" for number in range(50))):
            tree.add(path, record)
        seen: set[int] = set()
        reading, removed = threading.Event(), threading.Event()
        reader = threading.Thread(target=watch_children, args=(tree, seen, reading, removed))
        reader.start()
        reading.wait()
        tree.remove("/p")
        removed.set()
        reader.join()
        assert seen <= {0, 50}


def watch_children(tree: Tree, seen: set[int], reading: threading.Event, removed: threading.Event) -> None:
    """Notes how many children of /p are visible (0 if it is gone) until after it was removed."""
    done = False
    while not done:
        done = removed.is_set()
        parent = tree.find("/p")
        seen.add(len(list(parent.children)) if isinstance(parent, Branch) else 0)
        reading.set()


@pytest.mark.starts
def test_a_walk_goes_on_although_the_collector_runs_what_changes_the_tree() -> None:
    tree, names = Tree(), iter(range(1_000_000))
    record = Znode(b"", 1, 1, 1, 0).record
    tree.add("", record)
    for number in range(2000):
        tree.add(f"/{number}", record)

    def change(phase: str, info: dict[str, int]) -> None:
        tree.add(f"/new-{next(names)}", record)

    threshold = gc.get_threshold()
    gc.callbacks.append(change)
    gc.set_threshold(1)
    try:
        assert len(list(tree.walk())) >= 2001
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(change)


SIBLINGS = st.lists(
    st.tuples(st.sampled_from(["/a", "/b", "/b/c"]), st.integers(0, 60), RECORDS.filter(bool) | st.just(-101)),
    max_size=80,
)


@given(SIBLINGS, SIBLINGS)
def test_a_run_and_what_is_odd_in_it_come_to_the_same_as_one_by_one(
    first: list[tuple[str, int, bytes | int]], second: list[tuple[str, int, bytes | int]]
) -> None:
    in_runs, one_by_one = Tree(), Tree()
    for tree in (in_runs, one_by_one):
        for path in ("", "/a", "/b", "/b/c"):
            tree.add(path, Znode(b"", 1, 1, 1, 0).record)
    for read in (sorted(first, key=lambda one: one[0]), second):
        paths, records = [f"{head}/{number}" for head, number, _ in read], [record for _, _, record in read]
        start = 0
        for run in runs_of(paths):
            for odd in in_runs.apply_run(run, records[start : start + len(run.names)]).odd:
                put(in_runs, paths[start + odd], records[start + odd])
            start += len(run.names)
        for path, record in zip(paths, records, strict=True):
            put(one_by_one, path, record)
        assert list(contents(in_runs)) == list(contents(one_by_one))
        assert (in_runs.kinds, in_runs.data_bytes) == (one_by_one.kinds, one_by_one.data_bytes)
        assert in_runs.unreadable == one_by_one.unreadable


def names_of(tree: Tree, path: str) -> list[str]:
    branch = tree.find(path)
    assert isinstance(branch, Branch)
    return list(branch.children)


@pytest.mark.parametrize("in_runs", [True, False])
def test_what_several_parents_call_a_child_is_one_string(in_runs: bool) -> None:
    tree, record = Tree(), Znode(b"", 1, 1, 1, 0).record
    for path in ("", "/a", "/b"):
        tree.add(path, record)
    for head in ("/a", "/b"):
        names = [str(number) for number in range(100)]
        if in_runs:
            tree.apply_run(Siblings(f"{head}/", names), [record] * 100)
        else:
            for name in names:
                tree.add(f"{head}/{name}", record)
    assert list(map(id, names_of(tree, "/a"))) == list(map(id, names_of(tree, "/b")))


def test_names_that_come_once_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.treecache.tree._KNOWN_NAMES", 100)
    tree, record = Tree(), Znode(b"", 1, 1, 1, 0).record
    tree.add("", record)
    for number in range(1000):
        tree.add(f"/{number}", record)
    assert sys.getsizeof(tree._names._known) <= sys.getsizeof(dict.fromkeys(range(101)))
    assert len(tree) == 1001


def put(tree: Tree, path: str, record: bytes | int) -> None:
    if isinstance(record, bytes) and tree.add(path, record) is not None:
        tree.replace(path, record)


def contents(tree: Tree) -> list[tuple[str, bytes]]:
    return sorted((path, record_of(entry)) for path, entry in tree.walk())


def test_of_known_znodes_those_are_odd_that_differ_or_have_children() -> None:
    leaf, other = (Znode(b"", zxid, zxid, zxid, 0) for zxid in (1, 2))
    tree = Tree()
    for path in ("", "/a", "/b", "/b/c", "/b/d"):
        tree.add(path, leaf.record)

    def odd(stem: str, names: list[str], *records: bytes | int) -> list[int]:
        applied = tree.apply_run(Siblings(stem, names), list(records))
        assert not applied.are_new
        return list(applied.odd)

    assert odd("", [""], leaf.record) == [0]
    assert odd("/", ["a", "b"], leaf.record, leaf.record) == [1]
    assert odd("/b/", ["c", "d"], leaf.record, leaf.record) == []
    assert odd("/b/", ["c", "d"], leaf.record, other.record) == [1]
    assert odd("/b/", ["c", "new"], leaf.record, leaf.record) == [1]
    assert odd("/x/", ["y"], leaf.record) == [0]
    assert odd("/b/", ["c"], -101) == [0]


def test_new_znodes_with_children_are_named() -> None:
    tree, leaf, parent = Tree(), Znode(b"", 1, 1, 1, 0).record, Znode(b"", 1, 1, 1, children={"x"}).record
    tree.add("", leaf)
    names = [f"{number:03}" for number in range(100)]
    records = [parent if number in (3, 70) else leaf for number in range(100)]
    assert tree.apply_run(Siblings("/", names), records) == (True, [3, 70], (), {"persistent": 100})


@pytest.mark.parametrize("count", [1, 40])
def test_leaves_are_held_and_readable_and_have_no_children(count: int) -> None:
    tree, leaf, parent = Tree(), Znode(b"", 1, 1, 1, 0).record, Znode(b"", 1, 1, 1, children={"x"}).record
    names = [str(number) for number in range(count)]
    tree.add("", leaf)
    for head, last in (("/a", leaf), ("/hidden", UNREADABLE), ("/parent", parent), ("/branch", leaf)):
        tree.add(head, leaf)
        for name in names:
            tree.add(f"{head}/{name}", leaf)
        tree.replace(f"{head}/{names[-1]}", last)
    tree.add(f"/branch/{names[-1]}/below", leaf)
    assert tree.leaves(Siblings("/a/", names)) == [leaf] * count
    for stem in ("/hidden/", "/parent/", "/branch/", "/nowhere/", ""):
        assert tree.leaves(Siblings(stem, names)) is None
    assert tree.leaves(Siblings("/a/", [*names, "another"])) is None


@given(st.lists(PATHS.filter(bool), max_size=40))
def test_paths_are_those_of_the_walk_and_parents_come_first(paths: list[str]) -> None:
    tree = Tree()
    for path in paths:
        names = path.split("/")
        for depth in range(1, len(names) + 1):
            tree.add("/".join(names[:depth]), Znode(b"", 1, 1, 1, 0).record)
    listed = list(Paths(list(tree.runs())))
    assert sorted(listed) == sorted(path for path, _ in tree.walk())
    for at, path in enumerate(listed):
        assert not path or path.rpartition("/")[0] in listed[:at]
