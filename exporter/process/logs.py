"""Logs: one event a line on standard error, as logfmt or JSON, ours and the libraries' alike, never in floods."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, MutableMapping
from typing import Any

import structlog
from kazoo.protocol.serialization import SASL, Auth, Connect
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger

from exporter.process import stderr
from exporter.process.exported_logs import ExportedLogs, adopted
from exporter.process.repetitions import Repetitions as Repetitions

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("logfmt", "json")

#: Seconds within which a library's message is not repeated, and those for a fault of one kind of a tree.
REPEAT_INTERVAL = 300.0
FAULT_INTERVAL = 60.0
#: How many changes of state of one kind are told in how many seconds before a connection that comes and goes is told
#: of in one line, as often as that.
STATE_LIMIT, STATE_INTERVAL = 10, 60.0
#: kazoo's warnings that say no more than the daemon's own record of the same change of state. The last is how kazoo,
#: which is told never to give up, ends when it is stopped without a connection.
_TOLD_BY_THE_DAEMON = (
    "Session has expired",
    "Transition to CONNECTING",
    "Failed connecting to Zookeeper within the connection retry policy.",
)
_HIDDEN = "(credentials)"
#: What records that are not structlog's carry beside their message.
_EXTRAS = ("ensemble", "server", "held_back", "dropped")


def configure(level: str = "info", format: str = "logfmt") -> None:
    """Sends all logging to standard error, for which nobody waits.

    `level` is one of `LEVELS`, `format` one of `FORMATS`. Where OpenTelemetry's handler is set up, it is kept, and gets
    the same as text.
    """
    root, minimum = logging.getLogger(), logging.getLevelName(level.upper())
    handler = stderr.handler()
    handler.setFormatter(_formatter(format))
    exports = adopted(root.handlers, _EXTRAS)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # OpenTelemetry has its own handler survive basicConfig.
    root.handlers = [handler, *exports]
    for each in root.handlers:
        each.addFilter(QuietLibraries(minimum))
    logging.captureWarnings(True)
    threading.excepthook = _tell_of_failed_thread
    # Below that it tells of its own starting and stopping, which the daemon does better.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    structlog.configure(
        processors=[*_shared_processors(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def end_export() -> None:
    """Exports no more of the log by OpenTelemetry, which would complain of each record once it is shut down."""
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, ExportedLogs)]


class QuietLibraries(logging.Filter):
    """Keeps libraries from flooding the log, as kazoo does for as long as ZooKeeper is away.

    At `minimum` debug everything is let through. Otherwise what kazoo tells at info, and what the daemon tells itself,
    is left out, and any other message of a library is let through once in `REPEAT_INTERVAL` seconds, with how often it
    was held back since.
    """

    def __init__(self, minimum: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._minimum = minimum
        self._repetitions = Repetitions(REPEAT_INTERVAL, clock)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be written; the daemon's own always are."""
        _hide_secrets(record)
        if self._minimum <= logging.DEBUG or record.name == "exporter" or record.name.startswith("exporter."):
            return True
        return not _says_nothing_new(record) and self._let_through(record)

    def _let_through(self, record: logging.LogRecord) -> bool:
        about = f"{record.__dict__.get('ensemble', '')} {record.__dict__.get('server', '')}"
        # OpenTelemetry's exporters tell with each failure how long they will wait, never the same.
        message = record.msg if record.name.startswith("opentelemetry.") else record.getMessage()
        held_back = self._repetitions.admit(f"{record.name} {record.levelno} {about} {message}")
        if held_back:
            record.held_back = held_back
        return held_back is not None


class FaultLog:
    """Logs the faults of one tree: one of each kind in a minute as a warning, with how many were held back before it.

    Faults that are held back are counted in metrics, and logged at debug.
    """

    def __init__(self, logger: structlog.stdlib.BoundLogger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = logger
        self._repetitions = Repetitions(FAULT_INTERVAL, clock)

    def __call__(self, fault: Exception) -> None:
        """To be given to a cache as its fault listener."""
        kind = type(fault).__name__
        held_back = self._repetitions.admit(kind)
        if held_back is None:
            self._log.debug("fault", fault=kind, reason=str(fault))
        elif held_back:
            self._log.warning("fault", fault=kind, reason=str(fault), held_back=held_back)
        else:
            self._log.warning("fault", fault=kind, reason=str(fault))


class Flood:
    """Admits each message `limit` times while nothing is held back; what comes more often is counted, not told.

    `tell` is given the count every `interval` seconds, in a thread of its own, until such a time has passed in silence.
    Thread-safe.
    """

    def __init__(self, tell: Callable[[int], None], limit: int = STATE_LIMIT, interval: float = STATE_INTERVAL) -> None:
        self._tell = tell
        self._limit = limit
        self._interval = interval
        self._lock = threading.Lock()
        self._admitted: Counter[Hashable] = Counter()
        self._began = -interval
        self._held_back = 0
        self._timer: threading.Timer | None = None

    def admits(self, message: Hashable) -> bool:
        """Whether the message is to be told now."""
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
        """Tells no more."""
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
            self._tell(held_back)


class OfEnsemble(logging.LoggerAdapter[logging.Logger]):
    """The logger for the kazoo client of an ensemble: its records say which ensemble and which server they are about.

    `server` gives the server of the moment, as `host:port`, or None; whose client this is sets it.
    """

    def __init__(self, ensemble: str) -> None:
        super().__init__(logging.getLogger("kazoo.client"), {})
        self.server: Callable[[], str | None] = lambda: None
        self._ensemble = ensemble

    def process(self, msg: object, kwargs: MutableMapping[str, Any]) -> tuple[object, MutableMapping[str, Any]]:
        """Adds what a record is about."""
        server = self.server()
        kwargs["extra"] = {"ensemble": self._ensemble} | ({"server": server} if server else {})
        return msg, kwargs


def _tell_of_failed_thread(failure: threading.ExceptHookArgs) -> None:
    """Logs what would otherwise be many lines on standard error."""
    if failure.exc_value is not None:
        logging.getLogger("threading").error("Thread failed", exc_info=failure.exc_value)


def _hide_secrets(record: logging.LogRecord) -> None:
    """Takes credentials out of kazoo's records of the requests that it sends, which it writes at debug."""
    if record.name.startswith("kazoo") and isinstance(record.args, tuple):
        record.args = tuple(_without_secret(argument) for argument in record.args)


def _without_secret(argument: object) -> object:
    if isinstance(argument, (Auth, SASL)):
        return _HIDDEN
    # Who has the password of a session can take it over.
    return argument._replace(passwd=_HIDDEN) if isinstance(argument, Connect) else argument


def _says_nothing_new(record: logging.LogRecord) -> bool:
    if not record.name.startswith("kazoo"):
        return False
    return record.levelno == logging.INFO or record.getMessage() in _TOLD_BY_THE_DAEMON


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        _add_trace,
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
        foreign_pre_chain=[*_shared_processors(), structlog.stdlib.ExtraAdder(allow=_EXTRAS)],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            *renderers[format],
        ],
    )


def _add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The ids of the span that the line is written within, if it is sampled: what leads from the line to the trace."""
    context = trace.get_current_span().get_span_context()
    if context.trace_flags.sampled:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


def _escape_control_characters(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """What the logfmt renderer leaves as it is and a terminal or a log collector might act on; it escapes newlines."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            event[key] = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in value)
    return event
