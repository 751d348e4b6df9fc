"""PathQueue: paths that wait to be read, each once, first come first served; some are postponed until a time."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import accumulate, compress


class PathQueue:
    """A queue of distinct paths, each marked if a load (not just a refresh) waits for it.

    Its length counts the paths that may be taken now; postponed paths cannot be taken before they are due.
    """

    def __init__(self) -> None:
        self._order: deque[str] = deque()
        self._load: dict[str, bool] = {}
        self._later: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, path: str) -> bool:
        return path in self._load

    def __iter__(self) -> Iterator[str]:
        return iter(self._load)

    def push(self, paths: Iterable[str], load: bool) -> int:
        """Adds paths, or marks paths that wait already. Returns for how many of them a load newly waits."""
        order, loads = self._order, self._load
        fresh = dict.fromkeys(paths, load)
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

    def put_off(self, path: str, load: bool, due_at: float) -> int:
        """Adds or marks one path, like `push`, but postpones it until `due_at` unless it may be taken already."""
        if path not in self._load:
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
        """The path that came first."""
        return self._order[0]

    def pop(self) -> tuple[str, bool]:
        """Takes the path that came first, and whether a load waits for it."""
        path = self._order.popleft()
        return path, self._load.pop(path)

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
        return paths, paths[:] if all(marks) else list(compress(paths, marks))

    def mark_all(self) -> int:
        """Marks every path as one that a load waits for; returns their number."""
        self._load = dict.fromkeys(self._load, True)
        return len(self._load)


def how_many_fit(paths: Sequence[str], size: int, overhead: int) -> int:
    """How many of the first paths, each with `overhead` more bytes, fit into `size` bytes; at least one."""
    ends = list(accumulate(byte_lengths(paths)))
    if ends and ends[-1] + overhead * len(ends) <= size:
        return len(paths)
    fits = bisect_right([end + overhead * number for number, end in enumerate(ends, 1)], size)
    return max(1, fits) if paths else 0


def byte_lengths(paths: Sequence[str]) -> list[int]:
    """The length of each path on the wire, in bytes."""
    if all(map(str.isascii, paths)):
        return list(map(len, paths))
    return [len(path.encode()) for path in paths]
