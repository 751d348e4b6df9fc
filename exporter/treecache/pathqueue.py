"""PathQueue: paths that wait to be read, each once; some are postponed until a time.

Single paths are served first, first come first served; then the children of whole znodes, of which only the names are
kept, since most of a tree waits like that while it is loaded.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import accumulate, chain, compress, repeat
from operator import add

from exporter.treecache.siblings import MANY


class Children:
    """Children of one znode that wait, the first one at the position `at` of their names.

    Args:
        stem: the znode's path and a slash.
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

    def __iter__(self) -> Iterator[str]:
        return map(self.stem.__add__, self.names[self.at :])

    def take(self, count: int, size: int, overhead: int) -> tuple[list[str], int]:
        """The first paths that wait, up to `count` of them, and their bytes with `overhead` each, at most `size`."""
        names = self.names[self.at : self.at + count]
        ends = _ends(names, overhead + byte_lengths((self.stem,))[0])
        fitting = bisect_right(ends, size)
        self.at += fitting
        return [f"{self.stem}{name}" for name in names[:fitting]], ends[fitting - 1] if fitting else 0


class PathQueue:
    """A queue of distinct paths, each marked if a load (not just a refresh) waits for it.

    Its length counts the paths that may be taken now; postponed paths cannot be taken before they are due.

    Args:
        many: fewer children than these wait as single paths, which costs less.
    """

    def __init__(self, many: int = MANY) -> None:
        self._many = many
        self._order: deque[str] = deque()
        self._load: dict[str, bool] = {}
        self._later: list[tuple[float, str]] = []
        #: The children of whole znodes, for all of which a load waits, in their order and by stem.
        self._families: deque[Children] = deque()
        self._by_stem: dict[str, Children] = {}
        #: How many children wait.
        self._children = 0

    def __len__(self) -> int:
        return len(self._order) + self._children

    def __contains__(self, path: str) -> bool:
        return path in self._load or self._is_child(path)

    def __iter__(self) -> Iterator[str]:
        return chain(self._load, *self._families)

    def push(self, paths: Iterable[str], load: bool) -> int:
        """Adds paths, or marks paths that wait already. Returns for how many of them a load newly waits."""
        order, loads = self._order, self._load
        fresh = dict.fromkeys(paths, load)
        if self._families:
            fresh = {path: load for path in fresh if not self._is_child(path)}
        if loads.keys().isdisjoint(fresh):
            order.extend(fresh)
            loads.update(fresh)
            return load * len(fresh)
        became = 0
        for path in fresh:
            waiting = loads.get(path)
            if waiting is None:
                order.append(path)
            elif waiting or not load:
                continue
            loads[path] = load
            became += load
        return became

    def push_children(self, head: str, names: Sequence[str]) -> int:
        """Adds all children of the znode at the path `head`, for a load. Returns for how many it newly waits."""
        stem = f"{head}/"
        wait = self._load and not self._load.keys().isdisjoint(map(stem.__add__, names))
        if wait or len(names) < self._many or stem in self._by_stem or len(set(names)) < len(names):
            return self.push(map(stem.__add__, names), True)
        self._by_stem[stem] = family = Children(stem, names)
        self._families.append(family)
        self._children += len(names)
        return len(names)

    def put_off(self, path: str, load: bool, due_at: float) -> int:
        """Adds or marks one path, like `push`, but postpones it until `due_at` unless it may be taken already."""
        if path not in self:
            heappush(self._later, (due_at, path))
            self._load[path] = load
            return int(load)
        return self.push((path,), load)

    @property
    def postponed(self) -> int:
        """How many paths may not be taken yet."""
        return len(self._later)

    @property
    def due_at(self) -> float | None:
        """When the first of the postponed paths may be taken, or None."""
        return self._later[0][0] if self._later else None

    def ripen(self, now: float) -> None:
        """Releases the postponed paths that are due by now."""
        while self._later and self._later[0][0] <= now:
            self._order.append(heappop(self._later)[1])

    def first(self) -> str:
        """The path to take next."""
        return self._order[0] if self._order else next(iter(self._families[0]))

    def pop(self) -> tuple[str, bool]:
        """Takes the path to take next, and whether a load waits for it."""
        paths, loads = self.pop_some(1, 0)
        return paths[0], bool(loads)

    def pop_some(self, count: int, size: int, overhead: int = 0) -> tuple[list[str], list[str]]:
        """Takes up to `count` paths of at most `size` bytes in all, or a single longer one.

        Each path counts `overhead` bytes in addition to its length. Returns the paths, and separately the ones among
        them that a load waits for.
        """
        order, loads = self._order, self._load
        paths = [order.popleft() for _ in range(min(count, len(order)))]
        fitting = how_many_fit(paths, size, overhead)
        order.extendleft(reversed(paths[fitting:]))
        del paths[fitting:]
        marks = [loads.pop(path) for path in paths]
        marked = paths[:] if all(marks) else list(compress(paths, marks))
        if not order and self._families and len(paths) < count:
            spent = sum(byte_lengths(paths)) + len(paths) * overhead
            children = self._pop_children(count - len(paths), size - spent, overhead, bool(paths))
            return paths + children, marked + children
        return paths, marked

    def _pop_children(self, count: int, size: int, overhead: int, is_more: bool) -> list[str]:
        """Takes as many children as fit, but one at least unless they are more of a batch that has others."""
        taken: list[str] = []
        while self._families and len(taken) < count:
            family = self._families[0]
            paths, spent = family.take(count - len(taken), size, overhead)
            if not paths:
                if taken or is_more:
                    break
                paths, spent = family.take(1, sys.maxsize, overhead)
            size -= spent
            taken += paths
            self._children -= len(paths)
            if not family:
                self._families.popleft()
                del self._by_stem[family.stem]
        return taken

    def mark_all(self) -> int:
        """Marks every path as one that a load waits for; returns their number."""
        self._load = dict.fromkeys(self._load, True)
        return len(self._load) + self._children

    def _is_child(self, path: str) -> bool:
        """Whether a path waits among the children of a whole znode."""
        if not self._by_stem or not path:
            return False
        cut = path.rindex("/") + 1
        family = self._by_stem.get(path[:cut])
        return family is not None and path[cut:] in family


def how_many_fit(paths: Sequence[str], size: int, overhead: int) -> int:
    """How many of the first paths, each with `overhead` more bytes, fit into `size` bytes; at least one."""
    return max(1, bisect_right(_ends(paths, overhead), size)) if paths else 0


def _ends(texts: Sequence[str], overhead: int) -> list[int]:
    """Where each text ends, one after another on the wire, with `overhead` more bytes before each."""
    return list(accumulate(map(add, byte_lengths(texts), repeat(overhead))))


def byte_lengths(paths: Sequence[str]) -> list[int]:
    """The length of each path on the wire, in bytes."""
    if all(map(str.isascii, paths)):
        return list(map(len, paths))
    return [len(path.encode()) for path in paths]
