"""Siblings: works on many children of one znode at once, since a loop in Python over each costs most of a load.

What follows costs a tenth of a microsecond or so for each znode, by functions that loop in C.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

from exporter.zookeeper.records import OWNER_FROM_END, kind_of, owner_and_size

#: For fewer siblings than these, a loop costs less.
MANY = 16


def siblings(paths: Sequence[str], start: int, stem: str) -> list[str]:
    """The names of children of one znode that paths have from `start` on; `stem` is the znode's path and a slash.

    There may be more of them; of paths that are not in the order of a list, it may find the first alone.
    """
    cut, last = len(stem), start + MANY - 1
    if last >= len(paths) or not paths[last].startswith(stem):
        end = start + 1
        while end < len(paths) and paths[end].startswith(stem) and "/" not in paths[end][cut:]:
            end += 1
        return [path[cut:] for path in paths[start:end]]
    end = bisect_left(range(len(paths)), True, last, key=lambda number: not paths[number].startswith(stem))
    run = paths[start:end]
    names = [path[cut:] for path in run]
    # A text between two others that begin with the stem begins with it as well.
    are_below = min(run).startswith(stem) and max(run).startswith(stem)
    return names if are_below and "/" not in "".join(names) else names[:1]


def first_obstacle(names: Sequence[str], records: Sequence[object], held: Container[str]) -> int:
    """The position of the first name that is among those held or comes twice, or whose record is none."""
    seen = set[str]()
    for position, (name, record) in enumerate(zip(names, records, strict=True)):
        if name in held or name in seen or not isinstance(record, bytes):
            return position
        seen.add(name)
    return len(names)


class Sums(NamedTuple):
    """What records add up to: their number by kind of znode, their bytes of data, and the positions of parents."""

    kinds: Mapping[str, int]
    data_bytes: int
    parents: list[int]


def sums(records: Sequence[bytes]) -> Sums:
    """What these records add up to; each has a stat."""
    # The ephemeralOwner, dataLength and numChildren stand together: as four numbers, the first two are the owner.
    numbers = array("i", b"".join([record[-OWNER_FROM_END : 16 - OWNER_FROM_END] for record in records]))
    if sys.byteorder == "little":
        numbers.byteswap()
    owned, counts = any(numbers[0::4]) or any(numbers[1::4]), numbers[3::4]
    kinds = Counter(kind_of(owner_and_size(record)[0]) for record in records) if owned else {kind_of(0): len(records)}
    return Sums(kinds, sum(numbers[2::4]), [at for at, count in enumerate(counts) if count] if any(counts) else [])
