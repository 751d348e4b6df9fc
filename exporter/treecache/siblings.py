"""Siblings: works on many children of one znode at once, since a loop in Python over each costs most of a load.

What follows costs a tenth of a microsecond or so for each znode, by functions that loop in C.
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple, TypeAlias

from exporter.zookeeper.records import (
    OWNER_FROM_END,
    OWNER_SIZE_AND_CHILDREN,
    STAT_SIZE,
    child_count,
    kind_of,
    owner_and_size,
    size_and_children,
)

#: For fewer siblings than these, a loop costs less.
MANY = 16


def siblings(paths: Sequence[str], start: int, stem: str) -> list[str]:
    """The names of the children of one znode whose paths follow each other from `start` on.

    `stem` is the znode's path and a slash; the first path begins with it.
    """
    cut, step, names = len(stem), MANY, list[str]()
    # Chunks double, so that in any order the paths looked at in vain are a few times the children found at most.
    while chunk := paths[start + len(names) : start + len(names) + step]:
        in_chunk = [path[cut:] for path in chunk]
        # A text between two others that begin with the stem begins with it as well.
        are_below = min(chunk).startswith(stem) and max(chunk).startswith(stem)
        if not are_below or "/" in "".join(in_chunk):
            return names + in_chunk[: sum(1 for _ in takewhile(_is_child_of(stem), chunk))]
        names += in_chunk
        step *= 2
    return names


def _is_child_of(stem: str) -> Callable[[str], bool]:
    cut = len(stem)
    return lambda path: path.startswith(stem) and "/" not in path[cut:]


class Sums(NamedTuple):
    """The totals of records: their number by kind of znode, their bytes of data, and the positions of parents."""

    kinds: Mapping[str, int]
    data_bytes: int
    parents: list[int]


def sums(records: Sequence[bytes]) -> Sums:
    """The totals of these records; each has a stat."""
    if len(records) < MANY:
        parts = [OWNER_SIZE_AND_CHILDREN.unpack_from(record, -OWNER_FROM_END) for record in records]
        few = Counter(kind_of(owner) for owner, _, _ in parts)
        return Sums(few, sum(size for _, size, _ in parts), [at for at, (_, _, count) in enumerate(parts) if count])
    if _are_alike(records):
        (owner, size), has_children = owner_and_size(records[0]), child_count(records[0]) > 0
        parents = list(range(len(records))) if has_children else []
        return Sums({kind_of(owner): len(records)}, len(records) * size, parents)
    numbers, step, at = _fields(records)
    owned, counts = any(numbers[at::step]) or any(numbers[at + 1 :: step]), numbers[at + 3 :: step]
    kinds = Counter(kind_of(owner_and_size(record)[0]) for record in records) if owned else {kind_of(0): len(records)}
    parents = [position for position, count in enumerate(counts) if count] if any(counts) else []
    return Sums(kinds, sum(numbers[at + 2 :: step]), parents)


#: Whole numbers that can be cut and compared at once.
Numbers: TypeAlias = "list[int] | array[int]"


def sizes(records: Sequence[bytes]) -> tuple[Numbers, Numbers]:
    """The lengths of the records' data in bytes, and their numbers of children; each has a stat."""
    if len(records) < MANY:
        pairs = list(map(size_and_children, records))
        return [size for size, _ in pairs], [count for _, count in pairs]
    numbers, step, at = _fields(records)
    return numbers[at + 2 :: step], numbers[at + 3 :: step]


def czxids(records: Sequence[bytes]) -> array[int]:
    """The zxids of the transactions that created the znodes; each record has a stat."""
    return _numbers("q", b"".join([record[-STAT_SIZE : 8 - STAT_SIZE] for record in records]))


def _are_alike(records: Sequence[bytes]) -> bool:
    """Whether all have the same length and the same ephemeralOwner, dataLength and numChildren, as most leaves have."""
    first, number, size = records[0], len(records), len(records[0])
    if len(records[-1]) != size or set(map(len, records)) != {size}:
        return False
    joined = b"".join(records)
    fields = range(size - OWNER_FROM_END, size - OWNER_FROM_END + OWNER_SIZE_AND_CHILDREN.size)
    return all(joined[at::size] == first[at : at + 1] * number for at in fields)


def _fields(records: Sequence[bytes]) -> tuple[array[int], int, int]:
    """The ephemeralOwner, dataLength and numChildren of records, which stand together, as numbers of four bytes.

    Those of the first record begin at the returned position, those of each next one a step further; the first two
    numbers of each are its owner.
    """
    if len(records[0]) == len(records[-1]) == STAT_SIZE and len(stats := b"".join(records)) == len(records) * STAT_SIZE:
        # Without data, which spares cutting each.
        fields, step, at = stats, STAT_SIZE // 4, (STAT_SIZE - OWNER_FROM_END) // 4
    else:
        fields = b"".join([record[-OWNER_FROM_END : 16 - OWNER_FROM_END] for record in records])
        step, at = 4, 0
    return _numbers("i", fields), step, at


def _numbers(kind: str, jute: bytes) -> array[int]:
    """The numbers that stand in bytes one after another, of a kind of `array`. All of jute is big-endian."""
    numbers = array(kind, jute)
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers
