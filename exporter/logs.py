"""Logs: one event a line on standard error, as logfmt or JSON, ours and the libraries' alike."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("logfmt", "json")

#: Seconds within which a library's message is not repeated.
REPEAT_INTERVAL = 300.0
#: kazoo's warnings that say no more than the daemon's own record of the same change of state.
_TOLD_BY_THE_DAEMON = ("Session has expired", "Transition to CONNECTING")
#: Distinct messages to remember; a library that makes up more of them is no flood of repetitions.
_REMEMBERED = 256


def configure(level: str = "info", format: str = "logfmt") -> None:
    """Sends all logging to standard error. `level` is one of `LEVELS`, `format` one of `FORMATS`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(format))
    handler.addFilter(QuietLibraries(minimum=logging.getLevelName(level.upper())))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    # Below that it tells of its own starting and stopping, which the daemon does better.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    structlog.configure(
        processors=[*_shared_processors(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


class QuietLibraries(logging.Filter):
    """Keeps libraries from flooding the log, as kazoo does for as long as ZooKeeper is away.

    At `minimum` debug everything is let through. Otherwise what kazoo tells at info, and what the daemon tells itself,
    is left out, and any other message of a library is let through once in `REPEAT_INTERVAL` seconds, with how often it
    was held back since.
    """

    def __init__(self, minimum: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._minimum = minimum
        self._clock = clock
        self._lock = threading.Lock()
        self._let_through_at: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be written; the daemon's own always are."""
        if self._minimum <= logging.DEBUG or record.name == "exporter" or record.name.startswith("exporter."):
            return True
        return not _says_nothing_new(record) and self._let_through(record)

    def _let_through(self, record: logging.LogRecord) -> bool:
        message = f"{record.name} {record.levelno} {record.getMessage()}"
        now = self._clock()
        with self._lock:
            last = self._let_through_at.get(message)
            if last is not None and now - last < REPEAT_INTERVAL:
                self._held_back[message] = self._held_back.get(message, 0) + 1
                return False
            while len(self._let_through_at) >= _REMEMBERED:
                oldest = next(iter(self._let_through_at))
                del self._let_through_at[oldest]
                self._held_back.pop(oldest, None)
            # Taken out first, so that the dictionary stays in the order of time.
            self._let_through_at.pop(message, None)
            self._let_through_at[message] = now
            held_back = self._held_back.pop(message, 0)
        if held_back:
            record.held_back = held_back
        return True


def _says_nothing_new(record: logging.LogRecord) -> bool:
    if not record.name.startswith("kazoo"):
        return False
    return record.levelno == logging.INFO or record.getMessage() in _TOLD_BY_THE_DAEMON


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _formatter(format: str) -> structlog.stdlib.ProcessorFormatter:
    renderers: dict[str, list[Processor]] = {
        "json": [structlog.processors.JSONRenderer()],
        "logfmt": [
            _escape_control_characters,
            structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "logger", "event"], drop_missing=True, bool_as_flag=False
            ),
        ],
    }
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_shared_processors(), structlog.stdlib.ExtraAdder(allow=["held_back"])],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            *renderers[format],
        ],
    )


def _escape_control_characters(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """What the logfmt renderer leaves as it is and a terminal or a log collector might act on; it escapes newlines."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in value)
    return event
