"""Poisonable: the exporter with extra paths that harm its caches, for tests only.

`python -m tests.integration.poisonable` takes the exporter's flags.

On SIGUSR1 it removes a znode from every cache of a tree below `/copy_wrong`, without an event. A change of the znode
before the next audit brings it back, as it should.

On SIGUSR2 the engine of the tree `/engine_failed/config` fails in each of its turns, until the next SIGUSR2.

With `CONTROL_GROUPS` in its environment, it reads its memory limit in that folder, which holds in one place what Linux
has in two: the file `cgroup`, and the folder `mounted`.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from exporter import cli
from exporter.daemon import ensemble
from exporter.process import memory
from exporter.treecache import TreeCache
from exporter.treecache.tree import Branch

WRONG, FAILING = "/copy_wrong/", "/engine_failed/config"

_caches: list[TreeCache] = []
_failing = False


class _Poisonable(TreeCache):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        _caches.append(self)

    def _turn(self) -> float | None:
        if _failing and self._path == FAILING:
            raise RuntimeError("failing on purpose")
        return super()._turn()


def _poison(*_: object) -> None:
    for cache in _caches:
        branch = cache._replica.tree.root if cache._path.startswith(WRONG) else None
        if branch is None:
            continue
        while inner := [child for child in branch.children.values() if isinstance(child, Branch)]:
            branch = inner[0]
        if branch.children:
            branch.children.popitem()


def _fail(*_: object) -> None:
    global _failing
    _failing = not _failing


if __name__ == "__main__":
    if "CONTROL_GROUPS" in os.environ:
        groups = Path(os.environ["CONTROL_GROUPS"])
        memory.limit.__defaults__ = (groups / "cgroup", groups / "mounted")
    vars(ensemble)["TreeCache"] = _Poisonable
    signal.signal(signal.SIGUSR1, _poison)
    signal.signal(signal.SIGUSR2, _fail)
    sys.exit(cli.main())
