"""`python -m tests.web.serve [--config FILE] [--large]`: the app about known ensembles in its own process.

It ends on SIGTERM. Its timeouts for clients are shorter than the exporter's, so that tests can see them expire. With
`--large` there are many trees, and one that takes a while to browse.
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from typing import Any

from kazoo.protocol.states import ZnodeStat

from exporter.config.web import load
from exporter.daemon import logs
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache.events import NodeData
from exporter.treecache.stats import CacheStats
from exporter.web import connections
from tests.telemetry.known import BUSY_CLIENT, Source, ensemble
from tests.web.running import fresh, running

HANDSHAKE_TIMEOUT = 3.0
REQUEST_TIMEOUT = 2.0
#: Trees of a large ensemble, and the children of the root of the one named WIDE.
TREES, WIDE, CHILDREN = 40, "wide", 100_000

_STAT = ZnodeStat(1, 1, 1_700_000_000_000, 1_700_000_000_000, 0, 0, 0, 0, 2_800, CHILDREN, 1)
#: JSON whose indented form has a thousand times as many characters.
_DEEP = b"[" * 900 + b"[]," * 500 + b"[]" + b"]" * 900


class WideCache(Source[CacheStats]):
    """A tree whose root has very many children."""

    _children = frozenset(f"child-{number:06}" for number in range(CHILDREN))

    def get_data(self, path: str, default: Any = None) -> Any:
        return NodeData.make(path, _DEEP, _STAT)

    def get_children(self, path: str, default: Any = None) -> Any:
        return frozenset(set(self._children)) if path == "/" else frozenset()


def large() -> EnsembleSource:
    """An ensemble `large` with many trees."""
    trees = {f"tree-{number:02}": Source(fresh()) for number in range(TREES)}
    wide = WideCache(fresh(path="/"))
    return EnsembleSource("large", Source(BUSY_CLIENT), {**trees, WIDE: wide})


def main() -> None:
    """Serves until a signal ends it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path)
    parser.add_argument("--large", action="store_true")
    arguments = parser.parse_args()
    logs.configure()
    connections.HANDSHAKE_TIMEOUT, connections.REQUEST_TIMEOUT = HANDSHAKE_TIMEOUT, REQUEST_TIMEOUT
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    known = [ensemble(), large()] if arguments.large else [ensemble()]
    config = load(str(arguments.config)) if arguments.config else None
    with running(*known, config=config, expose_data=arguments.large) as server:
        print(server.url, flush=True)
        signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    main()
