"""Poisonable: the exporter with a way in that it must not have, to make a cache wrong in secret.

`python -m tests.integration.poisonable` takes the exporter's flags. At SIGUSR1 it takes a znode out of every cache, of
which nothing has told it. What changes there before an audit comes by brings the znode back, rightly.
"""

from __future__ import annotations

import signal
import sys
from typing import Any

from exporter import cli, ensemble
from exporter.treecache import TreeCache
from exporter.treecache.tree import Branch

_caches: list[TreeCache] = []


class _Poisonable(TreeCache):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        _caches.append(self)


def _poison(*_: object) -> None:
    for cache in _caches:
        branch = cache._replica.tree.root
        assert branch is not None
        while inner := [child for child in branch.children.values() if isinstance(child, Branch)]:
            branch = inner[0]
        if branch.children:
            branch.children.popitem()


if __name__ == "__main__":
    vars(ensemble)["TreeCache"] = _Poisonable
    signal.signal(signal.SIGUSR1, _poison)
    sys.exit(cli.main())
