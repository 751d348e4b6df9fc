"""LimitsView: the sizes of a tree, the same by any history as by a plain walk."""

from __future__ import annotations

import pytest

from exporter.treecache.events import TreeEvent
from exporter.treecache.feed import Feed
from exporter.treecache.outcome import AddedRun, Event
from exporter.treecache.tree import Branch, Tree, record_of
from exporter.views.limits import listings, subtrees
from exporter.views.limits.subtrees import Weight
from exporter.views.limits.view import JUTE_MAXBUFFER, Limits, LimitsView, Weighed
from exporter.zookeeper.records import stat_of
from tests.simulation.fed import FedReplica, run_without_poison
from tests.simulation.znodes import Znode


class Driven:
    """A view of a tree that the test changes."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.names: dict[str, list[str]] = {}
        self.view = LimitsView(limits or Limits(), lambda path: self.names.get(path, []))
        self.view.changed([Event(TreeEvent.NODE_ADDED, "", znode().record)])
        self.view.complete()

    def add(self, path: str, data: bytes = b"") -> None:
        self.view.changed([Event(TreeEvent.NODE_ADDED, path, znode(data).record)])

    def update(self, path: str, before: bytes, after: bytes) -> None:
        self.view.changed([Event(TreeEvent.NODE_UPDATED, path, znode(after).record, znode(before).record)])

    def remove(self, path: str, data: bytes = b"") -> None:
        self.view.changed([Event(TreeEvent.NODE_REMOVED, path, znode(data).record, znode(data).record)])

    def fill(self, path: str, names: list[str]) -> None:
        """Adds a znode and all its children at once."""
        self.names[path] = names
        parent, children = znode(children=len(names)), [znode(b"1").record] * len(names)
        run = AddedRun([f"{path}/{name}" for name in names], children)
        self.view.changed([Event(TreeEvent.NODE_ADDED, path, parent.record), run])

    @property
    def weighed(self) -> Weighed:
        weighed = self.view.weighed()
        assert weighed is not None
        return weighed


def znode(data: bytes = b"", children: int = 0) -> Znode:
    return Znode(data, 1, 1, 1, children={str(number) for number in range(children)})


def test_the_largest_znode_grows_shrinks_and_goes() -> None:
    tree = Driven()
    tree.add("/a", b"12345")
    tree.add("/b", b"123")
    assert tree.weighed.largest_node == 5
    tree.update("/b", b"123", b"1234567")
    assert tree.weighed.largest_node == 7
    tree.remove("/b", b"1234567")
    assert tree.weighed.largest_node == 5


def test_a_list_of_children_weighs_what_the_reply_does() -> None:
    tree = Driven()
    names = [f"größe-{number:04}" for number in range(200)]
    tree.fill("/a", names)
    assert tree.weighed.largest_children_count == 200
    # The header of the reply, the number of names, and each name with its length.
    assert tree.weighed.largest_children_list == 16 + 4 + sum(4 + len(name.encode()) for name in names)


def test_a_short_list_is_not_weighed() -> None:
    tree = Driven()
    tree.fill("/a", [str(number) for number in range(listings.WIDE - 1)])
    assert tree.weighed.largest_children_count == listings.WIDE - 1
    assert tree.weighed.largest_children_list == 0


def test_children_outside_the_tree_count_as_the_average_of_the_others() -> None:
    tree = Driven()
    tree.names["/a"] = ["1234", "123456"]
    tree.view.changed([Event(TreeEvent.NODE_ADDED, "/a", znode(children=1000).record)])
    assert tree.weighed.largest_children_list == 20 + 1000 * (4 + 5)


def test_what_is_near_the_limit_is_known_by_path() -> None:
    tree = Driven(Limits(jute_maxbuffer=10_000))
    tree.add("/far", b"x" * 7_999)
    tree.add("/near", b"x" * 8_000)
    tree.fill("/wide", ["x" * 76 + f"{number:04}" for number in range(100)])
    tree.fill("/wider", ["x" * 76 + f"{number:04}" for number in range(130)])
    assert tree.weighed.near_data == {"/near": 8_000}
    assert tree.weighed.near_children_list == {"/wider": 20 + 130 * 84}
    tree.update("/near", b"x" * 8_000, b"")
    for number in range(130):
        tree.remove("/wider/" + "x" * 76 + f"{number:04}", b"1")
    tree.remove("/wider")
    assert (tree.weighed.near_data, tree.weighed.near_children_list) == ({}, {})


def test_zookeepers_own_limit_is_the_default() -> None:
    assert Limits().jute_maxbuffer == JUTE_MAXBUFFER == 1024 * 1024 - 1
    assert Limits().mark == 838_860


def test_there_is_nothing_before_the_tree_is_complete_and_the_last_values_stay() -> None:
    view = LimitsView(Limits(), lambda _: [])
    assert view.weighed() is None
    tree = Driven()
    tree.add("/a", b"1")
    tree.view.incomplete()
    tree.add("/b", b"12")
    assert tree.weighed.largest_node == 1
    tree.view.complete()
    assert tree.weighed.largest_node == 2
    tree.view.reset()
    assert tree.view.weighed() is None


def test_a_view_that_has_failed_says_nothing() -> None:
    tree = Driven()
    tree.view.failed(ValueError())
    assert tree.view.weighed() is None


# Subtrees


def test_subtrees_are_off_unless_they_are_asked_for() -> None:
    tree = Driven()
    tree.add("/a", b"1")
    assert tree.weighed.subtrees == {}


def test_each_child_of_the_root_has_its_znodes_and_bytes() -> None:
    tree = Driven(Limits(subtrees=2))
    tree.fill("/a", ["x", "y"])
    tree.add("/b", b"123")
    assert tree.weighed.subtrees == {"a": (3, 2), "b": (1, 3), "other": (0, 0)}
    tree.update("/a/x", b"1", b"12")
    tree.remove("/b", b"123")
    assert tree.weighed.subtrees == {"a": (3, 3), "other": (0, 0)}


def of_four(limit: int) -> Driven:
    """A complete tree whose children a, b, c and d have 1, 2, 3 and 4 znodes."""
    tree = Driven(Limits(subtrees=limit))
    tree.view.reset()
    for number, name in enumerate("abcd"):
        tree.add(f"/{name}")
        for child in range(number):
            tree.add(f"/{name}/{child}")
    tree.view.complete()
    return tree


def test_the_heaviest_subtrees_have_series_as_long_as_they_exist() -> None:
    tree = of_four(2)
    assert tree.weighed.subtrees == {"d": (4, 0), "c": (3, 0), "other": (3, 0)}
    # Others that grow take no place, also when the tree is read again; that of one which goes is free.
    for child in range(9):
        tree.add(f"/a/{child}")
    tree.view.incomplete()
    tree.view.complete()
    assert set(tree.weighed.subtrees) == {"d", "c", "other"}
    for path in ("/c/0", "/c/1", "/c"):
        tree.remove(path)
    tree.add("/e")
    assert tree.weighed.subtrees == {"d": (4, 0), "e": (1, 0), "other": (12, 0)}


def test_of_very_many_subtrees_the_first_ones_have_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subtrees, "COMPARED", 3)
    assert of_four(2).weighed.subtrees == {"a": (1, 0), "b": (2, 0), "other": (7, 0)}


def test_a_subtree_that_is_called_other_counts_with_the_others() -> None:
    tree = Driven(Limits(subtrees=1))
    tree.view.reset()
    for path in ("/other", "/other/x", "/a"):
        tree.add(path)
    tree.view.complete()
    assert tree.weighed.subtrees == {"other": (3, 0)}


# After any history.


class LimitsReplica(FedReplica[LimitsView]):
    """A replica with a view, which is compared with what a plain walk of the tree gives."""

    def new_view(self) -> LimitsView:
        return LimitsView(Limits(jute_maxbuffer=60, subtrees=1000), lambda path: children(self.tree, path))

    def compare(self) -> None:
        late = self.new_view()
        Feed(self.faults.extend).join(late, self.tree, is_complete=True)
        assert self.view.weighed() == late.weighed() == plain(self.tree, self.view.limits)


def children(tree: Tree, path: str) -> list[str]:
    entry = tree.find(path)
    return list(entry.children) if isinstance(entry, Branch) else []


def plain(tree: Tree, limits: Limits) -> Weighed:
    """The sizes, by a walk of the tree."""
    stats = {path: stat_of(record_of(entry)) for path, entry in tree.walk() if record_of(entry)}
    lists = {}
    for path, stat in stats.items():
        names = children(tree, path)
        if stat.numChildren >= listings.WIDE:
            name_bytes = sum(len(name.encode()) for name in names)
            lists[path] = 20 + (round(stat.numChildren * (4 + name_bytes / len(names))) if names else 0)
    weights = {"other": Weight()}
    for path, stat in stats.items():
        if path:
            child = path.split("/")[1]
            weights[child] = weights.get(child, Weight()).plus(1, stat.dataLength)
    return Weighed(
        limits.jute_maxbuffer,
        max((stat.dataLength for stat in stats.values()), default=0),
        max((stat.numChildren for stat in stats.values()), default=0),
        max(lists.values(), default=0),
        {path: stat.dataLength for path, stat in stats.items() if stat.dataLength >= limits.mark},
        {path: weight for path, weight in lists.items() if weight >= limits.mark},
        weights,
    )


@pytest.mark.long
@pytest.mark.parametrize("first", range(0, 60, 20))
def test_the_sizes_are_those_of_a_plain_walk_after_any_schedule(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.harness.Replica", LimitsReplica)
    monkeypatch.setattr(listings, "WIDE", 2)
    before = LimitsReplica.compared
    for seed in range(first, first + 20):
        run_without_poison(seed)
    assert LimitsReplica.compared > before
