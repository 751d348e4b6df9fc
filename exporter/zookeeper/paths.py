"""Paths: many paths as runs of siblings, so that what is above siblings is written, cut and looked up once for all."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, takewhile
from typing import NamedTuple, overload

#: For fewer siblings than these, a loop costs less.
MANY = 16


class Siblings(NamedTuple):
    """Children of one znode: ``stem`` is the znode's path and a slash, and precedes each of the names.

    With an empty stem the names are whole paths.
    """

    stem: str
    names: Sequence[str]

    def paths(self) -> Iterator[str]:
        """The path of each."""
        return map(self.stem.__add__, self.names) if self.stem else iter(self.names)


class Paths(Sequence[str]):
    """A sequence of paths that is kept as runs of siblings.

    Args:
        parts: the runs, and whole paths behind empty stems.
    """

    def __init__(self, parts: Sequence[Siblings] = ()) -> None:
        self.parts: list[Siblings] = []
        self._length = 0
        for part in parts:
            self.add(part)

    @classmethod
    def of(cls, paths: Sequence[str]) -> Paths:
        """The same paths, as they are."""
        return cls((Siblings("", paths),))

    def add(self, part: Siblings) -> None:
        """Adds paths at the end."""
        if part.names:
            self.parts.append(part)
            self._length += len(part.names)

    def __iadd__(self, other: Paths) -> Paths:
        for part in other.parts:
            self.add(part)
        return self

    def __repr__(self) -> str:
        return f"Paths({list(self)!r})"

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(part.paths() for part in self.parts)

    def __contains__(self, path: object) -> bool:
        if not isinstance(path, str):
            return False
        return any(path.startswith(stem) and path[len(stem) :] in names for stem, names in self.parts)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Paths: ...

    def __getitem__(self, index: int | slice) -> str | Paths:
        if isinstance(index, slice):
            start, stop, step = index.indices(self._length)
            return self._between(start, stop) if step == 1 else Paths.of(list(self)[index])
        at = index + self._length if index < 0 else index
        for stem, names in self.parts if at >= 0 else ():
            if at < len(names):
                return stem + names[at]
            at -= len(names)
        raise IndexError(index)

    def _between(self, start: int, stop: int) -> Paths:
        cut = Paths()
        for stem, names in self.parts:
            if stop <= 0:
                break
            cut.add(Siblings(stem, names[max(0, start) : stop]))
            start, stop = start - len(names), stop - len(names)
        return cut


def parts_of(paths: Sequence[str]) -> Sequence[Siblings]:
    """Any paths as the parts of `Paths`."""
    # For a subclass of an abstract class, isinstance runs Python code.
    return paths.parts if type(paths) is Paths else (Siblings("", paths),)


def runs_of(paths: Sequence[str]) -> Iterator[Siblings]:
    """Any paths in runs of siblings. Only the root, whose path is empty, has no stem."""
    for part in parts_of(paths):
        if part.stem:
            yield part
        else:
            yield from _found_runs(part.names)


def _found_runs(paths: Sequence[str]) -> Iterator[Siblings]:
    start = 0
    while start < len(paths):
        stem = paths[start][: paths[start].rindex("/") + 1] if paths[start] else ""
        names = siblings(paths, start, stem) if stem else [""]
        yield Siblings(stem, names)
        start += len(names)


def byte_length(paths: Sequence[str]) -> int:
    """The bytes that paths take on the wire in all."""
    total = 0
    for stem, names in parts_of(paths):
        text = "".join(names)
        total += len(names) * len(stem.encode()) + (len(text) if text.isascii() else len(text.encode()))
    return total


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
