"""Globs: which znodes of a tree the patterns `include` and `exclude` leave in it."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

GLOB_ACCEPTED = (
    "accepted: an absolute path in which * and ? stand for characters of one name, [...] for one of several, "
    "and ** for any number of names"
)
_ANY_DEPTH = "**"

#: Where in a pattern a path has got to: the indices of the parts that may come next.
Places = frozenset[int]


class Globs:
    """A selector for TreeCache; paths and patterns are absolute, inside the ensemble's chroot.

    A pattern stands for the znodes that it matches *and all below them*. Without `include` every znode is included.
    A znode that `exclude` stands for is left out, whatever `include` says. The ancestors of what might be included
    belong to the tree, since the way there leads through them; so does the tree's root, always.
    """

    def __init__(self, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> None:
        self._include = [Pattern(glob) for glob in include]
        self._exclude = [Pattern(glob) for glob in exclude]

    def keep(self, path: str) -> bool:
        """Whether the znode belongs to the tree."""
        if any(pattern.covers(path) for pattern in self._exclude):
            return False
        return not self._include or any(pattern.covers(path) or pattern.leads_on(path) for pattern in self._include)

    def descend(self, path: str) -> bool:
        """Whether anything below a znode of the tree may belong to it too."""
        return not any(pattern.covers_all_below(path) for pattern in self._exclude)


class Pattern:
    """One glob. Raises ValueError, saying what is wrong and what is accepted."""

    def __init__(self, glob: str) -> None:
        if not glob.startswith("/"):
            raise ValueError(f"the pattern is not absolute; {GLOB_ACCEPTED}")
        parts = glob[1:].split("/")
        for part in parts:
            if not part or part in (".", ".."):
                raise ValueError(f"the pattern has the part {part!r}; {GLOB_ACCEPTED}")
            if _ANY_DEPTH in part and part != _ANY_DEPTH:
                raise ValueError(f"the pattern has ** beside other characters in {part!r}; {GLOB_ACCEPTED}")
        self._parts = [None if part == _ANY_DEPTH else re.compile(fnmatch.translate(part)) for part in parts]
        self._ends_in_any = parts[-1] in ("*", _ANY_DEPTH)
        self._parent: tuple[str, Places | None] = ("", self._closure({0}))

    def covers(self, path: str) -> bool:
        """Whether the pattern matches the path or one above it."""
        return self._places(path) is None

    def leads_on(self, path: str) -> bool:
        """Whether the pattern may match a path below this one."""
        return self._places(path) != frozenset()

    def covers_all_below(self, path: str) -> bool:
        """Whether the pattern matches each child of a path, whatever its name."""
        places = self._places(path)
        return places is None or (self._ends_in_any and len(self._parts) - 1 in places)

    def _places(self, path: str) -> Places | None:
        """Where the path gets to in the pattern; None once it, or a path above it, is matched."""
        parent, _, name = path.rpartition("/")
        if not name:
            return self._closure({0})
        # Siblings are asked about one after the other, so their parent's places are worth keeping.
        known, places = self._parent
        if known != parent:
            places = self._closure({0})
            for part in parent.split("/")[1:]:
                places = self._after(places, part)
            self._parent = (parent, places)
        return self._after(places, name)

    def _after(self, places: Places | None, name: str) -> Places | None:
        if places is None:
            return None
        reached = set()
        for place in places:
            part = self._parts[place]
            if part is None:
                reached |= {place, place + 1}
            elif part.match(name):
                reached.add(place + 1)
        return self._closure(reached)

    def _closure(self, places: set[int]) -> Places | None:
        """With what follows a `**` that stands for no name; None if the end of the pattern is among them."""
        last = len(self._parts) - 1
        # A ** at the end stands for what is below, so for one name at least.
        while more := {place + 1 for place in places if place < last and self._parts[place] is None} - places:
            places = places | more
        return None if len(self._parts) in places else frozenset(places)
