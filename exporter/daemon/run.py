"""Run: runs the daemon, which watches ensembles, serves metrics and pages, reloads, and stops on a signal."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import structlog

from exporter import __version__
from exporter.config import web as web_config
from exporter.config.settings import Settings, SettingsError, Web
from exporter.daemon import systemd
from exporter.daemon.autoreload import AutoReload, reloading_changes
from exporter.daemon.collectors import collectors, running
from exporter.daemon.fleet import Fleet
from exporter.daemon.reload import Load, Reloader
from exporter.daemon.tracing import exporting
from exporter.process.signals import ENDING, end_at_once, hung_up_early
from exporter.telemetry.collecting import registry_of
from exporter.web.app import create_app, kinds, open_to_all
from exporter.web.listening import base_url, listening
from exporter.web.server import ServerError, serving

log = structlog.stdlib.get_logger("exporter")


def run(
    settings: Settings,
    *,
    load: Load | None = None,
    auto_reload: AutoReload | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> int:
    """Serves until SIGTERM or SIGINT, then stops within a few seconds and returns the exit status 0.

    If the web server cannot start or ends unexpectedly, logs one line and returns 1.

    Neither start nor stop waits for ZooKeeper. A second signal ends the process immediately. SIGHUP reloads: `load`
    reads the ensembles again; without `load`, the settings are fixed. `auto_reload` reloads without a signal. Once it
    serves, it calls `on_ready` with the base URL of the first address. Must run in the main thread, because of the
    signals.

    Raises SettingsError if it cannot listen on an address, if the web configuration, one of its files or an
    OpenTelemetry variable cannot be used, or if the limit of open files is too low to start.
    """
    try:
        return asyncio.run(_run(settings, load, auto_reload, on_ready))
    except ServerError as error:
        log.error("cannot serve", reason=str(error))
        return 1
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        problem = "too few open files to start; accepted: 1024 or more, by `ulimit -n` or systemd's LimitNOFILE="
        raise SettingsError("RLIMIT_NOFILE", str(limit), problem) from None


async def _run(
    settings: Settings,
    load: Load | None,
    auto_reload: AutoReload | None,
    on_ready: Callable[[str], None] | None,
) -> int:
    web = settings.web
    of_web = None if web.config_file is None else web_config.load(web.config_file)
    with _termination() as terminated, exporting() as spans_dropped, _listeners(web) as listeners:
        fleet = Fleet(settings.ensembles, settings.shard)
        reloader = Reloader(fleet, load)
        gathered = collectors(settings, fleet, reloader, spans_dropped)
        app = create_app(
            registry_of(gathered),
            fleet,
            telemetry_path=web.telemetry_path,
            route_prefix=web.route_prefix,
            version=__version__,
            expose_data=web.expose_data,
            dashboard_url=web.dashboard_url,
            reload=reloader.reload if web.enable_lifecycle else None,
            shard=settings.shard,
            probe_any_target=web.probe_any_target,
        )
        with _reloading_on_hangup(reloader), reloading_changes(auto_reload, reloader), running(gathered):
            kind_of = kinds(web.telemetry_path, web.route_prefix)
            open_ones = open_to_all(web.route_prefix)
            async with serving(app, listeners, of_web, open_to_all=open_ones, kind_of=kind_of) as failed:
                fleet.start()
                urls = [base_url(listener, of_web) for listener in listeners]
                telemetry_path = web.route_prefix + web.telemetry_path
                for url in urls:
                    log.info("serving", version=__version__, url=url, telemetry_path=telemetry_path)
                systemd.notify(systemd.READY)
                if on_ready is not None:
                    on_ready(urls[0])
                status = await _end(terminated, failed)
                reloader.close()
                systemd.notify(systemd.STOPPING)
            # After the server has stopped: a scrape must not find caches that are being emptied.
            fleet.stop()
    log.info("stopped")
    return status


async def _end(terminated: asyncio.Future[str], failed: asyncio.Future[ServerError]) -> int:
    """Waits until the daemon has to end, logs why, and returns the exit status."""
    reasons: list[asyncio.Future[Any]] = [terminated, failed]
    await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
    if terminated.done():
        log.info("stopping", signal=terminated.result())
        return 0
    log.error("stopping", reason=f"the web server failed: {failed.result()}")
    return 1


def _listeners(web: Web) -> AbstractContextManager[Sequence[socket.socket]]:
    return systemd.passed_sockets() if web.systemd_socket else listening(web.listen_addresses)


@contextlib.contextmanager
def _reloading_on_hangup(reloader: Reloader) -> Iterator[None]:
    """Reloads on each SIGHUP, one after the other."""
    loop = asyncio.get_running_loop()
    before = signal.getsignal(signal.SIGHUP)
    reloads: set[asyncio.Task[None]] = set()

    async def reload() -> None:
        # The reloader has logged and counted the problem.
        with contextlib.suppress(SettingsError):
            await reloader.reload()

    def hang_up() -> None:
        task = loop.create_task(reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, hang_up)
    if hung_up_early():
        # The signal may have come after the configuration was read.
        hang_up()
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, before)


@contextlib.contextmanager
def _termination() -> Iterator[asyncio.Future[str]]:
    """A future that gets the name of the first SIGTERM or SIGINT; the next one ends the process immediately."""
    loop = asyncio.get_running_loop()
    terminated: asyncio.Future[str] = loop.create_future()
    before = {number: signal.getsignal(number) for number in ENDING}

    def terminate(first: signal.Signals) -> None:
        for number in ENDING:
            loop.remove_signal_handler(number)
            signal.signal(number, end_at_once)
        terminated.set_result(first.name)

    for number in ENDING:
        loop.add_signal_handler(number, terminate, number)
    try:
        yield terminated
    finally:
        for number in ENDING:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])
