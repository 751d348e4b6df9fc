"""Auto-reload: looks at the configuration's files from time to time, and reloads when one holds something else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from exporter.config.files import Files
from exporter.config.settings import SettingsError
from exporter.config.source import Source
from exporter.daemon.reload import Reloader
from exporter.process.executor import ThreadExecutor
from exporter.process.retries import Retries

#: Seconds for which files have to stay the same before they are read: who writes them in place may be in the middle.
SETTLED = 1.0
#: How many times files may change one after the other before they are read all the same.
UNSETTLED_LIMIT = 10

log = structlog.stdlib.get_logger("exporter")


@dataclass(frozen=True)
class AutoReload:
    """That the files of `source` are looked at every `interval` seconds."""

    source: Source
    interval: float


@contextlib.contextmanager
def reloading_changes(wanted: AutoReload | None, reloader: Reloader) -> Iterator[None]:
    """Reloads within the block when files have changed, if that is wanted. To be entered where an event loop runs."""
    if wanted is None:
        yield
        return
    task = asyncio.get_running_loop().create_task(_Watch(wanted, reloader).keep_up())
    try:
        yield
    finally:
        task.cancel()


class _Watch:
    def __init__(self, wanted: AutoReload, reloader: Reloader) -> None:
        self._source = wanted.source
        self._interval = wanted.interval
        self._reloader = reloader
        self._worker = ThreadExecutor("configuration files")
        self._retries = Retries()

    async def keep_up(self) -> None:
        """Looks at the files until it is cancelled."""
        try:
            while True:
                await asyncio.sleep(self._interval)
                await self._look()
        finally:
            self._worker.shutdown()

    async def _look(self) -> None:
        try:
            is_changed = await self._changed()
            if is_changed or self._is_due_again():
                await self._reloader.reload(is_repeated=not is_changed)
        except SettingsError:
            # Logged and counted where it was found.
            pass
        except Exception as error:
            # No file, memory or thread to be had; the next look may find one.
            log.warning("files of the configuration not looked at", reason=str(error))

    async def _changed(self) -> bool:
        """Whether the files hold something else than was read last, and for how they now are had time to settle."""
        seen = await self._now()
        for _ in range(UNSETTLED_LIMIT):
            if seen == self._source.files:
                return False
            await asyncio.sleep(SETTLED)
            before, seen = seen, await self._now()
            if seen == before:
                break
        return seen != self._source.files

    async def _now(self) -> Files:
        # In a thread, for a file system that hangs.
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._source.files.now)

    def _is_due_again(self) -> bool:
        """Whether to try once more what failed: the files may have been good, and the process at its limits."""
        if self._reloader.is_unfinished:
            return self._retries.is_due()
        self._retries.settled()
        return False
