"""Logs: one event a line on standard error, as logfmt or JSON, our own and the libraries', with repetitions limited."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from exporter.process import stderr
from exporter.process.repetitions import Repetitions

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("logfmt", "json")

#: Seconds until a library's message is logged again.
REPEAT_INTERVAL = 300.0
#: How many times a `Flood` admits one message, and the seconds that it counts over.
STATE_LIMIT, STATE_INTERVAL = 10, 60.0


def configure(
    level: str = "info", format: str = "logfmt", *, processors: Sequence[Processor] = (), extras: Sequence[str] = ()
) -> None:
    """Sends all logging to standard error, without blocking on it.

    Args:
        level: one of `LEVELS`.
        format: one of `FORMATS`.
        processors: structlog processors that run before the event gets its name, level and time.
        extras: names of `extra` fields that are logged from records of the standard library.
    """
    handler = stderr.handler()
    shared = [structlog.contextvars.merge_contextvars, *processors, *_shared_processors()]
    handler.setFormatter(_formatter(format, [*shared, structlog.stdlib.ExtraAdder(allow=extras)]))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # Some handlers survive basicConfig, for example OpenTelemetry's.
    logging.getLogger().handlers = [handler]
    logging.captureWarnings(True)
    threading.excepthook = _log_failed_thread
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


class QuietLibraries(logging.Filter):
    """Keeps libraries from flooding the log, for example while their server is unreachable.

    At `minimum` debug it admits everything, otherwise each message of a library once in `REPEAT_INTERVAL` seconds,
    with the number of times that it was held back.
    """

    def __init__(self, minimum: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._minimum = minimum
        self._repetitions = Repetitions(REPEAT_INTERVAL, clock)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log the record; always True for the exporter's own."""
        if self._minimum <= logging.DEBUG or record.name == "exporter" or record.name.startswith("exporter."):
            return True
        return not self.is_needless(record) and self._let_through(record)

    def is_needless(self, record: logging.LogRecord) -> bool:
        """Whether a library's record repeats something that is logged elsewhere."""
        return False

    def message(self, record: logging.LogRecord) -> str:
        """The text by which repetitions are recognized."""
        return record.getMessage()

    def _let_through(self, record: logging.LogRecord) -> bool:
        held_back = self._repetitions.admit(f"{record.name} {record.levelno} {self.message(record)}")
        if held_back:
            record.held_back = held_back
        return held_back is not None


class Flood:
    """Admits each message up to `limit` times, counts the rest, and starts anew after `interval` seconds.

    While messages are held back, it calls `report` with their number every `interval` seconds, in its own thread, and
    starts anew only after an interval without any. Thread-safe.
    """

    def __init__(
        self, report: Callable[[int], None], limit: int = STATE_LIMIT, interval: float = STATE_INTERVAL
    ) -> None:
        self._report = report
        self._limit = limit
        self._interval = interval
        self._lock = threading.Lock()
        self._admitted: Counter[Hashable] = Counter()
        self._began = -interval
        self._held_back = 0
        self._timer: threading.Timer | None = None

    def admits(self, message: Hashable) -> bool:
        """Whether to log the message now."""
        now = time.monotonic()
        with self._lock:
            if self._timer is None and now - self._began >= self._interval:
                self._admitted.clear()
                self._began = now
            if self._admitted[message] < self._limit:
                self._admitted[message] += 1
                return True
            self._held_back += 1
            if self._timer is None:
                self._wait()
            return False

    def close(self) -> None:
        """Stops reporting."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()

    def _wait(self) -> None:
        self._timer = threading.Timer(self._interval, self._sum_up)
        self._timer.name = "flood"
        self._timer.daemon = True
        self._timer.start()

    def _sum_up(self) -> None:
        with self._lock:
            held_back, self._held_back = self._held_back, 0
            self._timer = None
            if held_back:
                self._wait()
        if held_back:
            self._report(held_back)


def _log_failed_thread(failure: threading.ExceptHookArgs) -> None:
    """Logs as one event what Python would print as many lines."""
    if failure.exc_value is not None:
        logging.getLogger("threading").error("Thread failed", exc_info=failure.exc_value)


def _shared_processors() -> list[Processor]:
    return [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _formatter(format: str, for_others: list[Processor]) -> structlog.stdlib.ProcessorFormatter:
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
        foreign_pre_chain=for_others,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            *renderers[format],
        ],
    )


def _escape_control_characters(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escapes characters that a terminal or log collector might act on; the logfmt renderer escapes newlines only."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in value)
    return event
