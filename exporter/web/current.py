"""Current: reloads the web configuration when its files change; after a bad file, the last good one stays in use.

A failed reload is retried even if nothing changes: the files may be good, and the process out of file descriptors.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from pathlib import Path

import structlog

from exporter.config.sections import UnprotectedError
from exporter.config.settings import SettingsError
from exporter.config.web import WebConfig, check_no_less_protected, load
from exporter.process.executor import ThreadExecutor
from exporter.process.retries import Retries
from exporter.web.tls import server_context

#: Seconds between two checks of the files.
PACE = 1.0

log = structlog.stdlib.get_logger("exporter.web")

#: A file's inode, modification time and size.
Mark = tuple[int, int, int]


class CurrentConfig:
    """The last good configuration, and its TLS context.

    TLS cannot be switched on or off, and no protection can be removed, without a restart: such a change is refused like
    any other bad configuration: the problem is logged once, and the last good configuration stays in use.

    Raises SettingsError if a certificate, key or authority of the first configuration cannot be used.
    """

    def __init__(self, config: WebConfig) -> None:
        self._config = config
        self._files: tuple[Path, ...] = ()
        self._marks: list[Mark | None] = []
        self._retries = Retries()
        #: The last reload's problem, None if it succeeded.
        self._problem: str | None = None
        self._watch(config, _mark(config.path))
        self._context = server_context(config)

    @property
    def config(self) -> WebConfig:
        """The configuration in use."""
        return self._config

    @property
    def context(self) -> ssl.SSLContext | None:
        """The TLS context for a new connection, None without TLS."""
        return self._context

    async def keep_up(self) -> None:
        """Checks the files every `PACE` seconds until cancelled; in a thread, in case the file system hangs."""
        worker = ThreadExecutor("web configuration")
        try:
            while True:
                await asyncio.sleep(PACE)
                await asyncio.get_running_loop().run_in_executor(worker, self.refresh)
        finally:
            worker.shutdown()

    def refresh(self) -> None:
        """Reloads if a file has changed or the last reload failed; logs each problem once."""
        marks = [_mark(file) for file in self._files]
        if marks != self._marks:
            self._retries.settled()
            self._problem = None
        elif self._problem is None or not self._retries.is_due():
            return
        self._marks = marks
        try:
            self._read_again()
        except Exception as error:
            self._say(error)
        else:
            self._problem = None
            log.info("web configuration reloaded", path=str(self._config.path))

    def _say(self, error: Exception) -> None:
        """Logs why nothing was reloaded, unless the same was logged for these files before."""
        logged, self._problem = self._problem, f"{type(error).__name__}: {error}"
        if self._problem == logged:
            return
        if isinstance(error, SettingsError):
            level = logging.WARNING if isinstance(error, UnprotectedError) else logging.ERROR
            log.log(level, "web configuration not reloaded", reason=str(error))
        else:
            log.error("web configuration not reloaded", exc_info=error)

    def _read_again(self) -> None:
        path = self._config.path
        mark = _mark(path)
        config = load(path)
        check_no_less_protected(config, self._config)
        if config.tls is not None and self._config.tls is None:
            raise SettingsError(f"{path}: tls_server_config", None, "cannot be added without a restart")
        # Also for a bad configuration: a file that it names may be created later.
        self._watch(config, mark)
        self._context = server_context(config)
        self._config = config

    def _watch(self, config: WebConfig, mark: Mark | None) -> None:
        """Notes the files of a configuration before they are opened, so that no later change goes unnoticed."""
        named = config.tls.files if config.tls else ()
        self._files = (config.path, *named)
        self._marks = [mark, *map(_mark, named)]


def _mark(file: Path) -> Mark | None:
    """A mark that changes when a file's content does; None for a missing file."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
