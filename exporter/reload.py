"""Reload: reads the configuration again and applies it, or keeps everything as it is when it is bad."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import structlog

from exporter import systemd
from exporter.fleet import Fleet
from exporter.settings import Ensemble, SettingsError
from exporter.telemetry.sources import ReloadStats

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
        # One thread, so that reloads wait for each other, also when the daemon ends meanwhile.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reload")
        self._closed = False
        self._stats = ReloadStats(successful=True, succeeded_at=time.time())

    def stats(self) -> ReloadStats:
        """How the last reload went."""
        return self._stats

    async def reload(self) -> None:
        """Reloads, and waits until what changed has begun; does nothing once it is closed.

        Raises SettingsError if the configuration is bad; everything then goes on as it was.
        """
        if self._closed:
            return
        await asyncio.get_running_loop().run_in_executor(self._thread, self._reload)

    def close(self) -> None:
        """Waits for a reload that is under way, and lets none begin any more."""
        self._closed = True
        self._thread.shutdown(cancel_futures=True)

    def _reload(self) -> None:
        systemd.notify(systemd.reloading())
        try:
            self._apply()
        except SettingsError as error:
            self._stats = replace(self._stats, successful=False)
            for line in error.lines:
                log.error("configuration refused", reason=line)
            raise
        finally:
            systemd.notify(systemd.READY)

    def _apply(self) -> None:
        if self._load is None:
            log.info("nothing to reload", reason="the settings are flags")
            return
        ensembles = self._load()
        self._fleet.change(ensembles)
        self._stats = ReloadStats(successful=True, succeeded_at=time.time())
        log.info("configuration reloaded", ensembles=len(ensembles))
