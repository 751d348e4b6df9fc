"""Each value of a rule means what its description says, change by change."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.views.rules.driving import EPOCH, driving

OWNER = 0x1000_0000_0001


def test_znodes_are_counted_by_their_labels() -> None:
    tree = driving("/services/{service}/instances/{id}", "count", by=["service"], kind="ephemeral")
    for path in ("/services", "/services/web", "/services/web/instances", "/services/db", "/services/db/instances"):
        tree.create(path)
    tree.create_all("/services/web/instances", ["1", "2", "3"], owner=OWNER)
    tree.create_all("/services/db/instances", ["1"], owner=OWNER)
    tree.create("/services/web/instances/persistent")
    assert tree.series == {("web",): 3, ("db",): 1}
    tree.delete("/services/web/instances/2")
    tree.delete("/services/db/instances/1")
    assert tree.series == {("web",): 2}


def test_a_count_without_labels_has_its_zero() -> None:
    tree = driving("/tasks/*", "count")
    assert tree.series == {(): 0}
    tree.create("/tasks")
    tree.create_all("/tasks", ["1", "2"])
    assert tree.series == {(): 2}
    assert driving("/tasks/{task}", "count").series == {}
    assert driving("/tasks/{task}", "count", by=[]).series == {(): 0}


def test_what_exists_is_1_and_a_fixed_path_has_its_0() -> None:
    tree = driving("/maintenance", "exists")
    assert tree.series == {(): 0}
    tree.create("/maintenance")
    assert tree.series == {(): 1}
    tree.delete("/maintenance")
    assert tree.series == {(): 0}
    several = driving("/{a}/{b}", "exists", by=["a"])
    several.create_all("/x", ["1", "2"])
    assert several.series == {("x",): 1}


def test_the_numbers_of_a_stat() -> None:
    values = {value: driving("/a", value) for value in ("children", "bytes", "version", "created", "modified")}
    for tree in values.values():
        tree.create("/a", b"12345")
        tree.create("/a/b")
        tree.set("/a", b"123")
    assert {value: tree.series[()] for value, tree in values.items()} == {
        "children": 1,
        "bytes": 3,
        "version": 1,
        "created": EPOCH / 1000 + 2,
        "modified": EPOCH / 1000 + 4,
    }


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"12", 12),
        (b" -1.5e3\n", -1500),
        (b".5", 0.5),
        (b"7.", 7),
        (b"", "not_a_number"),
        (b"nan", "not_a_number"),
        (b"inf", "not_a_number"),
        (b"1e999", "not_a_number"),
        (b"1_000", "not_a_number"),
        (b"0x10", "not_a_number"),
        ("٣".encode(), "not_a_number"),
        (b"\xff", "not_a_number"),
        (b"1" * 129, "too_large"),
    ],
)
def test_a_number_is_decimal_text(data: bytes, expected: float | str) -> None:
    tree = driving("/a", "number")
    tree.create("/a", data)
    assert_reads(tree, expected)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a": {"b": [1, 2]}}', 2),
        (b'{"a": {"b": [1, true]}}', 1),
        (b'{"a": {"b": [1, -2.5]}}', -2.5),
        (b'{"a": {"b": [1, "2"]}}', "not_a_number"),
        (b'{"a": {"b": [1, null]}}', "not_a_number"),
        (b'{"a": {"b": [1, 1e999]}}', "not_a_number"),
        (b'{"a": {"b": [1, 1' + 400 * b"0" + b"]}}", "not_a_number"),
        (b'{"a": {"b": [1]}}', "no_key"),
        (b"[]", "no_key"),
        (b"{", "not_json"),
        (b"", "not_json"),
        (b"\xff", "not_json"),
        (b'{"a": NaN}', "not_json"),
        (b"[" * 60_000, "not_json"),
        (b'"' + 65_535 * b"x" + b'"', "too_large"),
    ],
)
def test_a_json_number_is_at_its_key(data: bytes, expected: float | str) -> None:
    tree = driving("/a", "json", key="/a/b/1")
    tree.create("/a", data)
    assert_reads(tree, expected)


def assert_reads(tree: Any, expected: float | str) -> None:
    """Asserts the number, or why there is none; and that the znode then is forgotten when it becomes usable."""
    if not isinstance(expected, str):
        assert (tree.series, tree.unusable) == ({(): expected}, {})
        return
    assert (tree.series, tree.unusable) == ({}, {expected: 1})
    assert tree.snapshot.named == {expected: ("/a",)}
    tree.set("/a", b'{"a": {"b": [1, 7]}}' if tree.snapshot.rule.key else b"7")
    assert (tree.series, tree.unusable, tree.snapshot.named) == ({(): 7}, {}, {})
    tree.set("/a", b"no")
    tree.delete("/a")
    assert (tree.series, tree.unusable, tree.snapshot.named) == ({}, {}, {})


def test_several_znodes_of_one_series_are_unusable() -> None:
    tree = driving("/{a}/{b}", "number", by=["a"])
    tree.create_all("/x", ["1", "2", "3"], b"5")
    tree.create_all("/y", ["1"], b"5")
    assert (tree.series, tree.unusable) == ({("y",): 5}, {"duplicate": 3})
    assert tree.snapshot.named == {"duplicate": ("/x/1", "/x/2", "/x/3")}
    tree.set("/x/1", b"7")
    tree.delete("/x/2")
    tree.set("/x/3", b"no number")
    assert (tree.series, tree.unusable) == ({("x",): 7, ("y",): 5}, {"not_a_number": 1})


@pytest.mark.parametrize(("aggregate", "expected"), [("sum", 0.6), ("min", 0.1), ("max", 0.3), ("avg", 0.2)])
def test_several_znodes_of_one_series_are_aggregated(aggregate: str, expected: float) -> None:
    tree = driving("/x/{b}", "number", by=[], aggregate=aggregate)
    tree.create_all("/x", ["huge"], b"1e300")
    tree.create_all("/x", ["1", "2", "3"], b"0.1")
    tree.set("/x/2", b"0.2")
    tree.set("/x/3", b"0.3")
    tree.delete("/x/huge")
    assert math.isclose(tree.series[()], expected), "nothing of what went is left"
    for name in "123":
        tree.delete(f"/x/{name}")
    assert tree.series == {}


def test_writes_that_came_together_are_all_counted_and_a_deleted_znode_takes_nothing_away() -> None:
    tree = driving("/{a}", "changes", complete=False, by=[])
    tree.create("/a", version=7)
    tree.set("/a", b"1")
    tree.view.complete()
    assert tree.series == {(): 0}
    tree.set("/a", b"2", writes=3)
    assert tree.series == {(): 3}
    tree.delete("/a")
    assert tree.series == {(): 3}
    tree.create("/a", version=2)
    assert tree.series == {(): 5}, "it was created again, and written twice before it was read"
    tree.nodes["/a"].version = 10
    tree.nodes["/a"].changed()
    tree.set("/a", b"restored", writes=-10)
    assert tree.series == {(): 5}


def test_what_was_unreadable_is_compared_with_what_it_was() -> None:
    tree = driving("/{a}", "changes", complete=False)
    tree.create("/a", version=7)
    tree.create("/b", version=7)
    tree.hide("/b")
    tree.view.complete()
    tree.hide("/a")
    assert tree.unusable == {"unreadable": 2}
    assert tree.snapshot.named == {"unreadable": ("/b", "/a")}
    tree.nodes["/a"].version = 9
    tree.nodes["/a"].changed()
    tree.show("/a")
    tree.show("/b")
    assert (tree.series, tree.unusable) == ({("a",): 2, ("b",): 0}, {})


def test_children_that_came_and_went_are_counted() -> None:
    tree = driving("/queue", "child_changes")
    tree.create("/queue")
    tree.create("/queue/1")
    tree.create("/queue/2")
    tree.delete("/queue/1")
    assert tree.series == {(): 3}


def test_info_has_labels_of_text_or_json() -> None:
    tree = driving("/ids/{id}", "info")
    tree.create("/ids/1", b"  alive\n")
    tree.create("/ids/2", "é".encode() * 100)
    assert tree.series == {("1", "alive"): 1, ("2", "é" * 64): 1}, "in 128 bytes at most"
    tree.set("/ids/1", b"\xff")
    assert tree.series == {("1", "�"): 1, ("2", "é" * 64): 1}
    document = driving("/ids/{id}", "info", labels={"host": "/host", "tags": "/tags"})
    document.create("/ids/1", b'{"host": "h", "tags": ["a", "\xc3\xa9"]}')
    document.create("/ids/2", b'{"host": "h"}')
    document.create("/ids/3", b"h")
    assert document.series == {("1", "h", '["a", "é"]'): 1}
    assert document.unusable == {"no_key": 1, "not_json": 1}


def test_a_capture_is_cut_to_128_bytes() -> None:
    tree = driving("/{a}", "count")
    tree.create("/" + "é" * 100)
    assert tree.series == {("é" * 64,): 1}


def test_the_series_of_the_oldest_znodes_stay() -> None:
    tree = driving("/{a}", "number", max_series=100)
    tree.create_all("", [str(number) for number in range(10_000)], b"1")
    assert len(tree.series) == 100
    assert set(tree.series) == {(str(number),) for number in range(100)}
    assert tree.snapshot.dropped == 9_900
    tree.delete("/7")
    assert ("100",) in tree.series
    assert tree.snapshot.dropped == 9_899
    counted = driving("/{a}/{b}", "count", by=["a"], max_series=1)
    counted.create_all("/old", ["1", "2"])
    counted.create_all("/new", ["1"])
    assert (counted.series, counted.snapshot.dropped) == ({("old",): 2}, 1)
    counted.delete("/old/1")
    assert counted.series == {("old",): 1}, "its oldest znode is still older"


def test_data_is_read_only_where_a_value_needs_it() -> None:
    needless = driving("/a/{b}", "bytes").view
    assert not needless.reads_anything
    assert not needless.reads("/a/x")
    view = driving("/a/{b}", "number").view
    assert view.reads_anything
    assert view.reads("/a/x")
    assert not view.reads("/a")
    assert view.reads_below("/a")
    assert not view.reads_below("/b")
    election = driving("/e/{name}", "election").view
    assert election.reads("/e/x/lock-0000000001")
    assert not election.reads("/e/x")


# Many at once, and what is odd


@pytest.mark.parametrize("by", [None, ()])
@pytest.mark.parametrize("kind", [None, "ephemeral", "persistent"])
def test_many_siblings_count_as_one_by_one_do(by: tuple[str, ...] | None, kind: str | None) -> None:
    """Of as many as are counted together, all are of one kind."""
    for owner in (0, 7):
        tree = driving("/{directory}/*", "count", by=by, kind=kind)
        tree.create("/a")
        tree.create_all("/a", [f"n{number}" for number in range(40)], owner=owner)
        number = 40 if kind is None or (kind == "ephemeral") == bool(owner) else 0
        series = {("a",) if by is None else (): number}
        assert tree.series == (series if number or by is not None else {})
        for name in range(20):
            tree.delete(f"/a/n{name}")
        assert sum(tree.series.values()) == number // 2


def test_json_of_any_depth_costs_no_more_than_its_znode() -> None:
    tree = driving("/{x}", "info", labels={"l": ""})
    for depth in (*range(900, 1100, 7), 30_000):
        tree.create(f"/z{depth}", b"[" * depth + b"]" * depth)
    assert tree.view.failure is None
    assert sum(tree.unusable.values()) + len(tree.series) == 30


def test_an_unreadable_znode_exists() -> None:
    tree = driving("/a", "exists")
    tree.create("/a")
    tree.hide("/a")
    assert tree.series == {(): 1}
    assert tree.unusable == {}
    tree.delete("/a")
    assert tree.series == {(): 0}
    counted = driving("/{x}", "count")
    counted.create("/a")
    counted.hide("/a")
    assert counted.series == {("a",): 1}
    counted.show("/a")
    assert counted.series == {("a",): 1}
    counted.delete("/a")
    assert counted.series == {}


def test_a_znode_beside_an_unreadable_one_of_its_series_stays_a_duplicate() -> None:
    tree = driving("/{x}/*", "number")
    tree.create("/a")
    tree.create("/a/1", b"1")
    tree.create("/a/2", b"2")
    assert (tree.series, tree.unusable) == ({}, {"duplicate": 2})
    tree.hide("/a/2")
    assert (tree.series, tree.unusable) == ({}, {"duplicate": 1, "unreadable": 1})
    tree.delete("/a/2")
    assert (tree.series, tree.unusable) == ({("a",): 1}, {})
    tree.create("/a/2", b"2")
    tree.hide("/a/1")
    tree.hide("/a/2")
    assert (tree.series, tree.unusable) == ({}, {"unreadable": 2})
    tree.show("/a/1")
    assert (tree.series, tree.unusable) == ({}, {"duplicate": 1, "unreadable": 1})
    tree.show("/a/2")
    tree.delete("/a/1")
    assert (tree.series, tree.unusable) == ({("a",): 2}, {})
