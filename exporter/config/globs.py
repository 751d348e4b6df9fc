"""Globs: which znodes belong to a tree, by the patterns of `include` and `exclude`."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable

GLOB_ACCEPTED = (
    "accepted: an absolute path in which * and ? match characters of one name, [...] one of several characters, "
    "and ** any number of names"
)
_ANY_DEPTH = "**"

#: How far a path has matched a pattern: the indices of the parts that may come next.
Places = frozenset[int]


class Globs:
    """A selector for TreeCache; paths and patterns are absolute, inside the ensemble's chroot.

    A pattern covers the znodes that it matches *and all below them*. Without `include`, every znode is included.
    `exclude` wins over `include`. The ancestors of a znode that might be included belong to the tree too, since the
    engine reaches it through them; so does the tree's root, always.
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
        """Whether any znode below this one may belong to the tree."""
        return not any(pattern.covers_all_below(path) for pattern in self._exclude)


class Pattern:
    """One glob. Raises ValueError, which says what is wrong and what is accepted."""

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
        """Whether the pattern matches the path or one of its ancestors."""
        return self._places(path) is None

    def leads_on(self, path: str) -> bool:
        """Whether the pattern may match a path below this one."""
        return self._places(path) != frozenset()

    def covers_all_below(self, path: str) -> bool:
        """Whether the pattern matches every possible child of a path."""
        places = self._places(path)
        return places is None or (self._ends_in_any and len(self._parts) - 1 in places)

    def _places(self, path: str) -> Places | None:
        """How far the path matches the pattern; None once the path, or one of its ancestors, matches all of it."""
        parent, _, name = path.rpartition("/")
        if not name:
            return self._closure({0})
        # Callers ask about siblings one after the other, so the places of their parent are kept.
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
        """Adds the places after each `**` that matches no name; None if they include the end of the pattern."""
        last = len(self._parts) - 1
        # A ** at the end matches what is below, so at least one name.
        while more := {place + 1 for place in places if place < last and self._parts[place] is None} - places:
            places = places | more
        return None if len(self._parts) in places else frozenset(places)
