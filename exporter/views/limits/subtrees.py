"""Subtrees: how many znodes and how much data each child of the root has in its subtree."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from itertools import islice, repeat
from typing import NamedTuple

from exporter.treecache.sums import Numbers

#: The subtrees that have no series of their own, together.
OTHER = "other"
#: The most children of a root that are compared with each other, which takes a few milliseconds.
COMPARED = 10_000


class Weight(NamedTuple):
    """The znodes and the bytes of data of a subtree."""

    znodes: int = 0
    data_bytes: int = 0

    def plus(self, znodes: int, data_bytes: int) -> Weight:
        """With so many more of both."""
        return Weight(self.znodes + znodes, self.data_bytes + data_bytes)


class Subtrees:
    """The weights of the subtrees of the root's children, for at most `limit` of them.

    Which ones have series is decided when the tree is first complete: those with most znodes, or the first ones of very
    many. They keep them while they exist, and another takes the place of one that is gone. So no series comes and goes
    because others grow.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._weights: dict[str, Weight] = {}
        #: All together.
        self._total = Weight()
        #: Those that have series. Readers copy it.
        self._chosen: dict[str, Weight] = {}

    def changed(self, path: str, znodes: int, data_bytes: int) -> None:
        """Znodes at or below this path came or went, with this much data."""
        end = path.find("/", 1)
        child = path[1:] if end < 0 else path[1:end]
        if not child:
            return
        self._total = self._total.plus(znodes, data_bytes)
        weight = self._weights.get(child, _NOTHING).plus(znodes, data_bytes)
        if not weight.znodes:
            self._weights.pop(child, None)
            self._chosen.pop(child, None)
            return
        self._weights[child] = weight
        if child in self._chosen or len(self._chosen) < self._limit:
            self._chosen[child] = weight

    def added_run(self, head: str, paths: list[str], sizes: Numbers) -> None:
        """Children of the znode at `head` were added."""
        if head:
            self.changed(head, len(paths), sum(sizes))
            return
        self._total = self._total.plus(len(paths), sum(sizes))
        added = dict(zip([path[1:] for path in paths], map(Weight, repeat(1), sizes), strict=True))
        self._weights.update(added)
        self._chosen.update(islice(added.items(), max(0, self._limit - len(self._chosen))))

    def choose(self) -> None:
        """The tree is complete: if it is for the first time, decides which subtrees have series."""
        if self._limit < len(self._weights) <= COMPARED:
            chosen = heapq.nlargest(self._limit, self._weights, key=self._weights.__getitem__)
            self._chosen = {child: self._weights[child] for child in chosen}

    def shown(self) -> Mapping[str, Weight]:
        """The weight of each subtree that has series, and that of all others together. From any thread."""
        chosen, total = self._chosen.copy(), self._total
        # A child of this name cannot be told from the others.
        chosen.pop(OTHER, None)
        znodes, data_bytes = (sum(each) for each in zip(_NOTHING, *chosen.values(), strict=True))
        # The two copies are not of one moment.
        return {**chosen, OTHER: Weight(max(0, total.znodes - znodes), max(0, total.data_bytes - data_bytes))}


_NOTHING = Weight()
