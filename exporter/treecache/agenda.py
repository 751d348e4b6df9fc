"""Agenda: the paths that wait to be read or listed, and which of them a load waits for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from exporter.treecache.pathqueue import Family, PathQueue, Taken, take_some
from exporter.zookeeper.paths import Paths, Siblings
from exporter.zookeeper.wire import ReadRequest


@dataclass(frozen=True)
class Loads:
    """Which of a request's paths a load waits for, and how often: a request may have a path twice."""

    paths: frozenset[str]
    everything: bool
    count: int = 0

    def __contains__(self, path: str) -> bool:
        return self.everything or path in self.paths


NO_LOADS = Loads(frozenset(), False)
ALL_LOADS = Loads(frozenset(), True)


@dataclass(eq=False)
class Wanted:
    """Paths whose records are wanted, and paths whose children are."""

    reads: set[str] = field(default_factory=set)
    lists: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.reads or self.lists)

    def __contains__(self, path: str) -> bool:
        return path in self.reads or path in self.lists


class Agenda:
    """The paths to read, the paths whose children to list, and the survey of a sync.

    A *load* is all reads that a sync needs to be complete; a *refresh* follows a watch event.
    """

    def __init__(self) -> None:
        self._reads = PathQueue()
        self._lists = PathQueue()
        #: The siblings of the survey that come next, and the others after them; None without a survey.
        self._surveyed = Family("", ())
        self._survey: Iterator[Siblings] | None = None
        self._loading = 0
        self._notes: tuple[Wanted, ...] = ()

    def __len__(self) -> int:
        """How many reads and lists may be sent now."""
        return self._reads.waiting + self._lists.waiting

    @property
    def postponed(self) -> int:
        """How many reads and lists are not due yet."""
        return len(self._reads.later) + len(self._lists.later)

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits, now or later."""
        reads, lists = self._reads, self._lists
        return not (reads.waiting or lists.waiting or reads.later or lists.later or self._survey)

    def __contains__(self, path: str) -> bool:
        """Whether a path waits to be read or listed, now or later."""
        return path in self._reads or path in self._lists

    @property
    def loaded(self) -> bool:
        """Whether the load has nothing left to wait for."""
        return self._loading == 0 and self._survey is None

    @property
    def is_surveying(self) -> bool:
        """Whether the load has not yet taken all paths of its survey."""
        return self._survey is not None

    # Wanted paths

    def want_reads(self, paths: Iterable[str], load: bool) -> None:
        """Adds paths whose records to read."""
        if self._notes:
            paths = tuple(paths)
            for note in self._notes:
                note.reads.update(paths)
        self._loading += self._reads.push(paths, load)

    def want_children(self, path: str, names: Sequence[str]) -> None:
        """Adds all children of a znode as paths whose records to read, for a load."""
        for note in self._notes:
            note.reads.update(f"{path}/{name}" for name in names)
        self._loading += self._reads.push_children(path, names)

    def want_list(self, path: str, load: bool) -> None:
        """Adds a path whose children to list."""
        for note in self._notes:
            note.lists.add(path)
        self._loading += self._lists.push((path,), load)

    def put_off(self, path: str, load: bool, due_at: float, *, listed: bool = False) -> None:
        """Adds a path to read, or to list, not before `due_at`."""
        for note in self._notes:
            (note.lists if listed else note.reads).add(path)
        self._loading += (self._lists if listed else self._reads).put_off(path, load, due_at)

    @property
    def due_at(self) -> float | None:
        """When the first of the postponed paths is due, or None."""
        reads, lists = self._reads.due_at, self._lists.due_at
        return lists if reads is None else reads if lists is None else min(reads, lists)

    def ripen(self, now: float) -> None:
        """Releases the postponed paths that are due by now."""
        self._reads.ripen(now)
        self._lists.ripen(now)

    def note(self, wanted: Wanted) -> None:
        """Adds to `wanted` every path that is added from now on, even if it waits already."""
        self._notes = (*self._notes, wanted)

    def stop_noting(self, wanted: Wanted) -> None:
        """Undoes a `note`; does nothing without one."""
        self._notes = tuple(note for note in self._notes if note is not wanted)

    def waiting(self) -> Wanted:
        """All paths that wait now."""
        return Wanted(set(self._reads), set(self._lists))

    def survey(self, runs: Iterator[Siblings]) -> None:
        """Begins a load of all waiting paths and of these, which it takes from the iterator bit by bit."""
        self._survey, self._surveyed = runs, Family("", ())
        self._loading = self._reads.mark_all() + self._lists.mark_all()

    def break_off(self) -> None:
        """Ends the load; waiting paths keep waiting."""
        self._survey = None

    # Sending paths

    def take_reads(self, count: int, size: int, overhead: int = 0) -> Taken:
        """Takes up to `count` paths to read.

        Together they have at most `size` bytes, counting `overhead` for each, unless the first alone has more.
        """
        return self._reads.pop_some(count, size, overhead)

    def take_read(self) -> tuple[str, bool]:
        """Takes the path to read next, and whether a load waits for it."""
        return self._reads.pop()

    def first_list(self) -> str | None:
        """The path to list next, or None."""
        return self._lists.first() if self._lists.waiting else None

    def take_list(self) -> tuple[str, bool]:
        """Takes the path to list next, and whether a load waits for it."""
        return self._lists.pop()

    def take_surveyed(self, count: int, size: int, overhead: int = 0, *, alone: bool = True) -> Paths:
        """Takes up to `count` paths of the survey, all of them for the load, within the bytes of `take_reads`.

        Unless they go `alone`, a first path that has more bytes is not taken.
        """
        paths = Paths()
        while self._survey is not None and len(paths) < count:
            if not self._surveyed:
                run = next(self._survey, None)
                if run is None:
                    self._survey = None
                else:
                    self._surveyed = Family(*run)
                continue
            is_alone = alone and not paths
            taken, spent = take_some(self._surveyed, count - len(paths), size, overhead, alone=is_alone)
            if not taken.names:
                break
            size -= spent
            paths.add(taken)
        self._loading += len(paths)
        return paths

    # Answered requests

    def done(self, request: ReadRequest, loads: Loads) -> None:
        """Notes that a request was answered, and that every path that followed from it was added."""
        every = len(request.reads) + len(request.lists)
        self._loading -= every if loads.everything else loads.count

    def put_back(self, request: ReadRequest, loads: Loads) -> None:
        """Adds the paths of a request again that must be repeated."""
        self.done(request, loads)
        for path in request.reads:
            self.want_reads((path,), path in loads)
        for path in request.lists:
            self.want_list(path, path in loads)
