"""Listings: how much the lists of children weigh, for znodes with many children."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from exporter.views.limits.extremes import Extremes

#: Znodes with fewer children are not weighed: their lists are far below any limit.
WIDE = 128
#: A reply's header (xid, zxid and err) and the number of names; then each name has four bytes of length.
_BEFORE, _EACH = 16 + 4, 4


@dataclass(slots=True)
class _Listing:
    """The children that the tree holds, the bytes of their names, and how many children the server has counted."""

    held: int
    name_bytes: int
    counted: int

    @property
    def weight(self) -> int:
        """The size of the reply in bytes. Children that the tree does not hold count as the average of the others."""
        return _BEFORE + (round(self.counted * (_EACH + self.name_bytes / self.held)) if self.held else 0)


class Listings:
    """The sizes of the replies to getChildren in bytes, of all znodes with at least `WIDE` children.

    Args:
        names: gives the names of a znode's children in the tree, by its path below the root.
        mark: what weighs so much, in bytes, is near the limit.
    """

    def __init__(self, names: Callable[[str], Collection[str]], mark: int) -> None:
        self._names = names
        self._mark = mark
        self._wide: dict[str, _Listing] = {}
        self._weights = Extremes()
        #: Those that became wide in this batch: they are weighed at its end, when the tree is as after the batch.
        self._new: dict[str, int] = {}
        #: The weights of those near the limit, by path. Readers copy it.
        self.near: dict[str, int] = {}

    @property
    def largest(self) -> int:
        """The largest weight; 0 if no znode has many children."""
        return self._weights.largest

    def counted(self, path: str, children: int) -> None:
        """A znode has this many children, as its server has counted; none if it is gone."""
        listing = self._wide.get(path)
        if listing is not None:
            if children < WIDE:
                self._forget(path, listing)
            else:
                self._change(path, listing, counted=children)
        elif children >= WIDE:
            self._new[path] = children
        elif self._new:
            self._new.pop(path, None)

    def child(self, path: str, sign: int) -> None:
        """A znode was added (1) or removed (-1)."""
        head, _, name = path.rpartition("/")
        listing = self._wide.get(head)
        if listing is not None:
            self._change(head, listing, held=sign, name_bytes=sign * _bytes(name))

    def children(self, head: str, paths: Sequence[str]) -> None:
        """Children of the znode at `head` were added."""
        listing = self._wide.get(head)
        if listing is not None:
            name_bytes = _bytes("".join(paths)) - len(paths) * (_bytes(head) + 1)
            self._change(head, listing, held=len(paths), name_bytes=name_bytes)

    def settle(self) -> None:
        """The batch is over, and the tree is as after it."""
        for path, counted in self._new.items():
            names = self._names(path)
            listing = _Listing(len(names), _bytes("".join(names)), counted)
            self._wide[path] = listing
            self._weigh(path, listing)
        self._new.clear()

    def _change(
        self, path: str, listing: _Listing, *, held: int = 0, name_bytes: int = 0, counted: int | None = None
    ) -> None:
        self._weights.remove(listing.weight)
        listing.held += held
        listing.name_bytes += name_bytes
        if counted is not None:
            listing.counted = counted
        self._weigh(path, listing)

    def _weigh(self, path: str, listing: _Listing) -> None:
        weight = listing.weight
        self._weights.add(weight)
        if weight >= self._mark:
            self.near[path] = weight
        else:
            self.near.pop(path, None)

    def _forget(self, path: str, listing: _Listing) -> None:
        self._weights.remove(listing.weight)
        self.near.pop(path, None)
        del self._wide[path]


def _bytes(text: str) -> int:
    """The size of a text on the wire."""
    return len(text) if text.isascii() else len(text.encode())
