"""Reload: reads the configuration again and applies it; a bad one changes nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import structlog

from exporter.config.settings import Ensemble, SettingsError
from exporter.daemon import systemd
from exporter.daemon.fleet import Fleet
from exporter.process.executor import ThreadExecutor
from exporter.telemetry.sources import ReloadStats

#: Seconds that a shutdown waits for a configuration that is being applied.
CLOSE_TIMEOUT = 1.0

#: Reads the configuration; raises SettingsError.
Load = Callable[[], tuple[Ensemble, ...]]

log = structlog.stdlib.get_logger("exporter")


class Reloader:
    """Reloads the configuration, one reload after the other. Created after the first configuration is loaded.

    `load` is None if the settings come from flags, which cannot be reloaded.
    """

    def __init__(self, fleet: Fleet, load: Load | None) -> None:
        self._fleet = fleet
        self._load = load
        # One thread, so that reloads wait for each other.
        self._worker = ThreadExecutor("reload")
        self._not_ending = threading.Lock()
        self._closed = False
        #: The last reload's problem, None if it succeeded.
        self._problem: str | None = None
        self._stats = ReloadStats(successful=True, succeeded_at=time.time())

    def stats(self) -> ReloadStats:
        """The result of the last reload."""
        return self._stats

    @property
    def is_unfinished(self) -> bool:
        """Whether the last reload failed; a retry may help, since it may have run out of file descriptors."""
        return self._problem is not None

    async def reload(self, *, is_repeated: bool = False) -> None:
        """Reloads, and waits until the changes are started; does nothing after `close`.

        Logs the problem of a failed reload; with `is_repeated` only if it differs from the last one.

        Raises SettingsError if the configuration is bad, or if it cannot be applied, because the process is out of file
        descriptors or threads.
        """
        if self._closed:
            return
        await asyncio.get_running_loop().run_in_executor(self._worker, self._reload, is_repeated)

    def close(self) -> None:
        """Ends reloading: nothing is changed and systemd is not notified any more.

        Waits at most `CLOSE_TIMEOUT` seconds for changes that are being applied, but not for a file that hangs.
        """
        is_last = self._not_ending.acquire(timeout=CLOSE_TIMEOUT)
        self._closed = True
        if is_last:
            self._not_ending.release()
        self._worker.shutdown()

    def _reload(self, is_repeated: bool) -> None:
        self._notify(systemd.reloading())
        logged = self._problem if is_repeated else None
        try:
            self._apply()
            self._problem = None
        except SettingsError as error:
            self._fail(error)
            if self._problem != logged:
                for line in error.lines:
                    log.error("configuration refused", reason=line)
            raise
        except Exception as error:
            self._fail(error)
            if self._problem != logged:
                log.exception("configuration not applied")
            problem = f"applied only in part: {error}; the next reload tries again"
            raise SettingsError("configuration", None, problem) from error
        finally:
            self._notify(systemd.READY)

    def _fail(self, error: Exception) -> None:
        self._problem = f"{type(error).__name__}: {error}"
        self._stats = replace(self._stats, successful=False)

    def _apply(self) -> None:
        if self._load is None:
            log.info("nothing to reload", reason="the settings come from flags")
            return
        ensembles = self._load()
        with self._not_ending:
            if self._closed:
                return
            self._fleet.change(ensembles)
            self._stats = ReloadStats(successful=True, succeeded_at=time.time())
        log.info("configuration reloaded", ensembles=len(ensembles))

    def _notify(self, state: str) -> None:
        with self._not_ending:
            if not self._closed:
                systemd.notify(state)
