"""Daemon: connects to the ensembles, keeps the trees, serves what is to be told about them, and stops when asked."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator

import structlog
from kazoo.client import KazooClient
from kazoo.protocol.states import KazooState
from kazoo.retry import KazooRetry

from exporter import __version__
from exporter.settings import Ensemble, Settings
from exporter.telemetry.collectors import build_registry
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache import TreeCache
from exporter.web.app import create_app
from exporter.web.server import base_url, listen, serving
from exporter.zookeeper.session import Session

#: Seconds that all sessions together may take to end; a server that hangs would take longer.
STOP_TIMEOUT = 2.5

log = structlog.stdlib.get_logger("exporter")


def run(settings: Settings, *, on_ready: Callable[[str], None] | None = None) -> int:
    """Serves until SIGTERM or SIGINT, then stops within a few seconds and gives the exit status 0.

    Neither start nor stop waits for ZooKeeper. A second signal ends the process at once. `on_ready` is called with
    the base URL when the daemon serves. To be called in the main thread, for the sake of the signals.

    Raises SettingsError if the listen address cannot be had.
    """
    return asyncio.run(_run(settings, on_ready))


async def _run(settings: Settings, on_ready: Callable[[str], None] | None) -> int:
    with _termination() as terminated, contextlib.closing(listen(settings.web.listen_address)) as listener:
        ensembles = [WatchedEnsemble(ensemble) for ensemble in settings.ensembles]
        sources = [ensemble.source for ensemble in ensembles]
        app = create_app(
            build_registry(sources, __version__),
            sources,
            telemetry_path=settings.web.telemetry_path,
            version=__version__,
        )
        async with serving(app, listener):
            for ensemble in ensembles:
                ensemble.start()
            url = base_url(listener)
            log.info("serving", version=__version__, url=url, telemetry_path=settings.web.telemetry_path)
            if on_ready is not None:
                on_ready(url)
            log.info("stopping", signal=await terminated)
        # Only now: a scrape must not find caches that are already being emptied.
        _stop_all(ensembles)
    log.info("stopped")
    return 0


class WatchedEnsemble:
    """One ensemble: a client that keeps trying to connect, and a cache for each tree."""

    def __init__(self, settings: Ensemble) -> None:
        self._log = log.bind(ensemble=settings.name)
        self._hosts = settings.hosts
        self._client = KazooClient(
            hosts=settings.hosts,
            timeout=settings.session_timeout,
            connection_retry=KazooRetry(max_tries=-1, delay=0.1, backoff=2, max_delay=5),
        )
        self._session = Session.attach(self._client)
        self._caches = {
            tree.name: TreeCache(self._client, tree.path, create_root=False, keep_data=False) for tree in settings.trees
        }
        self.source = EnsembleSource(settings.name, self._session, self._caches)

    def start(self) -> None:
        """Starts connecting and caching, and waits for neither."""
        for name, cache in self._caches.items():
            cache.listen_fault(FaultLog(self._log.bind(tree=name)))
            cache.start()
        self._client.add_listener(self._log_state)
        self._log.info("connecting", hosts=self._hosts, trees=", ".join(self._caches))
        self._client.start_async()

    def stop(self) -> None:
        """Ends the caches and the session; blocks for as long as the server does not answer."""
        self._client.remove_listener(self._log_state)
        for cache in self._caches.values():
            cache.close()
        self._client.stop()
        self._client.close()

    def _log_state(self, state: str) -> None:
        """Tells of a change of the connection's state; kazoo calls it on the connection's thread."""
        if state == KazooState.CONNECTED:
            self._log.info("connected", server=self._session.stats().server)
        elif state == KazooState.SUSPENDED:
            self._log.info("connection suspended")
        else:
            self._log.warning("session lost")


class FaultLog:
    """Logs the faults of one tree: the first of each type as a warning, the others, which metrics count, at debug."""

    def __init__(self, logger: structlog.stdlib.BoundLogger) -> None:
        self._log = logger
        self._seen: set[type[Exception]] = set()

    def __call__(self, fault: Exception) -> None:
        known = type(fault) in self._seen
        self._seen.add(type(fault))
        tell = self._log.debug if known else self._log.warning
        tell("fault", fault=type(fault).__name__, reason=str(fault))


@contextlib.contextmanager
def _termination() -> Iterator[asyncio.Future[str]]:
    """A future for the name of the first SIGTERM or SIGINT; from then on both end the process at once."""
    loop = asyncio.get_running_loop()
    terminated: asyncio.Future[str] = loop.create_future()
    signals = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in signals}

    def terminate(first: signal.Signals) -> None:
        for number in signals:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        terminated.set_result(first.name)

    for number in signals:
        loop.add_signal_handler(number, terminate, number)
    try:
        yield terminated
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])


def _stop_all(ensembles: list[WatchedEnsemble]) -> None:
    """Stops every ensemble at the same time, and leaves behind what has not ended after `STOP_TIMEOUT`."""
    deadline = time.monotonic() + STOP_TIMEOUT
    threads = [threading.Thread(target=ensemble.stop, daemon=True) for ensemble in ensembles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        log.warning("sessions left to expire", reason=f"ZooKeeper did not answer within {STOP_TIMEOUT:g} s")
