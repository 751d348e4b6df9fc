"""A path belongs to one shard, and to another one only when it must."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.treecache import Shard

PATHS = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1).map(lambda name: f"/services/{name}")


def owners(path: str, total: int) -> list[int]:
    return [ordinal for ordinal in range(total) if Shard(ordinal, total).owns(path)]


@given(PATHS, st.integers(1, 20))
def test_each_path_has_one_owner(path: str, total: int) -> None:
    assert len(owners(path, total)) == 1


@given(PATHS, st.integers(1, 20))
def test_a_new_shard_takes_paths_and_moves_none_between_others(path: str, total: int) -> None:
    assert owners(path, total + 1) in (owners(path, total), [total])


def test_shards_are_about_equal_and_a_fifth_shard_takes_a_fifth() -> None:
    paths = [f"/services/{number}" for number in range(10_000)]
    before, after = ({path: owners(path, total)[0] for path in paths} for total in (4, 5))
    assert all(2_300 < count < 2_700 for count in Counter(before.values()).values())
    assert 1_800 < sum(before[path] != after[path] for path in paths) < 2_200


def test_owners_are_the_same_in_every_release() -> None:
    assert [owners(f"/services/{name}", 5) for name in ("orders", "users", "kafka", "zookeeper")] == [
        [0],
        [1],
        [0],
        [3],
    ]


@pytest.mark.parametrize(("ordinal", "total"), [(-1, 2), (2, 2), (0, 0)])
def test_a_shard_that_does_not_exist_is_refused(ordinal: int, total: int) -> None:
    with pytest.raises(ValueError, match=f"ordinal {ordinal} of {total} shards: must be "):
        Shard(ordinal, total)
