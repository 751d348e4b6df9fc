"""Agenda: what waits to be read, and how much of it a load still waits for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate, islice

from exporter.treecache.pathqueue import PathQueue, byte_lengths
from exporter.zookeeper.wire import ReadRequest


@dataclass(frozen=True)
class Loads:
    """Which of a request's paths a load waits for, and how often: a path may be asked for twice."""

    paths: frozenset[str]
    everything: bool
    count: int = 0

    def __contains__(self, path: str) -> bool:
        return self.everything or path in self.paths


NO_LOADS = Loads(frozenset(), False)
ALL_LOADS = Loads(frozenset(), True)


@dataclass(eq=False)
class Wanted:
    """Paths whose record is wanted, and paths whose children are."""

    reads: set[str] = field(default_factory=set)
    lists: set[str] = field(default_factory=set)

    def __contains__(self, path: str) -> bool:
        return path in self.reads or path in self.lists


class Agenda:
    """Paths whose record is to be read, paths whose children are to be listed, and the survey of a sync.

    A *load* is the reading that a sync must have done before it is complete; a *refresh* follows an event.
    """

    def __init__(self) -> None:
        self._reads = PathQueue()
        self._lists = PathQueue()
        self._survey: Iterator[str] | None = None
        self._loading = 0
        self._notes: tuple[Wanted, ...] = ()

    def __len__(self) -> int:
        """How much may be read now."""
        return len(self._reads) + len(self._lists)

    @property
    def postponed(self) -> int:
        """How much waits until it is due."""
        return self._reads.postponed + self._lists.postponed

    def __contains__(self, path: str) -> bool:
        """Whether a path waits to be read or listed, now or later."""
        return path in self._reads or path in self._lists

    @property
    def loaded(self) -> bool:
        """Whether nothing is left that a load waits for."""
        return self._loading == 0 and self._survey is None

    # What is wanted

    def want_reads(self, paths: Iterable[str], load: bool) -> None:
        """Wants the records at some paths."""
        if self._notes:
            paths = tuple(paths)
            for note in self._notes:
                note.reads.update(paths)
        self._loading += self._reads.push(paths, load)

    def want_list(self, path: str, load: bool) -> None:
        """Wants the children of the znode at a path."""
        for note in self._notes:
            note.lists.add(path)
        self._loading += self._lists.push((path,), load)

    def put_off(self, path: str, load: bool, due_at: float, *, listed: bool = False) -> None:
        """Wants the record at a path, or its children, and not before `due_at`."""
        for note in self._notes:
            (note.lists if listed else note.reads).add(path)
        self._loading += (self._lists if listed else self._reads).put_off(path, load, due_at)

    @property
    def due_at(self) -> float | None:
        """When the first of what was put off is due, or None."""
        return min((at for at in (self._reads.due_at, self._lists.due_at) if at is not None), default=None)

    def ripen(self, now: float) -> None:
        """What was put off until now may be read."""
        self._reads.ripen(now)
        self._lists.ripen(now)

    def note(self, wanted: Wanted) -> None:
        """Adds to `wanted` whatever is wanted from now on, also what waits already."""
        self._notes = (*self._notes, wanted)

    def stop_noting(self, wanted: Wanted) -> None:
        """Takes back a `note`; does nothing without one."""
        self._notes = tuple(note for note in self._notes if note is not wanted)

    def waiting(self) -> Wanted:
        """Everything that waits now."""
        return Wanted(set(self._reads), set(self._lists))

    def survey(self, paths: Iterator[str]) -> None:
        """Begins a load: of everything that waits already, and of all these paths, which are taken up bit by bit."""
        self._survey = paths
        self._loading = self._reads.mark_all() + self._lists.mark_all()

    def break_off(self) -> None:
        """Ends the load; what waits goes on waiting."""
        self._survey = None

    # What is sent

    def take_reads(self, count: int, size: int, overhead: int = 0) -> tuple[list[str], list[str]]:
        """Takes up to `count` paths to read; gives them, and which of them a load waits for.

        They have `size` bytes at most, each with `overhead` bytes besides itself, unless the first alone has more.
        """
        return self._reads.pop_some(count, size, overhead)

    def first_list(self) -> str | None:
        """The path that is to be listed next, or None."""
        return self._lists.first() if self._lists else None

    def take_list(self) -> tuple[str, bool]:
        """Takes the path that is to be listed next, and whether a load waits for it."""
        return self._lists.pop()

    def take_surveyed(self, count: int, size: int, overhead: int = 0) -> list[str]:
        """Takes up to `count` paths of the survey, all of them a load's, of so many bytes as `take_reads` does.

        Those that are too long to go with the others wait to be read like any other path.
        """
        if self._survey is None or count <= 0:
            return []
        paths = list(islice(self._survey, count))
        if not paths:
            self._survey = None
        fitting = _fitting(paths, size, overhead)
        self._loading += fitting
        self.want_reads(paths[fitting:], True)
        return paths[:fitting]

    # What comes back

    def done(self, request: ReadRequest, loads: Loads) -> None:
        """Notes that a request was answered and everything that followed from it was wanted."""
        every = len(request.reads) + len(request.lists)
        self._loading -= every if loads.everything else loads.count

    def put_back(self, request: ReadRequest, loads: Loads) -> None:
        """Makes the paths of a request that brought nothing wait again."""
        self.done(request, loads)
        for path in request.reads:
            self.want_reads((path,), path in loads)
        for path in request.lists:
            self.want_list(path, path in loads)


def _fitting(paths: list[str], size: int, overhead: int) -> int:
    """How many of the first of these paths have so many bytes in all, the first in any case."""
    ends = accumulate(length + overhead for length in byte_lengths(paths))
    return max(1, bisect_right(list(ends), size)) if paths else 0
