"""Daemon: the exporter's ensembles and its web server within this process, to measure what scrapes and pages cost."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

from bench.trees import ROOT
from exporter import TreeCache, __version__
from exporter.config.settings import OPTIONS, Ensemble, ListenAddress, Tree
from exporter.daemon.fleet import Fleet
from exporter.telemetry.collectors import build_registry
from exporter.treecache import Shard
from exporter.web.app import create_app
from exporter.web.listening import base_url, listen
from exporter.web.server import serving


class Daemon:
    """Watches the benchmarks' tree on a server, and serves it at `url`; it does not ask for the server's own numbers.

    Args:
        hosts: the server.
        keep_data: whether its cache keeps data, which the daemon's caches do not by default.
        shard: its share of the tree; by default all of it.
        session_timeout: in seconds.
    """

    def __init__(
        self, hosts: str, *, keep_data: bool = False, shard: Shard | None = None, session_timeout: float = 10.0
    ) -> None:
        tree = Tree("tree", ROOT, options=replace(OPTIONS, keep_data=keep_data))
        self._fleet = Fleet([Ensemble("bench", hosts, (tree,), session_timeout=session_timeout, servers=None)], shard)
        self._listener = listen(ListenAddress("127.0.0.1", 0))
        self._serving = threading.Event()

    def serve(self) -> None:
        """Starts the web server. Raises RuntimeError if that fails."""
        serving = threading.Thread(target=asyncio.run, args=[self._serve()], daemon=True)
        serving.start()
        while not self._serving.wait(0.1):
            if not serving.is_alive():
                raise RuntimeError("bench: the web server did not start")

    def start(self) -> None:
        """Connects, and begins to load the tree."""
        self._fleet.start()

    @property
    def url(self) -> str:
        """The address of the web server."""
        return base_url(self._listener)

    @property
    def cache(self) -> TreeCache:
        """The cache of the tree."""
        cache = self._fleet[0].caches["tree"]
        assert isinstance(cache, TreeCache)
        return cache

    @property
    def traffic(self) -> dict[str, int]:
        """The bytes sent to and received from the server."""
        stats = self._fleet[0].client.stats()
        return {"sent": stats.sent_bytes, "received": stats.received_bytes}

    async def _serve(self) -> None:
        registry = build_registry(self._fleet, __version__)
        app = create_app(registry, self._fleet, telemetry_path="/metrics", version=__version__)
        async with serving(app, [self._listener]):
            self._serving.set()
            await asyncio.Event().wait()
