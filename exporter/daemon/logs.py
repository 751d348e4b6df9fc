"""Logs of the daemon: what it takes out of kazoo's messages and adds to all of them, and what OpenTelemetry gets."""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from typing import Any

from kazoo.protocol.serialization import SASL, Auth, Connect
from opentelemetry import trace
from structlog.typing import EventDict, WrappedLogger

from exporter.daemon.exported_logs import ExportedLogs, adopted
from exporter.process import logs

#: kazoo's warnings that say no more than the daemon's own record of the same change of state. The last is how kazoo,
#: which never gives up, ends when it is stopped without a connection.
_LOGGED_BY_THE_DAEMON = (
    "Session has expired",
    "Transition to CONNECTING",
    "Failed connecting to Zookeeper within the connection retry policy.",
)
_HIDDEN = "(credentials)"
#: What records that are not structlog's carry beside their message.
_EXTRAS = ("ensemble", "server", "held_back", "dropped")


def configure(level: str = "info", format: str = "logfmt") -> None:
    """Sends all logging to standard error, as `exporter.process.logs.configure` does.

    Where OpenTelemetry's handler is set up, it is kept, and gets the same as text.
    """
    root, minimum = logging.getLogger(), logging.getLevelName(level.upper())
    exports = adopted(root.handlers, _EXTRAS)
    logs.configure(level, format, processors=[_add_trace], extras=_EXTRAS)
    root.handlers += exports
    for handler in root.handlers:
        handler.addFilter(_hide_secrets)
        handler.addFilter(QuietClients(minimum))
    # At info it logs its own start and stop, which the daemon logs too.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def end_export() -> None:
    """Exports no more of the log by OpenTelemetry, which would complain of each record once it is shut down."""
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, ExportedLogs)]


class QuietClients(logs.QuietLibraries):
    """Leaves out what kazoo logs at info and what the daemon logs too; repeats rarely what is about the same server."""

    def is_needless(self, record: logging.LogRecord) -> bool:
        """Whether the daemon logs the same, or kazoo says at info what it does."""
        if not record.name.startswith("kazoo"):
            return False
        return record.levelno == logging.INFO or record.getMessage() in _LOGGED_BY_THE_DAEMON

    def message(self, record: logging.LogRecord) -> str:
        """The text, with the ensemble and the server that it is about."""
        about = f"{record.__dict__.get('ensemble', '')} {record.__dict__.get('server', '')}"
        # OpenTelemetry's exporters log with each failure how long they will wait, which differs each time.
        return f"{about} {record.msg if record.name.startswith('opentelemetry.') else record.getMessage()}"


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


def _hide_secrets(record: logging.LogRecord) -> bool:
    """Takes credentials out of kazoo's records of the requests that it sends, which it writes at debug."""
    if record.name.startswith("kazoo") and isinstance(record.args, tuple):
        record.args = tuple(_without_secret(argument) for argument in record.args)
    return True


def _without_secret(argument: object) -> object:
    if isinstance(argument, (Auth, SASL)):
        return _HIDDEN
    # Who has the password of a session can take it over.
    return argument._replace(passwd=_HIDDEN) if isinstance(argument, Connect) else argument


def _add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The ids of the span that the line is written within, if it is sampled: what leads from the line to the trace."""
    context = trace.get_current_span().get_span_context()
    if context.trace_flags.sampled:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event
