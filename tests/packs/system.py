"""System: the znodes of a known system, and what the rules of its pack say of them."""

from __future__ import annotations

import json
from typing import Any

from exporter.packs.library import load
from tests.views.rules.driving import Driving

#: Every series, by the name of the metric without what all metrics of the pack begin with, and by the labels' values.
Said = dict[str, dict[tuple[str, ...], float]]


class System(Driving):
    """The znodes of a system in a tree that begins at ``/``, which is complete from the beginning."""

    def __init__(self, pack: str) -> None:
        self.pack = load(pack)
        super().__init__(*self.pack.rules_in("/"))
        self.view.complete()

    def write(self, path: str, data: bytes | str | dict[str, Any] = b"", owner: int = 0) -> None:
        """Creates a znode, ephemeral if it has an owner, and the missing znodes above it; a mapping is JSON."""
        above = path.rpartition("/")[0]
        if above not in self.nodes:
            self.write(above)
        if isinstance(data, dict):
            data = json.dumps(data, separators=(",", ":"))
        self.create(path, data if isinstance(data, bytes) else data.encode(), owner)

    def created(self, path: str) -> float:
        """When a znode was created, in Unix seconds."""
        return self.nodes[path].ctime / 1000

    @property
    def said(self) -> Said:
        """All series. Fails if a znode is unusable for a rule."""
        said: Said = {}
        for snapshot in self.view.snapshots():
            assert not any(snapshot.unusable.values()), (snapshot.rule.name, snapshot.named)
            for family, series in snapshot.series:
                said[family.name.removeprefix(f"zookeeper_znode_{self.pack.name}_")] = dict(series)
        return said
