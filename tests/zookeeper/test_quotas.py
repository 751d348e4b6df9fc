"""Quotas: what the two znodes of a quota say, as servers of several versions write them."""

from __future__ import annotations

import pytest

from exporter.zookeeper.quotas import Quota, parse


@pytest.mark.parametrize(
    ("limits", "quota"),
    [
        # ZooKeeper 3.6, and 3.9 with a hard limit of znodes.
        (b"count=5,bytes=1000", Quota(2, 9, {"soft": 5}, {"soft": 1000})),
        (b"count=5,bytes=1000=;byteHardLimit=-1;countHardLimit=9", Quota(2, 9, {"soft": 5, "hard": 9}, {"soft": 1000})),
        (b"count=-1,bytes=-1=;byteHardLimit=0;countHardLimit=-1", Quota(2, 9, {}, {"hard": 0})),
        (b"", Quota(2, 9)),
        (b"\xff=;count=", Quota(2, 9)),
    ],
)
def test_limits(limits: bytes, quota: Quota) -> None:
    assert parse(limits, b"count=2,bytes=9") == quota


def test_nothing_is_used_where_nothing_is_said() -> None:
    assert parse(b"count=5,bytes=-1", b"") == Quota(0, 0, {"soft": 5})
