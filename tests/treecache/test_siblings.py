"""Results computed for many siblings together equal the results computed for each."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.treecache.siblings import MANY, czxids, siblings, sums
from exporter.zookeeper.records import child_count, czxid_of, kind_of, owner_and_size
from tests.simulation.znodes import Znode

NAMES = [f"{number:04}" for number in range(5 * MANY)]


@pytest.mark.parametrize("head", ["", "/a", "/\u00e4/b"])
@pytest.mark.parametrize("count", [1, 2, MANY - 1, MANY, MANY + 1, 5 * MANY])
@pytest.mark.parametrize("after", [[], ["/z"], ["/a/b/c"] * MANY, ["/b/0"]])
def test_all_children_of_one_znode_are_found(head: str, count: int, after: list[str]) -> None:
    before = ["/somewhere/else"] * 3
    paths = [*before, *(f"{head}/{name}" for name in NAMES[:count]), *after]
    found = siblings(paths, 3, head + "/")
    more = [path[1:] for path in after if not head and "/" not in path[1:]]
    assert found == NAMES[:count] + more


@given(st.lists(st.sampled_from(["/a/x", "/a/y", "/a/x/z", "/b/x", "/a"]), min_size=1, max_size=4 * MANY))
def test_what_is_found_in_any_order_are_children(paths: list[str]) -> None:
    for start, path in enumerate(paths):
        head, _, name = path.rpartition("/")
        found = siblings(paths, start, head + "/")
        assert found[0] == name
        end = start + len(found)
        assert [f"{head}/{one}" for one in found] == paths[start:end]
        assert not any("/" in one for one in found)
        assert end == len(paths) or paths[end].rpartition("/")[0] != head


@given(
    st.lists(
        st.builds(
            lambda data, owner, children: Znode(data, 1, 1, 1, owner, children=set(map(str, range(children)))).record,
            st.binary(max_size=3),
            st.sampled_from([0, 0, 0, 7, 1 << 40, -(1 << 63)]),
            st.sampled_from([0, 0, 0, 2]),
        ),
        max_size=4 * MANY,
    )
)
def test_sums(records: list[bytes]) -> None:
    check_sums(records)


@pytest.mark.parametrize("owner", [0, 7, 1 << 40, -(1 << 63)])
@pytest.mark.parametrize("children", [0, 2])
@pytest.mark.parametrize("odd", [{}, {"owner": 9}, {"children": {"a"}}, {"data": b"more"}, {"data": b"elf"}])
def test_sums_of_equal_records(owner: int, children: int, odd: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"data": b"one", "owner": owner, "children": set(map(str, range(children)))}
    for at in (0, MANY, 2 * MANY):
        records = [record_of(**usual)] * (2 * MANY + 1)
        records[at] = record_of(**(usual | odd))
        check_sums(records)


def record_of(data: bytes, owner: int, children: set[str]) -> bytes:
    return Znode(data, 1, 1, 1, owner, children=children).record


def check_sums(records: list[bytes]) -> None:
    found = sums(records)
    assert dict(found.kinds) == dict(Counter(kind_of(owner_and_size(record)[0]) for record in records)) or not records
    assert found.data_bytes == sum(owner_and_size(record)[1] for record in records)
    assert found.parents == [at for at, record in enumerate(records) if child_count(record)]


@given(
    st.lists(st.builds(Znode, st.binary(max_size=3), st.integers(-(1 << 63), (1 << 63) - 1), st.just(1), st.just(1)))
)
def test_czxids(znodes: list[Znode]) -> None:
    records = [znode.record for znode in znodes]
    assert list(czxids(records)) == list(map(czxid_of, records))


class Counting(list[str]):
    """Counts the paths that are looked at."""

    looked_at = 0

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        self.looked_at += len(found) if isinstance(key, slice) else 1
        return found


@pytest.mark.parametrize("heads", [1, 2, 3, 15, 100, 512])
@pytest.mark.parametrize("is_sorted", [True, False])
def test_in_any_order_what_is_looked_at_is_a_few_times_what_is_there(heads: int, is_sorted: bool) -> None:
    paths = [f"/{number % heads:04}" for number in range(heads)]
    paths += [f"/{number % heads:04}/{number:04}" for number in range(1024)]
    counting = Counting(sorted(paths) if is_sorted else paths)
    start = 0
    while start < len(paths):
        path = list.__getitem__(counting, start)
        start += len(siblings(counting, start, path[: path.rindex("/") + 1]))
    assert counting.looked_at <= 2 * (MANY + 1) * len(paths)
