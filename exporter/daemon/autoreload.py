"""Auto-reload: checks the configuration's files at an interval, and reloads when one has changed."""

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

#: Seconds that files must stay unchanged before they are read: a writer may be in the middle of a file.
SETTLED = 1.0
#: How many times in a row files may change before they are read anyway.
UNSETTLED_LIMIT = 10

log = structlog.stdlib.get_logger("exporter")


@dataclass(frozen=True)
class AutoReload:
    """Settings: check the files of `source` every `interval` seconds."""

    source: Source
    interval: float


@contextlib.contextmanager
def reloading_changes(wanted: AutoReload | None, reloader: Reloader) -> Iterator[None]:
    """Reloads within the block when files change, unless `wanted` is None. Needs a running event loop."""
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
        """Checks the files until cancelled."""
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
            # The reloader has logged and counted it.
            pass
        except Exception as error:
            # Out of file descriptors, memory or threads; the next check may succeed.
            log.warning("configuration files not checked", reason=str(error))

    async def _changed(self) -> bool:
        """Whether the files differ from what was last read, after waiting until they stop changing."""
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
        # In a thread, in case the file system hangs.
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._source.files.now)

    def _is_due_again(self) -> bool:
        """Whether to retry a failed reload: the files may be good, and the process was at its limits."""
        if self._reloader.is_unfinished:
            return self._retries.is_due()
        self._retries.settled()
        return False
