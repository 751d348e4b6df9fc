"""SpanExport: exports the daemon's spans as OpenTelemetry's environment variables say.

The SDK itself reads OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER and its argument, and
OTEL_EXPORTER_OTLP_*. Only variables that would make the SDK raise a traceback are checked here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.environment_variables import OTEL_TRACES_EXPORTER
from opentelemetry.sdk.environment_variables import (
    OTEL_BSP_EXPORT_TIMEOUT,
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE,
    OTEL_BSP_MAX_QUEUE_SIZE,
    OTEL_BSP_SCHEDULE_DELAY,
    OTEL_EXPORTER_OTLP_PROTOCOL,
    OTEL_EXPORTER_OTLP_TRACES_PROTOCOL,
    OTEL_SDK_DISABLED,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter, SpanExportResult
from opentelemetry.semconv.attributes.service_attributes import SERVICE_NAME, SERVICE_VERSION

DEFAULT_SERVICE_NAME = "treecache-exporter"

_NONE = "none"
_EXPORTERS = ("otlp", "console")
#: OTLP's protocols, the first one being the default, and the modules that implement them.
_PROTOCOLS: Mapping[str, str] = {
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "grpc": "opentelemetry.exporter.otlp.proto.grpc.trace_exporter",
}
#: The specification's defaults.
_BATCH_DEFAULTS: Mapping[str, int] = {
    OTEL_BSP_MAX_QUEUE_SIZE: 2048,
    OTEL_BSP_SCHEDULE_DELAY: 5000,
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: 512,
    OTEL_BSP_EXPORT_TIMEOUT: 30000,
}


class ExportError(ValueError):
    """An environment variable has an unusable value.

    ``variable`` is its name and ``value`` its value, None if that does not help.
    """

    def __init__(self, variable: str, value: str | None, problem: str) -> None:
        super().__init__(problem)
        self.variable = variable
        self.value = value


class SpanExport:
    """Takes spans and exports them in the background; never waits for a collector.

    Args:
        provider: creates the spans.
        queues: hold the spans until they are exported.
    """

    def __init__(self, provider: TracerProvider, queues: Sequence[SpanQueue]) -> None:
        self.provider = provider
        self._queues = queues

    @classmethod
    def from_environment(cls, version: str) -> SpanExport | None:
        """The export that the environment configures, or None.

        Raises:
            ExportError: a variable has an unusable value.
        """
        names = _exporter_names()
        if not names or os.environ.get(OTEL_SDK_DISABLED, "").strip().lower() == "true":
            return None
        queues = [SpanQueue(_exporter(name)) for name in names]
        provider = TracerProvider(resource=_resource(version), shutdown_on_exit=False)
        for queue in queues:
            provider.add_span_processor(queue)
        return cls(provider, queues)

    @property
    def dropped(self) -> int:
        """How many spans were dropped."""
        return sum(queue.dropped for queue in self._queues)

    def shutdown(self, timeout: float) -> int:
        """Exports the remaining spans within `timeout` seconds; returns how many were lost."""
        dropped_before = self.dropped
        # In a thread: the SDK waits half a minute for a collector that does not answer.
        thread = threading.Thread(target=self.provider.shutdown, daemon=True)
        thread.start()
        thread.join(timeout)
        return sum(queue.unsettled for queue in self._queues) + self.dropped - dropped_before


class SpanQueue(SpanProcessor):
    """The SDK's batch processor behind an additional limit, so that each dropped span is counted.

    Raises:
        ExportError: a variable OTEL_BSP_* is not a whole number above 0, or a batch is larger than the queue.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        numbers = {variable: _whole_number(variable, default) for variable, default in _BATCH_DEFAULTS.items()}
        self._limit = numbers[OTEL_BSP_MAX_QUEUE_SIZE]
        batch = numbers[OTEL_BSP_MAX_EXPORT_BATCH_SIZE]
        if batch > self._limit:
            problem = f"larger than {OTEL_BSP_MAX_QUEUE_SIZE}; accepted: 1 to {self._limit}"
            raise ExportError(OTEL_BSP_MAX_EXPORT_BATCH_SIZE, str(batch), problem)
        self._lock = threading.Lock()
        self._waiting = 0
        self._in_export = 0
        self._dropped = 0
        self._batches = BatchSpanProcessor(
            _Counted(exporter, self._began, self._ended),
            max_queue_size=self._limit,
            schedule_delay_millis=numbers[OTEL_BSP_SCHEDULE_DELAY],
            max_export_batch_size=batch,
            export_timeout_millis=numbers[OTEL_BSP_EXPORT_TIMEOUT],
        )

    @property
    def dropped(self) -> int:
        """How many spans found the queue full, or failed to be exported."""
        return self._dropped

    @property
    def unsettled(self) -> int:
        """How many spans wait or are being exported."""
        return self._waiting + self._in_export

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Does nothing: only ended spans are exported."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queues a sampled span, or counts it as dropped; never blocks."""
        if span.context is None or not span.context.trace_flags.sampled:
            return
        with self._lock:
            if self._waiting >= self._limit:
                self._dropped += 1
                return
            self._waiting += 1
        self._batches.on_end(span)

    def shutdown(self) -> None:
        """Exports the remaining spans."""
        self._batches.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Exports the remaining spans."""
        return self._batches.force_flush(timeout_millis)

    def _began(self, count: int) -> None:
        with self._lock:
            self._waiting -= count
            self._in_export += count

    def _ended(self, count: int, exported: bool) -> None:
        with self._lock:
            self._in_export -= count
            if not exported:
                self._dropped += count


class _Counted(SpanExporter):
    """Wraps an exporter to count the spans that it takes, and the ones that it fails to export."""

    def __init__(
        self, exporter: SpanExporter, began: Callable[[int], None], ended: Callable[[int, bool], None]
    ) -> None:
        self._exporter = exporter
        self._began = began
        self._ended = ended

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._began(len(spans))
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self._ended(len(spans), result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def is_configured_elsewhere() -> bool:
    """Whether something else, such as ``opentelemetry-instrument``, has configured the export of spans."""
    return isinstance(trace.get_tracer_provider(), TracerProvider)


def _exporter_names() -> list[str]:
    value = os.environ.get(OTEL_TRACES_EXPORTER, "").strip() or _NONE
    names = [name.strip() for name in value.split(",")]
    if names == [_NONE]:
        return []
    if not set(names) <= set(_EXPORTERS):
        accepted = f"accepted: {_NONE}, or any of {', '.join(_EXPORTERS)}, separated by commas"
        raise ExportError(OTEL_TRACES_EXPORTER, value, accepted)
    return list(dict.fromkeys(names))


def _exporter(name: str) -> SpanExporter:
    if name == "console":
        return ConsoleSpanExporter()
    variable = OTEL_EXPORTER_OTLP_TRACES_PROTOCOL
    if not os.environ.get(variable):
        variable = OTEL_EXPORTER_OTLP_PROTOCOL
    protocol = os.environ.get(variable, "").strip() or next(iter(_PROTOCOLS))
    if protocol not in _PROTOCOLS:
        raise ExportError(variable, protocol, f"accepted: {', '.join(_PROTOCOLS)}")
    try:
        exporter: SpanExporter = import_module(_PROTOCOLS[protocol]).OTLPSpanExporter()
    except ImportError:
        problem = "not installed; accepted: with the extra treecache-exporter[grpc]"
        raise ExportError(variable, protocol, problem) from None
    except Exception as error:
        raise ExportError("OTEL_EXPORTER_OTLP_*", None, f"{error}; accepted: what OpenTelemetry specifies") from error
    return exporter


def _resource(version: str) -> Resource:
    named = {SERVICE_NAME: DEFAULT_SERVICE_NAME, SERVICE_VERSION: version}
    return Resource.create({**named, **OTELResourceDetector().detect().attributes})


def _whole_number(variable: str, default: int) -> int:
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdecimal() and int(text) > 0):
        raise ExportError(variable, text, "accepted: a whole number above 0")
    return int(text)
