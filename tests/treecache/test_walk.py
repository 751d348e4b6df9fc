"""Walk: every znode once, or a sample of the requested size, spread over the tree and different each time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.treecache.tree import Tree
from exporter.treecache.walk import Walk, turns_of
from exporter.zookeeper.paths import Paths
from exporter.zookeeper.records import UNREADABLE
from tests.simulation.znodes import Znode

RECORD = Znode(b"", 1, 1, 1).record


def tree_of(*paths: str, hidden: tuple[str, ...] = ()) -> Tree:
    tree = Tree()
    for path in ("", *paths):
        tree.add(path, UNREADABLE if path in hidden else RECORD)
    return tree


def forest(parents: int, children: int) -> Tree:
    """A tree of 1 + parents * (1 + children) znodes."""
    below = [[f"/{n}", *(f"/{n}/{m}" for m in range(children))] for n in range(parents)]
    return tree_of(*(path for paths in below for path in paths))


def walked(walk: Walk) -> list[str]:
    paths: list[str] = []
    while (taken := walk.take(1000)) is not None:
        paths += taken.paths()
    return paths


def test_a_walk_through_all_comes_by_each_znode_once_and_parents_first() -> None:
    tree = tree_of("/a", "/a/b", "/a/b/c", "/d", "/e", "/e/f")
    paths = walked(Walk(tree))
    assert sorted(paths) == sorted(path for path, _ in tree.walk())
    for path in paths[1:]:
        assert paths.index(path[: path.rindex("/")]) < paths.index(path)


def test_of_an_empty_tree_the_root_is_looked_for() -> None:
    assert walked(Walk(Tree())) == walked(Walk(Tree(), 10)) == [""]


def test_what_may_not_be_read_is_left_out_and_counted() -> None:
    tree = tree_of("/a", "/a/b", "/c", hidden=("/a", "/c"))
    walk = Walk(tree)
    assert walked(walk) == ["", "/a/b"]
    assert walk.unreadable == 2
    hidden = tree_of("/a", hidden=("",))
    assert walked(Walk(hidden)) == ["/a"]


@given(st.integers(1, 12), st.integers(0, 12), st.integers(1, 200))
@settings(max_examples=200, deadline=None)
def test_a_sample_has_as_many_as_it_says_and_all_have_their_turn(parents: int, children: int, sample: int) -> None:
    tree = forest(parents, children)
    everything = {path for path, _ in tree.walk()}
    turns = turns_of(len(everything), sample)
    for first in (0, turns, 7 * turns + 3):
        seen: set[str] = set()
        for turn in range(first, first + turns):
            paths = walked(Walk(tree, sample, turn))
            assert len(paths) == len(set(paths)) == min(sample, len(everything))
            seen.update(paths)
        assert seen == everything


@pytest.mark.parametrize("turn", range(5))
def test_a_part_of_the_tree_has_its_share_in_each_sample(turn: int) -> None:
    tree = forest(10, 99)
    paths = walked(Walk(tree, 100, turn))
    for parent in range(10):
        below = [path for path in paths if path == f"/{parent}" or path.startswith(f"/{parent}/")]
        assert 9 <= len(below) <= 11


def test_unreadable_znodes_have_their_share_in_what_a_sample_counts() -> None:
    paths = [f"/{n}" for n in range(1000)]
    tree = tree_of(*paths, hidden=tuple(paths[500:]))
    walk = Walk(tree, 50)
    assert len(walked(walk)) == 50
    assert walk.unreadable == 49


def test_what_comes_and_goes_during_a_walk_does_no_harm() -> None:
    tree = forest(20, 20)
    seen: list[str] = []
    walk = Walk(tree)
    while (taken := walk.take(1)) is not None:
        number = len(seen)
        seen += taken.paths()
        if number % 3 == 0:
            tree.remove(f"/{number % 20}")
        if number % 5 == 0:
            tree.add(f"/new{number}", RECORD)
    assert len(seen) == len(set(seen))


def test_a_long_stretch_without_a_pick_is_interrupted() -> None:
    walk, pauses = Walk(forest(30, 2000), 1), 0
    while (taken := walk.take(1000)) is not None:
        pauses += not taken.names
    assert pauses >= 5


def test_what_is_at_hand_is_taken_without_passing_more_of_the_tree() -> None:
    walk = Walk(forest(20, 1000))
    assert not walk.has_at_hand(1)
    left = 20 * 1001 + 1
    while (taken := walk.take(7)) is not None:
        left -= len(taken.names)
        assert walk.has_at_hand(0)
        if walk.has_at_hand(500):
            passed = walk._passed
            walk.put_back(len((walk.take(500) or taken).names))
            assert walk._passed == passed
    assert left == 0
    assert walk.has_at_hand(1)


@given(st.integers(0, 5), st.integers(0, 3000), st.integers(1, 2000))
@settings(max_examples=50, deadline=None)
def test_what_is_taken_together_are_siblings_and_what_is_put_back_comes_again(
    parents: int, children: int, count: int
) -> None:
    tree = forest(parents, children)
    walk, seen = Walk(tree), list[str]()
    while (taken := walk.take(count)) is not None:
        paths = list(taken.paths())
        assert len(paths) <= count
        assert len({path[: path.rindex("/")] if path else None for path in paths}) <= 1
        walk.put_back(len(paths[1:]))
        seen += paths[:1]
        if len(paths) > 1:
            again = walk.take(count)
            assert again is not None
            assert list(again.paths())[: len(paths) - 1] == paths[1:]
            seen += again.paths()
    assert sorted(seen) == sorted(Paths(list(tree.runs())))
