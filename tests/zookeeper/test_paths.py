"""Paths: any paths as runs of siblings, and the same sequence as a list of them would be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.zookeeper.paths import MANY, Paths, Siblings, byte_length, runs_of, siblings

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


PARTS = st.lists(
    st.builds(
        Siblings,
        st.sampled_from(["/", "/a/", "/\u00e4/b/"]),
        st.lists(st.sampled_from(["x", "yy", "\u00e4"]), max_size=5),
    )
    | st.builds(Siblings, st.just(""), st.lists(st.sampled_from(["", "/a", "/a/x", "/a/yy", "/b/x"]), max_size=5)),
    max_size=5,
)


@given(PARTS, st.slices(12), st.integers(-12, 12))
def test_paths_are_a_sequence_as_a_list_of_them_is(parts: list[Siblings], cut: slice, index: int) -> None:
    paths, plain = Paths(parts), [stem + name for stem, names in parts for name in names]
    assert list(paths) == plain
    assert len(paths) == len(plain)
    assert list(paths[cut]) == plain[cut]
    if -len(plain) <= index < len(plain):
        assert paths[index] == plain[index]
    else:
        with pytest.raises(IndexError):
            paths[index]
    assert all(path in paths for path in plain)
    assert [path in paths for path in ("/a/x", "/none")] == [path in plain for path in ("/a/x", "/none")]
    assert byte_length(paths) == byte_length(plain) == len("".join(plain).encode())
    more = Paths(parts)
    more += paths
    assert list(more) == plain + plain
    assert list(Paths.of(plain)) == plain


@given(PARTS)
def test_runs_are_of_siblings_and_all_paths_in_order(parts: list[Siblings]) -> None:
    paths = Paths(parts)
    for some in (paths, list(paths)):
        runs = list(runs_of(some))
        assert [path for run in runs for path in run.paths()] == list(paths)
        for stem, names in runs:
            assert stem.endswith("/") or names == [""]
            assert names
            assert not any("/" in name for name in names)
