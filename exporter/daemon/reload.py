"""Reload: reads the configuration again and applies it, or keeps everything as it is when it is bad."""

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

#: Seconds to wait in the end for a configuration that is being applied.
CLOSE_TIMEOUT = 1.0

#: What reads the configuration; raises SettingsError.
Load = Callable[[], tuple[Ensemble, ...]]

log = structlog.stdlib.get_logger("exporter")


class Reloader:
    """Reloads one after the other, whoever asks. Made when the first configuration is in force.

    `load` is None where the settings are flags, of which there is nothing to read again.
    """

    def __init__(self, fleet: Fleet, load: Load | None) -> None:
        self._fleet = fleet
        self._load = load
        # One thread, so that reloads wait for each other.
        self._worker = ThreadExecutor("reload")
        self._not_ending = threading.Lock()
        self._closed = False
        #: What was wrong the last time, None if nothing was.
        self._problem: str | None = None
        self._stats = ReloadStats(successful=True, succeeded_at=time.time())

    def stats(self) -> ReloadStats:
        """How the last reload went."""
        return self._stats

    @property
    def is_unfinished(self) -> bool:
        """Whether the last reload failed, so that another one may help: also what reads files may have no file left."""
        return self._problem is not None

    async def reload(self, *, is_repeated: bool = False) -> None:
        """Reloads, and waits until what changed has begun; does nothing once it is closed.

        What is wrong is logged; if `is_repeated`, not when it is what was wrong the last time.

        Raises SettingsError if the configuration is bad, or if it cannot be applied for want of files or threads.
        """
        if self._closed:
            return
        await asyncio.get_running_loop().run_in_executor(self._worker, self._reload, is_repeated)

    def close(self) -> None:
        """From now on nothing is changed, and systemd told nothing.

        Waits for a change that is under way, at most for `CLOSE_TIMEOUT` seconds, and not for a file that hangs.
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
            problem = f"not all of it could be applied: {error}; another reload tries again"
            raise SettingsError("configuration", None, problem) from error
        finally:
            self._notify(systemd.READY)

    def _fail(self, error: Exception) -> None:
        self._problem = f"{type(error).__name__}: {error}"
        self._stats = replace(self._stats, successful=False)

    def _apply(self) -> None:
        if self._load is None:
            log.info("nothing to reload", reason="the settings are flags")
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
