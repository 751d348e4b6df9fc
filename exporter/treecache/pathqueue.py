"""PathQueue: paths that wait to be read, each once, first come first served; some of them not before their time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush


class PathQueue:
    """A queue of distinct paths; each remembers whether a load (not just a refresh) waits for it.

    Its length is that of what may be taken; what is put off waits as well, but cannot be taken before it is due.
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
        """Adds paths, or marks those that wait already. Gives how many have newly become a load's."""
        order, loads = self._order, self._load
        became = 0
        for path in paths:
            waiting = loads.get(path)
            if waiting is None:
                order.append(path)
            elif waiting or not load:
                continue
            loads[path] = load
            became += load
        return became

    def put_off(self, path: str, load: bool, due_at: float) -> int:
        """The same as `push` for one path, which is not to be taken before `due_at`, unless it may be already."""
        if path not in self._load:
            heappush(self._later, (due_at, path))
            self._load[path] = load
            return int(load)
        return self.push((path,), load)

    @property
    def postponed(self) -> int:
        """How many paths wait that may not be taken yet."""
        return len(self._later)

    @property
    def due_at(self) -> float | None:
        """When the first of what is put off may be taken, or None."""
        return self._later[0][0] if self._later else None

    def ripen(self, now: float) -> None:
        """What is due by now may be taken."""
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
        """Takes up to `count` paths that have not more than `size` bytes in all, or one that has.

        Each counts `overhead` bytes besides itself. Gives the paths, and those of them that a load waits for.
        """
        order, loads = self._order, self._load
        paths: list[str] = []
        loaded: list[str] = []
        while order and len(paths) < count:
            path = order[0]
            size -= overhead + (len(path) if path.isascii() else len(path.encode()))
            if size < 0 and paths:
                break
            order.popleft()
            paths.append(path)
            if loads.pop(path):
                loaded.append(path)
        return paths, loaded

    def mark_all(self) -> int:
        """Makes every waiting path a load's; gives their number."""
        self._load = dict.fromkeys(self._load, True)
        return len(self._load)


def byte_lengths(paths: Sequence[str]) -> list[int]:
    """How many bytes each path has on the wire."""
    if all(map(str.isascii, paths)):
        return list(map(len, paths))
    return [len(path.encode()) for path in paths]
