"""Polling: polls the servers of one ensemble at an interval, each by itself, in a thread with its own event loop.

So neither a scrape nor the web server waits for a server, nor does one server wait for another.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Sequence

import structlog

from exporter.config.settings import Servers, Tls
from exporter.process.executor import ThreadExecutor
from exporter.servers.discovery import ReadConfig, servers_in
from exporter.servers.failures import PollError
from exporter.servers.poll import Options
from exporter.servers.probe import probe
from exporter.servers.server import Server
from exporter.servers.targets import Named, Target, addresses_of, named, targets_of
from exporter.servers.tls import Context
from exporter.telemetry.sources import ServerStats

#: Seconds that `stop` waits for the thread, which closes the connections and has nothing else to wait for.
_STOPPING = 1.0

log = structlog.stdlib.get_logger("exporter")


class Polling:
    """The servers of one ensemble, polled from `start` to `stop`. `stats` may be called from any thread at any time.

    Args:
        ensemble: the ensemble's name, for the log.
        hosts: its connection string; its names are resolved at each poll.
        settings: how to ask.
        tls: how to speak TLS with the servers; None for plain TCP.
        read_config: reads the ensemble's dynamic configuration, whose servers then take the place of those of `hosts`;
            None to leave it alone.
    """

    def __init__(
        self,
        ensemble: str,
        hosts: str,
        settings: Servers,
        tls: Tls | None = None,
        read_config: ReadConfig | None = None,
    ) -> None:
        #: Whether every number is wanted, not only those of the list.
        self.wants_all = settings.all_names
        self._name = ensemble
        self._settings = settings
        self._options = Options(settings.timeout, settings.admin, tls is not None, Context(tls))
        self._read_config = read_config
        #: The servers behind each name. Other names come with another object, so that any thread can read this.
        self._servers: dict[Named, tuple[Server, ...]] = dict.fromkeys(named(hosts), ())
        #: The client ports of a dynamic configuration are not those for TLS.
        self._tls_port = None if tls is None else next(iter(self._servers)).port
        self._tasks: dict[Named, asyncio.Task[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping = asyncio.Event()

    def stats(self) -> Sequence[ServerStats]:
        """Each server as it is known now. What an old poll said counts no more."""
        oldest = time.monotonic() - 2 * (self._settings.interval + self._settings.timeout)
        found = {server.target.zk_host: server for servers in self._servers.values() for server in servers}
        return [server.stats(oldest) for server in found.values()]

    async def probe(self, zk_host: str, timeout: float) -> ServerStats | None:
        """What one of the servers says now, within `timeout` seconds; None if it is none of them.

        Runs in the caller's event loop. A name that stands for several servers is one of them, whichever answers.
        """
        for name, servers in self._servers.items():
            for server in servers:
                if server.target.zk_host == zk_host:
                    return await probe(server.target, self._options, timeout)
            if str(name) == zk_host:
                addresses = tuple(address for server in servers for address in server.target.addresses)
                return await probe(Target(zk_host, name.host, name.port, addresses), self._options, timeout)
        return None

    def start(self) -> None:
        """Starts polling. Raises OSError or RuntimeError if the process is out of file descriptors or threads."""
        self._loop = loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, args=(loop,), name=f"servers of {self._name}", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._thread = None
            loop.close()
            raise

    def stop(self) -> None:
        """Stops polling and closes all connections; again, or before the start, does nothing."""
        if self._loop is not None and self._thread is not None:
            # The loop is closed if it was stopped before.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(_STOPPING)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.run_until_complete(self._poll_until_stopped())
        finally:
            loop.close()

    async def _poll_until_stopped(self) -> None:
        self._follow(tuple(self._servers))
        discovering = [] if self._read_config is None else [asyncio.ensure_future(self._discover(self._read_config))]
        await self._stopping.wait()
        tasks = [*discovering, *self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _follow(self, names: Sequence[Named]) -> None:
        """Polls the servers behind these names from now on, and no others."""
        for name in self._tasks.keys() - set(names):
            self._tasks.pop(name).cancel()
        self._servers = {name: self._servers.get(name, ()) for name in names}
        for name in names:
            if name not in self._tasks:
                self._tasks[name] = asyncio.ensure_future(self._keep_up(name))

    async def _discover(self, read_config: ReadConfig) -> None:
        """Follows the ensemble's dynamic configuration until cancelled; while it cannot be read, nothing changes."""
        while True:
            try:
                async with asyncio.timeout(self._settings.timeout):
                    config = await read_config()
                names = servers_in(config or b"", self._tls_port)
                if names and names != tuple(self._servers):
                    self._follow(names)
            except TimeoutError:
                pass
            except Exception:
                log.exception("servers not discovered", ensemble=self._name)
            await asyncio.sleep(self._settings.interval)

    async def _keep_up(self, name: Named) -> None:
        """Polls the servers behind a name until cancelled."""
        clock = asyncio.get_running_loop().time
        resolver = ThreadExecutor(f"address of {name}")
        try:
            while True:
                due = clock() + self._settings.interval
                try:
                    await self._poll_all(name, resolver)
                except Exception:
                    log.exception("servers not polled", ensemble=self._name, server=str(name))
                await asyncio.sleep(due - clock())
        finally:
            resolver.shutdown()

    async def _poll_all(self, name: Named, resolver: ThreadExecutor) -> None:
        try:
            targets = targets_of(name, await self._addresses(name, resolver))
        except PollError as failure:
            # Those that are known already may still be where they were.
            targets = tuple(server.target for server in self._servers[name] if server.target.addresses)
            if not targets:
                self._become(name, (Target(str(name), name.host, name.port, ()),))
                self._servers[name][0].fail(failure.reason, failure.text)
                return
        self._become(name, targets)
        await asyncio.gather(*(server.poll() for server in self._servers[name]))

    def _become(self, name: Named, targets: Sequence[Target]) -> None:
        """Notes which servers there are now; those that were there before stay what they are."""
        known = {server.target.zk_host: server for server in self._servers[name]}
        servers = [known.get(target.zk_host) or Server(target, self._options, lists_clients=True) for target in targets]
        for server, target in zip(servers, targets, strict=True):
            server.target = target
        self._servers[name] = tuple(servers)

    async def _addresses(self, name: Named, resolver: ThreadExecutor) -> tuple[str, ...]:
        """The addresses of a name. Raises PollError if they cannot be found out."""
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await addresses_of(name, resolver)
        except TimeoutError:
            raise PollError("dns", "the name cannot be resolved in time") from None
        except OSError as error:
            raise PollError("dns", f"the name cannot be resolved: {error.strerror or error}") from None
