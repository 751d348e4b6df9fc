"""Subtrees: how many znodes and how much data each child of the root has in its subtree."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence

#: The subtrees that have no series of their own, together.
OTHER = "other"


class Subtrees:
    """The weights of the subtrees of the root's children, for at most `limit` of them; 0 weighs nothing.

    Which ones have series is decided when the tree becomes complete: those with most znodes. They keep them while they
    exist; a subtree that comes later takes the place of one that is gone. So no series comes and goes because others
    grow.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        #: Znodes and bytes of data by child; each pair is replaced as a whole, so that readers can copy the table.
        self._weights: dict[str, tuple[int, int]] = {}
        self._chosen: frozenset[str] = frozenset()

    def changed(self, path: str, znodes: int, data_bytes: int) -> None:
        """Znodes at or below this path came or went, with this much data."""
        end = path.find("/", 1)
        child = path[1:] if end < 0 else path[1:end]
        if not child:
            return
        before = self._weights.get(child, (0, 0))
        after = (before[0] + znodes, before[1] + data_bytes)
        if after[0]:
            self._weights[child] = after
        else:
            del self._weights[child]
        if after[0] == 0 or (not before[0] and len(self._chosen) < self._limit):
            self._chosen = self._chosen - {child} if not after[0] else self._chosen | {child}

    def added_run(self, head: str, paths: Sequence[str], sizes: Sequence[int]) -> None:
        """Children of the znode at `head` were added."""
        if head:
            self.changed(head, len(paths), sum(sizes))
        else:
            for path, size in zip(paths, sizes, strict=True):
                self.changed(path, 1, size)

    def choose(self) -> None:
        """The tree is complete: decides which subtrees have series."""
        if len(self._weights) > self._limit:
            self._chosen = frozenset(heapq.nlargest(self._limit, self._weights, key=self._weights.__getitem__))

    def shown(self) -> Mapping[str, tuple[int, int]]:
        """Znodes and bytes of data by child, and of all others together if there are any. From any thread."""
        weights, chosen = self._weights.copy(), self._chosen
        shown = {child: weight for child, weight in weights.items() if child in chosen}
        if len(shown) < len(weights):
            left = [weight for child, weight in weights.items() if child not in chosen]
            # A child of this name cannot be told from the others.
            left += [shown[OTHER]] if OTHER in shown else []
            shown[OTHER] = (sum(znodes for znodes, _ in left), sum(size for _, size in left))
        return shown
