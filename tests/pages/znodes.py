"""A cache of made-up znodes, for tests to browse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kazoo.protocol.states import ZnodeStat

from exporter.treecache.events import NodeData
from exporter.treecache.stats import CacheStats
from tests.telemetry.known import BUSY_CACHE

STAT = ZnodeStat(0x10, 0x11, 1_700_000_000_000, 1_700_000_000_000, 3, 4, 5, 0, 6, 7, 0x12)


class Znodes:
    """A cache of these znodes by path, each with a stat, or None if unreadable, and all with the same data."""

    def __init__(self, root: str, stats: Mapping[str, ZnodeStat | None], data: bytes | None = b"data") -> None:
        self._root, self._stats, self._data = root, stats, data
        self._children: dict[str, set[str]] = {path: set() for path in stats}
        for path in stats:
            parent, _, name = path.rpartition("/")
            if (parent or "/") in self._children and name:
                self._children[parent or "/"].add(name)

    def stats(self) -> CacheStats:
        return replace(BUSY_CACHE, path=self._root)

    def get_data(self, path: str, default: Any = None) -> Any:
        stat = self._stats.get(path)
        return default if stat is None else NodeData.make(path, self._data, stat)

    def get_children(self, path: str, default: Any = None) -> Any:
        return frozenset(self._children[path]) if path in self._children else default
