"""ExportedLogs: what OpenTelemetry's logging handler gets of the log, where ``opentelemetry-instrument`` set one up.

By itself that handler would take structlog's dictionaries for the text of a record, and structlog's logger for an
attribute, of which it complains in a line of its own.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

import structlog

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

#: What a record says apart from its text. The ids of the trace are the handler's own to find.
_SAID_ELSEWHERE = ("timestamp", "level", "logger", "trace_id", "span_id")
#: What a record consists of, and is no attribute.
_OF_RECORDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
_as_logfmt = structlog.processors.LogfmtRenderer(drop_missing=True, bool_as_flag=False)


class ExportedLogs(logging.Handler):
    """Hands records on to another handler, as text, with what goes with it both in the text and as attributes.

    What OpenTelemetry logs itself is left out: a failing export must not lead to more to export.

    Args:
        handler: OpenTelemetry's.
        extras: what records that are not structlog's may carry.
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
    """For those of a logger's handlers that are OpenTelemetry's: what to put in their place."""
    inner = [handler.handler if isinstance(handler, ExportedLogs) else handler for handler in handlers]
    theirs = [handler for handler in inner if type(handler).__module__.split(".")[0] == "opentelemetry"]
    return [ExportedLogs(handler, extras) for handler in dict.fromkeys(theirs)]


def _attributes(fields: Mapping[str, object]) -> dict[str, object]:
    """The fields as what an attribute can be, but for those that a record has other things under."""
    return {
        key: value if isinstance(value, (bool, int, float, str)) else str(value)
        for key, value in fields.items()
        if key not in _OF_RECORDS and value is not None
    }


def _exc_info(given: object) -> _ExcInfo | None:
    """What structlog's callers say of an exception, as records have it."""
    if isinstance(given, BaseException):
        return (type(given), given, given.__traceback__)
    if isinstance(given, tuple):
        return given
    kind, error, trace = sys.exc_info()
    return (kind, error, trace) if given and kind is not None and error is not None else None
