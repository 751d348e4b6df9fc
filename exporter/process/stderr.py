"""Standard error as the destination of a log that never blocks its writers, whether or not anyone reads it.

A full pipe, or a stopped terminal, blocks a thread that writes to it: here that is a thread which does nothing else.
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

#: Lines to keep for a slow reader; further lines are dropped and counted.
CAPACITY = 4096
#: Seconds to wait for the last lines to be written when the process ends.
FLUSH_TIMEOUT = 0.5


def handler() -> logging.Handler:
    """A handler for `sys.stderr` that never blocks: a `DescriptorHandler`, unless it is no file and cannot block."""
    try:
        return DescriptorHandler(sys.stderr.fileno())
    except (AttributeError, io.UnsupportedOperation):
        return logging.StreamHandler(sys.stderr)


class DescriptorHandler(logging.Handler):
    """Writes each record as a line to a file descriptor, from its own thread.

    When the reader has caught up after lines were dropped, a warning says how many. A reader that has gone is no error.
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
        """Ends the thread once it has written the queued lines."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        super().close()

    def _write_all(self) -> None:
        while (line := self._oldest()) is not None:
            self._write(f"{line}\n".encode(errors="backslashreplace"))
            with self._changed:
                # Removed only now, so that `flush` waits for it.
                self._lines.popleft()
                if not self._lines and self._dropped:
                    self._lines.append(self._dropped_warning())
                self._changed.notify_all()

    def _oldest(self) -> str | None:
        """Waits for the next line to write; None when the handler is closed and no line is left."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._closed)
            return self._lines[0] if self._lines else None

    def _dropped_warning(self) -> str:
        dropped, self._dropped = self._dropped, 0
        fields = {"name": "exporter", "levelno": logging.WARNING, "levelname": "WARNING", "msg": "log lines dropped"}
        return self.format(logging.makeLogRecord({**fields, "dropped": dropped}))

    def _write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            while data:
                # Another process that shares the descriptor may have made it non-blocking.
                select.select((), (self._descriptor,), ())
                data = data[os.write(self._descriptor, data) :]
