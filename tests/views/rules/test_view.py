"""RulesView: nothing before the tree is complete, the last values while it is away, and the same by any history."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.treecache.events import TreeEvent
from exporter.treecache.outcome import Event
from exporter.treecache.tree import record_of
from exporter.treecache.view import View
from exporter.views.rules.rule import AGGREGATES, KINDS, MEASURED, VALUES, Rule
from exporter.views.rules.state import Snapshot
from exporter.views.rules.view import RulesView
from exporter.zookeeper.records import kind_of, owner_and_size, stat_of
from tests.simulation.fed import FedReplica, run_without_poison
from tests.views.rules.driving import Driving, driving


def test_there_is_nothing_before_the_tree_is_complete() -> None:
    tree = driving("/a", "exists", complete=False)
    tree.create("/a")
    assert list(tree.view.snapshots()) == []
    tree.view.complete()
    assert tree.series == {(): 1}


def test_while_the_tree_is_away_the_last_values_stay() -> None:
    tree = driving("/{a}", "count")
    tree.create("/a")
    tree.view.incomplete()
    tree.delete("/a")
    tree.create("/b")
    assert tree.series == {("a",): 1}
    tree.now = 1e9
    assert tree.series == {("a",): 1}
    tree.view.complete()
    assert tree.series == {("b",): 1}


def test_a_tree_that_is_forgotten_has_nothing_and_begins_anew() -> None:
    tree = driving("/{a}", "number")
    tree.create("/a", b"1")
    tree.create("/b", b"no")
    tree.view.reset()
    assert list(tree.view.snapshots()) == []
    tree.view.complete()
    assert (tree.series, tree.unusable) == ({}, {})


def test_a_view_that_has_failed_says_nothing() -> None:
    tree = driving("/{a}", "count")
    tree.view.failed(ValueError())
    assert list(tree.view.snapshots()) == []


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="rule x: name: another rule of the tree has this name"):
        Driving(*[Rule(name="x", match="/a", value="count")] * 2)


def test_a_rule_gets_only_what_it_matches() -> None:
    tree = Driving(
        Rule(name="a", match="/a/{x}", value="count"),
        Rule(name="b", match="/b/{x}", value="number"),
        Rule(name="all", match="/**", value="count"),
    )
    tree.view.complete()
    tree.create_all("/a", ["1", "2"])
    tree.create_all("/b", ["1"], b"7")
    tree.create_all("/c", ["1"])
    assert [dict(snapshot.series[0][1]) for snapshot in tree.view.snapshots()] == [
        {("1",): 1, ("2",): 1},
        {("1",): 7},
        {(): 5},
    ]
    assert [rule.name for rule in tree.view.using("/b/1")] == ["b", "all"]


# After any history.


def rules() -> Iterator[Rule]:
    """Rules of each value about the trees of the simulation, whose znodes are called a, b, c and w0 to w5."""
    matches = ["/{x}", "/{x}/{y}", "/*/a/{z}", "/**/{x:[ab]}", "/**"]
    for number, match in enumerate(matches):
        for value in VALUES:
            fields: dict[str, Any] = {"key": "/0"} if value == "json" else {}
            if value in ("number", "children", "bytes"):
                fields["aggregate"] = ("sum", "min", "max", "avg", "sum")[number]
                fields["by"] = []
            if value == "election":
                fields["kind"] = ("persistent", "ephemeral")[number % 2]
            yield Rule(name=f"{value}{number}", match=match, value=value, max_series=3, **fields)
        yield Rule(name=f"single{number}", match=match, value="number", by=[])
        yield Rule(name=f"ephemerals{number}", match=match, value="count", by=[], kind="ephemeral")


RULES = tuple(rules())


class RulesReplica(FedReplica[RulesView]):
    """A replica with a view, which is compared with what a plain walk of the tree gives."""

    def new_view(self) -> RulesView:
        return RulesView(RULES)

    def compare(self) -> None:
        compare(self.view.snapshots(), self.from_scratch())
        self.compare_with_a_plain_count()

    def from_scratch(self) -> Sequence[Snapshot]:
        """What a view says that has seen nothing but the tree as it is."""
        view = self.new_view()
        for path, entry in self.tree.walk():
            record = record_of(entry)
            kind = TreeEvent.NODE_ADDED if record else View.NODE_UNREADABLE
            view.changed([Event(kind, path, record or None)])
        view.complete()
        return view.snapshots()

    def compare_with_a_plain_count(self) -> None:
        """Compares a few rules with sums that need no view."""
        says = {snapshot.rule.name: dict(snapshot.series[0][1]) for snapshot in self.view.snapshots()}
        records = {path: record_of(entry) for path, entry in self.tree.walk() if record_of(entry)}
        first = [record for path, record in records.items() if path.count("/") == 1]
        # Unreadable znodes count as well.
        everything = sum(1 for _ in self.tree.walk())
        assert says["count4"] == {(): everything}
        assert says["exists4"] == {(): bool(everything)}
        assert says["children0"] == ({(): sum(stat_of(record).numChildren for record in first)} if first else {})
        assert says["bytes2"].get((), 0) == max(
            (owner_and_size(record)[1] for path, record in records.items() if path.split("/")[2:3] == ["a"]
             and path.count("/") == 3),
            default=0,
        )  # fmt: skip
        assert says["ephemerals4"] == {
            (): sum(kind_of(owner_and_size(record)[0]) == "ephemeral" for record in records.values())
        }


def compare(incremental: Sequence[Snapshot], expected: Sequence[Snapshot]) -> None:
    """Compares all but what depends on the history: counters, and since when somebody leads."""
    for one, other in zip(incremental, expected, strict=True):
        assert one.unusable == other.unusable, one.rule
        if one.rule.value in ("changes", "child_changes"):
            continue
        if one.rule.value in ("owner", "election"):
            # Former owners stay as counters while there is room; so who is shown is the same only below the limit.
            assert dict(one.series[0][1]) == dict(other.series[0][1]), one.rule
            continue
        assert [dict(series) for _, series in one.series] == [dict(series) for _, series in other.series], one.rule
        assert one.dropped == other.dropped, one.rule


@pytest.mark.long
@pytest.mark.parametrize("first", range(0, 60, 20))
def test_incremental_equals_from_scratch_after_any_schedule(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.harness.Replica", RulesReplica)
    before = RulesReplica.compared
    for seed in range(first, first + 20):
        # The harness does not know that the view has all data kept.
        run_without_poison(seed, keep_data=True)
    assert RulesReplica.compared > before


HEADS = st.sampled_from(["/a", "/b"])
CHILDREN = st.sampled_from([f"n-{number:010d}" for number in range(3)])
PATHS = st.one_of(HEADS, st.builds("{}/{}".format, HEADS, CHILDREN))
DATA = st.sampled_from([b"", b"1", b"2.5", b"no", b'{"a": 1}', b'{"a": "x"}', b"\xff", b"9" * 200])
PUTS = st.tuples(st.just("put"), PATHS, DATA, st.integers(0, 3))
STEPS = st.one_of(
    PUTS,
    PUTS,
    st.tuples(st.sampled_from(["delete", "hide", "show"]), PATHS, st.none(), st.none()),
    st.tuples(st.sampled_from(["incomplete", "complete", "batch"]), st.none(), st.none(), st.none()),
)


def rules_about(match: str, by: Sequence[str] | None) -> Iterator[Rule]:
    """Rules of each value, which may have two series."""
    for value in VALUES:
        key = "/a" if value == "json" or (value == "owner" and by is None) else None
        yield Rule(name=value, match=match, value=value, by=by, key=key, max_series=2)
    for number, aggregate in enumerate(AGGREGATES):
        value = MEASURED[-number]
        key = "/a" if value == "json" else None
        yield Rule(name=aggregate, match=match, value=value, by=by, key=key, aggregate=aggregate, max_series=2)
        yield Rule(name=f"number_{aggregate}", match=match, value="number", by=by, aggregate=aggregate, max_series=2)
    for kind in KINDS:
        yield Rule(name=kind, match=match, value="count", by=by, kind=kind, max_series=2)
    yield Rule(name="labels", match=match, value="info", by=by, labels={"a": "/a"}, max_series=2)


#: By two labels, by one of them, and by none.
ABOUT = st.sampled_from([("/{x}", None), ("/{x}/{y}", None), ("/{x}/{y}", ["x"]), ("/**", [])])


@pytest.mark.long
@given(ABOUT, st.lists(STEPS, min_size=20, max_size=40))
def test_incremental_equals_from_scratch_after_any_history(
    about: tuple[str, Sequence[str] | None], steps: list[tuple[str, Any, Any, Any]]
) -> None:
    tree = Driving(*rules_about(*about))
    tree.view.complete()
    is_complete = True
    with contextlib.ExitStack() as batch:
        for step, path, data, owner in steps:
            if step in ("incomplete", "complete"):
                batch.close()
                if is_complete != (step == "complete"):
                    getattr(tree.view, step)()
                    is_complete = step == "complete"
            elif step == "batch":
                batch.close()
                batch.enter_context(tree.batch())
            elif step == "put":
                put(tree, path, data, owner)
            elif path in tree.nodes:
                take(tree, step, path)
    if not is_complete:
        tree.view.complete()
    assert tree.view.failure is None
    compare(tree.view.snapshots(), tree.from_scratch().snapshots())


def put(tree: Driving, path: str, data: bytes, owner: int) -> None:
    """Creates a znode, or writes it."""
    if path.rpartition("/")[0] not in tree.nodes or path in tree.unreadable:
        return
    if path in tree.nodes:
        tree.set(path, data)
    else:
        tree.create(path, data, owner)


def take(tree: Driving, step: str, path: str) -> None:
    """Deletes a znode with all below it, or makes it unreadable, or readable."""
    if step == "delete":
        for gone in sorted((one for one in tree.nodes if f"{one}/".startswith(f"{path}/")), reverse=True):
            tree.delete(gone)
    elif (step == "show") == (path in tree.unreadable):
        (tree.show if step == "show" else tree.hide)(path)
