"""Sums: works on many records at once, since a loop in Python over each costs most of a load.

What follows costs a tenth of a microsecond or so for each znode, by functions that loop in C.
"""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from exporter.zookeeper.paths import MANY
from exporter.zookeeper.records import (
    CHILDREN_FROM_END,
    OWNER_FROM_END,
    OWNER_SIZE_AND_CHILDREN,
    PZXID_SIZE,
    STAT_SIZE,
    child_count,
    kind_of,
    owner_and_size,
    size_and_children,
)


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


def have_children(records: Sequence[bytes]) -> bool:
    """Whether the server counted children of any of these znodes; each record has a stat."""
    number, size = len(records), len(records[0])
    if number < MANY or not _are_equally_long(records):
        return any(sizes(records)[1])
    joined = b"".join(records)
    return any(joined[at::size] != bytes(number) for at in range(size - CHILDREN_FROM_END, size - PZXID_SIZE))


def czxids(records: Sequence[bytes]) -> array[int]:
    """The zxids of the transactions that created the znodes; each record has a stat."""
    return _numbers("q", b"".join([record[-STAT_SIZE : 8 - STAT_SIZE] for record in records]))


def _are_equally_long(records: Sequence[bytes]) -> bool:
    size = len(records[0])
    # The last one tells in most cases.
    return len(records[-1]) == size and set(map(len, records)) == {size}


def _are_alike(records: Sequence[bytes]) -> bool:
    """Whether all have the same length and the same ephemeralOwner, dataLength and numChildren, as most leaves have."""
    first, number, size = records[0], len(records), len(records[0])
    if not _are_equally_long(records):
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
