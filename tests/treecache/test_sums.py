"""Results computed for many records together equal the results computed for each."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.treecache.sums import czxids, have_children, sums
from exporter.zookeeper.paths import MANY
from exporter.zookeeper.records import child_count, czxid_of, kind_of, owner_and_size
from tests.simulation.znodes import Znode


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
    assert not records or have_children(records) == bool(found.parents)


@given(
    st.lists(st.builds(Znode, st.binary(max_size=3), st.integers(-(1 << 63), (1 << 63) - 1), st.just(1), st.just(1)))
)
def test_czxids(znodes: list[Znode]) -> None:
    records = [znode.record for znode in znodes]
    assert list(czxids(records)) == list(map(czxid_of, records))
