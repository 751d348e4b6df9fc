"""LimitsView: the view that knows the largest znodes and lists of children of a tree, and its subtrees."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exporter.treecache import TreeCache
from exporter.treecache.events import TreeEvent
from exporter.treecache.outcome import AddedRun, Event
from exporter.treecache.sums import sizes
from exporter.treecache.view import Batch, View
from exporter.views.limits.extremes import Extremes
from exporter.views.limits.listings import Listings
from exporter.views.limits.subtrees import Subtrees, Weight
from exporter.zookeeper.records import size_and_children

#: ZooKeeper's default of `jute.maxbuffer` in bytes: 1 MiB less one (its Administrator's Guide).
JUTE_MAXBUFFER = 0xFFFFF
#: The share of the limit from which on a size is near it.
NEAR = 0.8


@dataclass(frozen=True)
class Limits:
    """What to compare a tree with: the servers' `jute.maxbuffer` in bytes, and how many subtrees have series."""

    jute_maxbuffer: int = JUTE_MAXBUFFER
    subtrees: int = 0

    @property
    def mark(self) -> int:
        """The bytes from which on a znode or a list is near the limit."""
        return math.ceil(NEAR * self.jute_maxbuffer)


class Weighed(NamedTuple):
    """The sizes of a tree. Sizes are bytes; those near the limit are by path, below the root."""

    limit: int
    largest_node: int
    largest_children_count: int
    largest_children_list: int
    near_data: Mapping[str, int]
    near_children_list: Mapping[str, int]
    subtrees: Mapping[str, Weight]

    @property
    def near(self) -> Mapping[str, int]:
        """Those near the limit by either."""
        return {**self.near_data, **self.near_children_list}


class LimitsView(View):
    """The sizes of one tree; there are none before it is complete, and the last ones stay while it is read again.

    Args:
        limits: what to compare with.
        names: gives the names of a znode's children in the tree, by its path below the root; called while the tree is
            as after the changes that the view got.
    """

    def __init__(self, limits: Limits, names: Callable[[str], Collection[str]]) -> None:
        self.limits = limits
        self._names = names
        self._begin()

    @classmethod
    def of(cls, cache: TreeCache, limits: Limits) -> LimitsView:
        """The view for a cache, which it still has to be added to."""
        root = cache.stats().path.rstrip("/")
        return cls(limits, lambda path: cache.get_children(f"{root}{path}" or "/", frozenset()))

    def _begin(self) -> None:
        # First, so that readers in other threads see nothing of what follows.
        self._is_complete_once = False
        self._mark = self.limits.mark
        self._data = Extremes()
        self._children = Extremes()
        self._near_data: dict[str, int] = {}
        self._listings = Listings(self._names, self._mark)
        self._subtrees = Subtrees(self.limits.subtrees) if self.limits.subtrees else None
        #: The children of these count in their parents' lists, and nowhere else.
        self._unreadable: set[str] = set()
        self._largest = (0, 0, 0)
        self._kept: Weighed | None = None

    # What the cache calls

    def changed(self, batch: Batch) -> None:
        for one in batch:
            if isinstance(one, AddedRun):
                self._added_run(one.paths, one.records)
            else:
                self._change(one)
        self._settle()

    def complete(self) -> None:
        if self._subtrees is not None and not self._is_complete_once:
            self._subtrees.choose()
        self._is_complete_once, self._kept = True, None

    def incomplete(self) -> None:
        self._kept = self._weighed()

    def reset(self) -> None:
        self._begin()

    # What others may call

    @property
    def is_known(self) -> bool:
        """Whether the tree was complete since the view has it. From any thread."""
        return self._is_complete_once and self.failure is None

    def weighed(self) -> Weighed | None:
        """The sizes now, from any thread; None before the tree is complete, or if the view has failed."""
        if not self.is_known:
            return None
        return self._kept or self._weighed()

    # Changes

    def _added_run(self, paths: Sequence[str], records: Sequence[bytes]) -> None:
        lengths, counts = sizes(records)
        head = paths[0][: paths[0].rindex("/")]
        self._data.add_all(lengths)
        if self._data.largest >= self._mark:
            self._near_data.update(
                {path: size for path, size in zip(paths, lengths, strict=True) if size >= self._mark}
            )
        if any(counts):
            for path, children in zip(paths, counts, strict=True):
                if children:
                    self._children.add(children)
                    self._listings.counted(path, children)
        self._listings.children(head, paths)
        if self._subtrees is not None:
            self._subtrees.added_run(head, list(paths), lengths)

    def _change(self, event: Event) -> None:
        kind, path, record, old = event
        if kind == TreeEvent.NODE_UPDATED:
            self._measure(path, old, record)
        elif kind == TreeEvent.NODE_ADDED:
            self._measure(path, None, record)
            if path in self._unreadable:
                self._unreadable.remove(path)
            else:
                self._listings.child(path, +1)
        elif kind == TreeEvent.NODE_REMOVED:
            self._unreadable.discard(path)
            self._listings.child(path, -1)
            self._measure(path, record, None)
        elif kind == self.NODE_UNREADABLE and path not in self._unreadable:
            self._unreadable.add(path)
            self._listings.child(path, +1)

    def _measure(self, path: str, old: bytes | None, record: bytes | None) -> None:
        """A znode has another record, or has come or gone. What did not change keeps its place: no reader misses it."""
        size_before, children_before = (None, 0) if old is None else size_and_children(old)
        size, children = (None, 0) if record is None else size_and_children(record)
        if size != size_before:
            if size_before is not None:
                self._data.remove(size_before)
            if size is not None:
                self._data.add(size)
            if size is not None and size >= self._mark:
                self._near_data[path] = size
            else:
                self._near_data.pop(path, None)
            if self._subtrees is not None:
                came = (size is not None) - (size_before is not None)
                self._subtrees.changed(path, came, (size or 0) - (size_before or 0))
        if children != children_before:
            if children_before:
                self._children.remove(children_before)
            if children:
                self._children.add(children)
            self._listings.counted(path, children)

    def _settle(self) -> None:
        self._listings.settle()
        self._largest = (self._data.largest, self._children.largest, self._listings.largest)

    def _weighed(self) -> Weighed:
        near_data, near_lists = self._near_data.copy(), self._listings.near.copy()
        subtrees = {} if self._subtrees is None else self._subtrees.shown()
        return Weighed(self.limits.jute_maxbuffer, *self._largest, near_data, near_lists, subtrees)
