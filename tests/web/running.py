"""The web server with the app, in this process or another, for tests that use sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from exporter.config.settings import Address, ListenAddress
from exporter.config.web import WebConfig
from exporter.telemetry.collectors import build_registry
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache import Shard
from exporter.treecache.stats import CacheStats
from exporter.web.app import create_app, kinds, open_to_all
from exporter.web.listening import base_url, listening
from exporter.web.server import serving
from tests.telemetry.known import BUSY_CACHE, ensemble


def fresh(**of_a: Any) -> CacheStats:
    """A busy cache without unreadable znodes, which was just verified."""
    return replace(BUSY_CACHE, **{"verified_at": time.time(), "unreadable_nodes": 0, **of_a})


def loading(**of_a: Any) -> CacheStats:
    """A busy cache with a new session, so that it is loading."""
    return fresh(**{"state": "loading", "initialized": False, **of_a})


@dataclass(frozen=True)
class Running:
    """The server's address."""

    url: str
    port: int


@contextlib.contextmanager
def running(
    *ensembles: EnsembleSource,
    config: WebConfig | None = None,
    expose_data: bool = False,
    port: int = 0,
    shard: Shard | None = None,
    version: str = "1.2.3",
    prefix: str = "",
    address: Address | None = None,
) -> Iterator[Running]:
    """Serves the app about these ensembles (default: a busy one) on a loopback port (default: a free one) or `address`.

    Its loop runs in a thread.
    """
    known = ensembles or (ensemble(cache=fresh(stale_after=0.0)),)
    app = create_app(
        build_registry(known, version),
        known,
        telemetry_path="/metrics",
        version=version,
        route_prefix=prefix,
        expose_data=expose_data,
        shard=shard,
    )
    addresses = [address or ListenAddress("127.0.0.1", port)]
    began: list[asyncio.AbstractEventLoop] = []
    started, stop = threading.Event(), asyncio.Event()

    open_ones, kind_of = open_to_all(prefix), kinds("/metrics", prefix)

    async def serve(listener: socket.socket) -> None:
        async with serving(app, [listener], config, open_to_all=open_ones, kind_of=kind_of):
            began.append(asyncio.get_running_loop())
            started.set()
            await stop.wait()

    with listening(addresses) as (listener,):
        thread = threading.Thread(target=asyncio.run, args=[serve(listener)])
        thread.start()
        try:
            assert started.wait(10)
            yield Running(base_url(listener, config), 0 if address else listener.getsockname()[1])
        finally:
            began[0].call_soon_threadsafe(stop.set)
            thread.join(10)
            assert not thread.is_alive()
