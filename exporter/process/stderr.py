"""Standard error as the end of a log that nobody has to wait for, whether or not anyone reads it.

A full pipe, or a terminal that is halted, blocks whoever writes to it: here that is a thread which does nothing else.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import select
import sys
import threading
from collections import deque

#: Lines to keep for a reader that is slow; what comes beyond that is dropped and counted.
CAPACITY = 4096
#: Seconds that the last lines may take to leave when the process ends.
FLUSH_TIMEOUT = 0.5


def handler() -> logging.Handler:
    """A handler for `sys.stderr`: one that never blocks, unless it is no file and could not block anyway."""
    try:
        return DescriptorHandler(sys.stderr.fileno())
    except (AttributeError, io.UnsupportedOperation):
        return logging.StreamHandler(sys.stderr)


class DescriptorHandler(logging.Handler):
    """Writes each record as a line to a file descriptor, from a thread of its own.

    When the reader has caught up after lines were dropped, a warning says how many. That it is gone is no error.
    """

    def __init__(self, descriptor: int, capacity: int = CAPACITY) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._capacity = capacity
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._closed = False
        self._changed = threading.Condition()
        threading.Thread(target=self._write_all, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queues one line, or drops it."""
        try:
            line = self.format(record)
        except Exception:
            self.handleError(record)
            return
        with self._changed:
            if len(self._lines) < self._capacity:
                self._lines.append(line)
                self._changed.notify_all()
            else:
                self._dropped += 1

    def flush(self) -> None:
        """Waits until everything is written, for at most `FLUSH_TIMEOUT` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._lines and not self._dropped, FLUSH_TIMEOUT)

    def close(self) -> None:
        """Ends the thread, once it has written what is queued."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        super().close()

    def _write_all(self) -> None:
        while (line := self._oldest()) is not None:
            self._write(f"{line}\n".encode(errors="backslashreplace"))
            with self._changed:
                # Only now, so that `flush` waits for it.
                self._lines.popleft()
                if not self._lines and self._dropped:
                    self._lines.append(self._told_of_dropped())
                self._changed.notify_all()

    def _oldest(self) -> str | None:
        """The next line to write, as soon as there is one; None when there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._closed)
            return self._lines[0] if self._lines else None

    def _told_of_dropped(self) -> str:
        dropped, self._dropped = self._dropped, 0
        told = {"name": "exporter", "levelno": logging.WARNING, "levelname": "WARNING", "msg": "log lines dropped"}
        return self.format(logging.makeLogRecord({**told, "dropped": dropped}))

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            while data:
                # Others who share the descriptor may have made it one that does not block.
                select.select((), (self._descriptor,), ())
                data = data[os.write(self._descriptor, data) :]
