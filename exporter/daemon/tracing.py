"""Tracing: exports the daemon's spans while it runs, and ends the export in time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import structlog
from opentelemetry import trace

from exporter import __version__
from exporter.config.settings import SettingsError
from exporter.daemon import logs
from exporter.daemon.export import ExportError, SpanExport, is_configured_elsewhere
from exporter.daemon.providers import shut_down_providers

#: Seconds for exporting the last spans; a collector that does not answer would take longer.
FLUSH_TIMEOUT = 1.0

log = structlog.stdlib.get_logger("exporter")


@contextlib.contextmanager
def exporting() -> Iterator[Callable[[], int]]:
    """Exports the spans of every traced client, the last ones on leaving; yields a function that counts dropped spans.

    Does nothing if ``opentelemetry-instrument`` has set up an export already.

    Raises:
        SettingsError: an environment variable has an unusable value.
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


@contextlib.contextmanager
def ending_in_time() -> Iterator[None]:
    """On leaving, shuts down what ``opentelemetry-instrument`` has set up, without waiting long for the collector."""
    try:
        yield
    finally:
        logs.end_export()
        lost = shut_down_providers(FLUSH_TIMEOUT)
        if lost and structlog.is_configured():
            reason = f"the collector did not take all within {FLUSH_TIMEOUT:g} s"
            log.warning("telemetry lost", of=", ".join(lost), reason=reason)
