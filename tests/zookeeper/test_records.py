"""A record gives the same values as kazoo's own decoding of the same bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kazoo.protocol.states import ZnodeStat

from exporter.zookeeper import records

LONG = st.integers(-(2**63), 2**63 - 1)
COUNT = st.integers(0, 2**31 - 1)
STATS = st.tuples(LONG, LONG, LONG, LONG, COUNT, COUNT, COUNT, LONG, COUNT, COUNT, LONG)


def record(data: bytes | None, stat: tuple[int, ...]) -> bytes:
    size = -1 if data is None else len(data)
    return struct.pack("!i", size) + (data or b"") + struct.pack("!qqqqiiiqiiq", *stat)


@given(st.none() | st.binary(max_size=200), STATS)
def test_every_field(data: bytes | None, fields: tuple[int, ...]) -> None:
    taken = record(data, fields)
    stat = ZnodeStat(*fields)
    assert records.data_of(taken) == data
    assert records.stat_of(taken) == stat
    assert records.czxid_of(taken) == stat.czxid
    version = (stat.mzxid, stat.pzxid, stat.cversion, stat.aversion)
    assert records.version_of(taken) == version
    assert records.history_of(taken) == ((stat.czxid, stat.ctime), (stat.mzxid, stat.mtime), version)
    assert records.pzxid_of(taken) == stat.pzxid
    assert records.child_count(taken) == stat.numChildren
    assert records.owner_and_size(taken) == (stat.ephemeralOwner, stat.dataLength)


@given(st.none() | st.binary(max_size=200), STATS)
def test_without_data_everything_but_the_data_stays(data: bytes | None, fields: tuple[int, ...]) -> None:
    bare = records.without_data(record(data, fields))
    assert records.data_of(bare) is None
    assert records.stat_of(bare) == ZnodeStat(*fields)
    assert records.without_data(bare) == bare


@pytest.mark.parametrize(
    ("owner", "kind"),
    [
        (0, "persistent"),
        (0x100123456789ABC, "ephemeral"),
        (-(1 << 63), "persistent"),
        (-(0x100000000000000) + 60_000, "persistent"),
        (-(0x100000000000000) + (1 << 40), "ephemeral"),
        (-2, "ephemeral"),
    ],
)
def test_kind_follows_from_the_ephemeral_owner(owner: int, kind: str) -> None:
    assert records.kind_of(owner) == kind
