"""Scope: which znodes below a root belong to a cache, by selector, depth and shard."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from exporter.process.greenlets import is_kill
from exporter.treecache.shard import Shard

#: How many calls of a selector that raised are remembered.
_REMEMBERED = 10_000


class Selector(Protocol):
    """Chooses the znodes of a cache, as Curator's ``TreeCacheSelector`` does; paths are absolute, inside the chroot.

    The root of the cache always belongs to it. The cache does not descend into a znode that is not kept.
    """

    def keep(self, path: str) -> bool:
        """Whether the znode belongs to the cache."""

    def descend(self, path: str) -> bool:
        """Whether the cache looks at the children of a kept znode."""


class Scope:
    """The znodes that belong to a cache. Paths are relative to its root.

    Args:
        prefix: the root's path for the selector; it precedes relative paths.
        selector: None for every znode.
        max_depth: how far below the root znodes may be, 0 for the root alone; None for any depth.
        on_error: called when the selector raises, once for each method and path; the znode then belongs to the cache.
        shard: which first-level children belong to the cache; None for all.
    """

    def __init__(
        self,
        prefix: str,
        selector: Selector | None,
        max_depth: int | None,
        on_error: Callable[[BaseException], None],
        shard: Shard | None = None,
    ) -> None:
        self._prefix = prefix
        self._selector = selector
        self._max_depth = max_depth
        self._shard = shard
        self._on_error = on_error
        self._unanswered: set[tuple[str, str]] = set()
        #: Whether every znode below the root belongs to the cache.
        self.is_everything = selector is None and max_depth is None and shard is None

    def children(self, path: str, names: Iterable[str]) -> list[str]:
        """The paths of a znode's children that belong to the cache as well."""
        if not self.descends(path):
            return []
        children = [f"{path}/{name}" for name in names]
        if not path and self._shard is not None:
            children = [child for child in children if self._owns(child)]
        if self._selector is not None:
            children = [child for child in children if self._keeps(child)]
        return children

    def others(self, names: Iterable[str], own: Iterable[str]) -> frozenset[str]:
        """The names of the root's children that belong to other shards; `own` are those of this shard."""
        if self._shard is None or not self.descends(""):
            return frozenset()
        return frozenset(child[1:] for child in {f"/{name}" for name in names}.difference(own) if self._keeps(child))

    def descends(self, path: str) -> bool:
        """Whether a znode of the cache may have children that belong to the cache."""
        if self.is_deepest(path):
            return False
        return self._selector is None or self._asks("descend", path)

    def covers(self, path: str) -> bool:
        """Whether a znode at this path would belong to the cache."""
        if self._max_depth is not None and path.count("/") > self._max_depth:
            return False
        if path and not self._owns(first_level(path)):
            return False
        if self._selector is None:
            return True
        ancestor = ""
        for name in path.split("/")[1:]:
            if not self._asks("descend", ancestor):
                return False
            ancestor = f"{ancestor}/{name}"
            if not self._keeps(ancestor):
                return False
        return True

    def is_deepest(self, path: str) -> bool:
        """Whether the children of a znode at a path would be too deep."""
        return self._max_depth is not None and path.count("/") >= self._max_depth

    def may_leave_out_children(self, path: str) -> bool:
        """Whether the cache may rightly hold fewer children of a znode than the server counts."""
        is_shared_out = self._shard is not None and not path
        return is_shared_out or self._selector is not None or self.is_deepest(path)

    def _owns(self, child: str) -> bool:
        return self._shard is None or self._shard.owns(self._prefix + child)

    def _keeps(self, path: str) -> bool:
        return self._selector is None or self._asks("keep", path)

    def _asks(self, question: str, path: str) -> bool:
        try:
            return bool(getattr(self._selector, question)(self._prefix + path or "/"))
        except BaseException as error:
            if is_kill(error):
                raise
            if (question, path) not in self._unanswered:
                if len(self._unanswered) >= _REMEMBERED:
                    self._unanswered.clear()
                self._unanswered.add((question, path))
                self._on_error(error)
            return True


def first_level(path: str) -> str:
    """The first-level child that a path below the root is at or below."""
    end = path.find("/", 1)
    return path if end < 0 else path[:end]
