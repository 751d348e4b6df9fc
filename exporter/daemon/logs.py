"""Logs of the daemon: filters and completes kazoo's messages, and passes the log on to OpenTelemetry."""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from typing import Any

from kazoo.protocol.serialization import SASL, Auth, Connect
from opentelemetry import trace
from structlog.typing import EventDict, WrappedLogger

from exporter.daemon.exported_logs import ExportedLogs, adopted
from exporter.process import logs

#: kazoo's warnings that say no more than the daemon's own record of the same state change. The last one appears when
#: kazoo, which never gives up, is stopped without a connection.
_LOGGED_BY_THE_DAEMON = (
    "Session has expired",
    "Transition to CONNECTING",
    "Failed connecting to Zookeeper within the connection retry policy.",
)
_HIDDEN = "(credentials)"
#: Attributes of records that are not structlog's.
_EXTRAS = ("ensemble", "server", "held_back", "dropped")


def configure(level: str = "info", format: str = "logfmt") -> None:
    """Sends all logging to standard error, as `exporter.process.logs.configure` does.

    If OpenTelemetry's handler is set up, it is kept, and gets the same lines.
    """
    root, minimum = logging.getLogger(), logging.getLevelName(level.upper())
    exports = adopted(root.handlers, _EXTRAS)
    logs.configure(level, format, processors=[_add_trace], extras=_EXTRAS)
    root.handlers += exports
    for handler in root.handlers:
        handler.addFilter(_hide_secrets)
        handler.addFilter(QuietClients(minimum))
    # At info, uvicorn logs its start and stop, which the daemon logs too.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def end_export() -> None:
    """Stops exporting the log to OpenTelemetry, which complains about each record after its shutdown."""
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, ExportedLogs)]


class QuietClients(logs.QuietLibraries):
    """Drops kazoo's messages at info or about what the daemon logs too; limits repetitions about the same server."""

    def is_needless(self, record: logging.LogRecord) -> bool:
        """Whether the daemon logs the same, or kazoo logs it at info."""
        if not record.name.startswith("kazoo"):
            return False
        return record.levelno == logging.INFO or record.getMessage() in _LOGGED_BY_THE_DAEMON

    def message(self, record: logging.LogRecord) -> str:
        """The text, with the record's ensemble and server."""
        about = f"{record.__dict__.get('ensemble', '')} {record.__dict__.get('server', '')}"
        # OpenTelemetry's exporters log with each failure the time until the retry, which differs each time.
        return f"{about} {record.msg if record.name.startswith('opentelemetry.') else record.getMessage()}"


class OfEnsemble(logging.LoggerAdapter[logging.Logger]):
    """The logger for an ensemble's kazoo client: adds the ensemble and the server to its records.

    `server` returns the current server as `host:port`, or None; the owner of the client sets it.
    """

    def __init__(self, ensemble: str) -> None:
        super().__init__(logging.getLogger("kazoo.client"), {})
        self.server: Callable[[], str | None] = lambda: None
        self._ensemble = ensemble

    def process(self, msg: object, kwargs: MutableMapping[str, Any]) -> tuple[object, MutableMapping[str, Any]]:
        """Adds the ensemble and the server."""
        server = self.server()
        kwargs["extra"] = {"ensemble": self._ensemble} | ({"server": server} if server else {})
        return msg, kwargs


def _hide_secrets(record: logging.LogRecord) -> bool:
    """Removes credentials from the requests that kazoo logs at debug."""
    if record.name.startswith("kazoo") and isinstance(record.args, tuple):
        record.args = tuple(_without_secret(argument) for argument in record.args)
    return True


def _without_secret(argument: object) -> object:
    if isinstance(argument, (Auth, SASL)):
        return _HIDDEN
    # The password of a session allows others to take it over.
    return argument._replace(passwd=_HIDDEN) if isinstance(argument, Connect) else argument


def _add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Adds the ids of the current span if it is sampled, which link the line to its trace."""
    context = trace.get_current_span().get_span_context()
    if context.trace_flags.sampled:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event
