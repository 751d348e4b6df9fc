"""ExportedLogs: passes the log on to OpenTelemetry's logging handler, if ``opentelemetry-instrument`` has set one up.

Without this, that handler would use structlog's dictionaries as the text of a record, and log a complaint about
structlog's logger, which it takes for an attribute.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

import structlog

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

#: Fields that a record has anyway. The handler finds the ids of the trace itself.
_SAID_ELSEWHERE = ("timestamp", "level", "logger", "trace_id", "span_id")
#: The attributes of any record, which are not exported as attributes.
_OF_RECORDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_as_logfmt = structlog.processors.LogfmtRenderer(drop_missing=True, bool_as_flag=False)


class ExportedLogs(logging.Handler):
    """Passes records on to another handler, with the fields both in the text and as attributes.

    OpenTelemetry's own records are left out: a failing export must not cause more records to export.

    Args:
        handler: OpenTelemetry's handler.
        extras: the attributes to export from records that are not structlog's.
    """

    def __init__(self, handler: logging.Handler, extras: Sequence[str] = ()) -> None:
        super().__init__(handler.level)
        self.handler = handler
        self._extras = extras

    def emit(self, record: logging.LogRecord) -> None:
        """Exports one record."""
        if record.name.split(".")[0] == "opentelemetry":
            return
        try:
            self.handler.handle(self._plain(record))
        except Exception:
            self.handleError(record)

    def _plain(self, record: logging.LogRecord) -> logging.LogRecord:
        exc_info: Any = record.exc_info
        if isinstance(record.msg, dict):
            fields = {key: value for key, value in record.msg.items() if key not in _SAID_ELSEWHERE}
            event = str(fields.pop("event", ""))
            exc_info = _exc_info(fields.pop("exc_info", None)) or exc_info
        else:
            fields = {key: record.__dict__[key] for key in self._extras if key in record.__dict__}
            event = record.getMessage()
        text = f"{event} {_as_logfmt(None, '', dict(fields))}".rstrip()
        plain = logging.LogRecord(
            record.name, record.levelno, record.pathname, record.lineno, text, None, exc_info, record.funcName
        )
        plain.created = record.created
        plain.__dict__.update(_attributes(fields))
        return plain


def adopted(handlers: Iterable[logging.Handler], extras: Sequence[str]) -> list[ExportedLogs]:
    """The replacements for OpenTelemetry's handlers among a logger's handlers."""
    inner = [handler.handler if isinstance(handler, ExportedLogs) else handler for handler in handlers]
    theirs = [handler for handler in inner if type(handler).__module__.split(".")[0] == "opentelemetry"]
    return [ExportedLogs(handler, extras) for handler in dict.fromkeys(theirs)]


def _attributes(fields: Mapping[str, object]) -> dict[str, object]:
    """The fields with values that an attribute can have, without those whose names every record uses."""
    return {
        key: value if isinstance(value, (bool, int, float, str)) else str(value)
        for key, value in fields.items()
        if key not in _OF_RECORDS and value is not None
    }


def _exc_info(given: object) -> _ExcInfo | None:
    """The exception that a caller of structlog passed, in the form of a record."""
    if isinstance(given, BaseException):
        return (type(given), given, given.__traceback__)
    if isinstance(given, tuple):
        return given
    kind, error, trace = sys.exc_info()
    return (kind, error, trace) if given and kind is not None and error is not None else None
