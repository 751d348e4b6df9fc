"""Spans: where those of the daemon go while it runs, by OpenTelemetry's environment variables."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import structlog
from opentelemetry import trace

from exporter import __version__
from exporter.settings import SettingsError
from exporter.telemetry.tracing.export import ExportError, SpanExport, is_configured_elsewhere

#: Seconds that the last spans may take to leave; a collector that does not answer would take longer.
FLUSH_TIMEOUT = 1.0

log = structlog.stdlib.get_logger("exporter")


@contextlib.contextmanager
def exporting() -> Iterator[Callable[[], int]]:
    """Exports the spans of every client that is traced, and the last of them on leaving; gives how many were dropped.

    Does nothing where ``opentelemetry-instrument`` has set it up already.

    Raises:
        SettingsError: the environment asks for what cannot be had.
    """
    try:
        export = None if is_configured_elsewhere() else SpanExport.from_environment(__version__)
    except ExportError as error:
        raise SettingsError(error.variable, error.value, str(error)) from None
    if export is None:
        yield lambda: 0
        return
    trace.set_tracer_provider(export.provider)
    try:
        yield lambda: export.dropped
    finally:
        lost = export.shutdown(FLUSH_TIMEOUT)
        if lost:
            log.warning("spans lost", spans=lost, reason=f"the collector did not take them within {FLUSH_TIMEOUT:g} s")
