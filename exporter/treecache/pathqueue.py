"""PathQueue: paths that wait to be read, each once, first come first served; some are postponed until a time.

Most of a tree waits while it is loaded. So all children of a znode may wait as a *family*, of which only the names are
kept.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import accumulate, chain, compress, repeat
from operator import add
from typing import NamedTuple

from exporter.zookeeper.paths import MANY, Paths, Siblings


class Taken(NamedTuple):
    """Paths that no longer wait, those among them that a load waits for, and the bytes that all have together."""

    paths: Paths
    loads: Paths
    size: int


class _Singles:
    """Single paths that wait."""

    __slots__ = ("order",)

    def __init__(self) -> None:
        self.order: deque[str] = deque()

    def __len__(self) -> int:
        return len(self.order)

    @property
    def first(self) -> str:
        """The path to take next."""
        return self.order[0]

    def pop(self) -> str:
        """Takes the first path."""
        return self.order.popleft()

    def take(self, count: int, size: int, overhead: int) -> tuple[Siblings, int]:
        """The first paths, up to `count` of them, and their bytes with `overhead` each, at most `size`."""
        order = self.order
        paths = [order.popleft() for _ in range(min(count, len(order)))]
        fitting, spent = _fitting(paths, size, overhead)
        order.extendleft(reversed(paths[fitting:]))
        return Siblings("", paths[:fitting]), spent


class Family:
    """Children of one znode that wait, the first one at the position `at` of their names.

    Args:
        stem: the znode's path and a slash; empty if the names are whole paths.
        names: the names of all.
    """

    __slots__ = ("_positions", "at", "names", "stem")

    def __init__(self, stem: str, names: Sequence[str]) -> None:
        self.stem = stem
        self.names = names
        self.at = 0
        self._positions: dict[str, int] | None = None

    def __len__(self) -> int:
        return len(self.names) - self.at

    def __contains__(self, name: str) -> bool:
        if self._positions is None:
            # Few are asked.
            self._positions = {name: position for position, name in enumerate(self.names)}
        return self._positions.get(name, -1) >= self.at

    @property
    def first(self) -> str:
        """The path to take next."""
        return self.stem + self.names[self.at]

    def paths(self) -> Iterator[str]:
        """All paths that wait."""
        return map(self.stem.__add__, self.names[self.at :])

    def pop(self) -> str:
        """Takes the first path."""
        self.at += 1
        return self.stem + self.names[self.at - 1]

    def take(self, count: int, size: int, overhead: int) -> tuple[Siblings, int]:
        """The first paths, up to `count` of them, and their bytes with `overhead` each, at most `size`."""
        names = self.names[self.at : self.at + count]
        fitting, spent = _fitting(names, size, overhead + byte_lengths((self.stem,))[0])
        self.at += fitting
        return Siblings(self.stem, names[:fitting]), spent


def take_some(part: _Singles | Family, count: int, size: int, overhead: int, *, alone: bool) -> tuple[Siblings, int]:
    """Takes the first paths as `take` does, but also a longer one if it goes `alone`."""
    taken, spent = part.take(count, size, overhead)
    return part.take(1, sys.maxsize, overhead) if alone and not taken.names else (taken, spent)


class PathQueue:
    """A queue of distinct paths, each marked if a load (not just a refresh) waits for it.

    Its length counts the paths that may be taken now; postponed paths cannot be taken before they are due.

    Args:
        many: fewer children than these wait as single paths, which costs less.
    """

    def __init__(self, many: int = MANY) -> None:
        self._many = many
        self._order: deque[_Singles | Family] = deque()
        #: Whether a load waits for each single path, the postponed ones included. One waits for every family.
        self._load: dict[str, bool] = {}
        self._families: dict[str, Family] = {}
        #: The postponed paths, and when each is due: a heap.
        self.later: list[tuple[float, str]] = []
        #: How many paths may be taken now: the total of the parts of `_order`, of which there may be very many.
        self.waiting = 0

    def __len__(self) -> int:
        return self.waiting

    def __contains__(self, path: str) -> bool:
        return path in self._load or self._is_of_a_family(path)

    def __iter__(self) -> Iterator[str]:
        return chain(self._load, *(family.paths() for family in self._families.values()))

    def push(self, paths: Iterable[str], load: bool) -> int:
        """Adds paths, or marks paths that wait already. Returns for how many of them a load newly waits."""
        loads = self._load
        fresh = dict.fromkeys(paths, load)
        if self._families:
            fresh = {path: load for path in fresh if not self._is_of_a_family(path)}
        if loads.keys().isdisjoint(fresh):
            self._append(fresh)
            loads.update(fresh)
            return load * len(fresh)
        became = 0
        for path in fresh:
            waiting = loads.get(path)
            if waiting is None:
                self._append((path,))
            elif waiting or not load:
                continue
            loads[path] = load
            became += load
        return became

    def push_children(self, head: str, names: Sequence[str]) -> int:
        """Adds all children of the znode at the path `head`, for a load. Returns for how many it newly waits."""
        stem = f"{head}/"
        wait = self._load and not self._load.keys().isdisjoint(map(stem.__add__, names))
        if wait or len(names) < self._many or stem in self._families or len(set(names)) < len(names):
            return self.push(map(stem.__add__, names), True)
        self._families[stem] = family = Family(stem, names)
        self._order.append(family)
        self.waiting += len(family)
        return len(family)

    def put_off(self, path: str, load: bool, due_at: float) -> int:
        """Adds or marks one path, like `push`, but postpones it until `due_at` unless it may be taken already."""
        if path not in self:
            heappush(self.later, (due_at, path))
            self._load[path] = load
            return int(load)
        return self.push((path,), load)

    @property
    def due_at(self) -> float | None:
        """When the first of the postponed paths may be taken, or None."""
        return self.later[0][0] if self.later else None

    def ripen(self, now: float) -> None:
        """Releases the postponed paths that are due by now."""
        while self.later and self.later[0][0] <= now:
            self._append((heappop(self.later)[1],))

    def first(self) -> str:
        """The path that came first."""
        return self._order[0].first

    def pop(self) -> tuple[str, bool]:
        """Takes the path that came first, and whether a load waits for it."""
        part = self._order[0]
        path = part.pop()
        load = isinstance(part, Family) or self._load.pop(path)
        self.waiting -= 1
        if not part:
            self._drop_first()
        return path, load

    def pop_some(self, count: int, size: int, overhead: int = 0) -> Taken:
        """Takes up to `count` paths of at most `size` bytes in all, or a single longer one.

        Each path counts `overhead` bytes in addition to its length.
        """
        paths, marked, left = Paths(), Paths(), size
        while self._order and len(paths) < count:
            part = self._order[0]
            taken, spent = take_some(part, count - len(paths), left, overhead, alone=not paths)
            if not taken.names:
                break
            left -= spent
            paths.add(taken)
            marked.add(taken if isinstance(part, Family) else self._unmark(taken))
            if not part:
                self._drop_first()
        self.waiting -= len(paths)
        return Taken(paths, marked, size - left - overhead * len(paths))

    def _unmark(self, taken: Siblings) -> Siblings:
        """Forgets single paths; returns those that a load waits for."""
        marks = [self._load.pop(path) for path in taken.names]
        return taken if all(marks) else Siblings("", list(compress(taken.names, marks)))

    def mark_all(self) -> int:
        """Marks every path as one that a load waits for; returns their number."""
        self._load = dict.fromkeys(self._load, True)
        return len(self._load) + sum(map(len, self._families.values()))

    def _append(self, paths: Collection[str]) -> None:
        """Adds single paths at the end."""
        if not paths:
            return
        last = self._order[-1] if self._order else None
        if not isinstance(last, _Singles):
            self._order.append(last := _Singles())
        last.order.extend(paths)
        self.waiting += len(paths)

    def _drop_first(self) -> None:
        """Drops the first part, of which everything was taken."""
        part = self._order.popleft()
        if isinstance(part, Family):
            del self._families[part.stem]

    def _is_of_a_family(self, path: str) -> bool:
        """Whether a path waits among all children of a znode."""
        if not self._families or not path:
            return False
        cut = path.rindex("/") + 1
        family = self._families.get(path[:cut])
        return family is not None and path[cut:] in family


def _fitting(texts: Sequence[str], size: int, overhead: int) -> tuple[int, int]:
    """How many of the first texts, each with `overhead` more bytes, fit into `size` bytes, and how many they take."""
    lengths = byte_lengths(texts)
    if len(set(lengths)) == 1:
        each = lengths[0] + overhead
        fitting = min(len(texts), max(0, size) // each) if each else len(texts)
        return fitting, fitting * each
    ends = list(accumulate(map(add, lengths, repeat(overhead))))
    fitting = bisect_right(ends, size)
    return fitting, ends[fitting - 1] if fitting else 0


def byte_lengths(paths: Sequence[str]) -> list[int]:
    """The length of each path on the wire, in bytes."""
    if "".join(paths).isascii():
        return list(map(len, paths))
    return [len(path.encode()) for path in paths]
