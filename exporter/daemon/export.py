"""SpanExport: where the daemon's spans go, by OpenTelemetry's own environment variables.

What the SDK reads itself it reads here too: OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER and its
argument, and OTEL_EXPORTER_OTLP_*. Only what the SDK would answer with a traceback is looked at before.
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
#: OTLP's protocols, the first by default, and the modules that speak them.
_PROTOCOLS: Mapping[str, str] = {
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "grpc": "opentelemetry.exporter.otlp.proto.grpc.trace_exporter",
}
#: What the specification has for those that are not set.
_BATCH_DEFAULTS: Mapping[str, int] = {
    OTEL_BSP_MAX_QUEUE_SIZE: 2048,
    OTEL_BSP_SCHEDULE_DELAY: 5000,
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: 512,
    OTEL_BSP_EXPORT_TIMEOUT: 30000,
}


class ExportError(ValueError):
    """An environment variable asks for what cannot be had.

    ``variable`` is its name and ``value`` what it holds, None where that says nothing.
    """

    def __init__(self, variable: str, value: str | None, problem: str) -> None:
        super().__init__(problem)
        self.variable = variable
        self.value = value


class SpanExport:
    """Takes spans and exports them in the background; never waits for a collector.

    Args:
        provider: makes the spans.
        queues: hold them until they are exported.
    """

    def __init__(self, provider: TracerProvider, queues: Sequence[SpanQueue]) -> None:
        self.provider = provider
        self._queues = queues

    @classmethod
    def from_environment(cls, version: str) -> SpanExport | None:
        """What the environment asks for, None if that is nothing.

        Raises:
            ExportError: it asks for what cannot be had.
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
        """Spans that were not exported and will not be."""
        return sum(queue.dropped for queue in self._queues)

    def shutdown(self, timeout: float) -> int:
        """Exports what is left, for at most so many seconds; gives how many spans stay behind."""
        dropped_before = self.dropped
        # The SDK waits half a minute for a collector that does not answer.
        thread = threading.Thread(target=self.provider.shutdown, daemon=True)
        thread.start()
        thread.join(timeout)
        return sum(queue.unsettled for queue in self._queues) + self.dropped - dropped_before


class SpanQueue(SpanProcessor):
    """The SDK's batches, with a bound of its own in front, so that each span that is dropped is counted.

    Raises:
        ExportError: a variable OTEL_BSP_* is no whole number above 0, or the batches are larger than the queue.
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
        """Spans that found the queue full, or that the exporter gave up."""
        return self._dropped

    @property
    def unsettled(self) -> int:
        """Spans that wait or are being exported."""
        return self._waiting + self._in_export

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Does nothing: only spans that have ended are exported."""

    def on_end(self, span: ReadableSpan) -> None:
        """Queues a span that is sampled, or counts it as dropped; never waits."""
        if span.context is None or not span.context.trace_flags.sampled:
            return
        with self._lock:
            if self._waiting >= self._limit:
                self._dropped += 1
                return
            self._waiting += 1
        self._batches.on_end(span)

    def shutdown(self) -> None:
        """Exports what is left."""
        self._batches.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Exports what is left."""
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
    """An exporter that counts the spans it takes, and what becomes of them."""

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
    """Whether something else, such as ``opentelemetry-instrument``, has set up where spans go."""
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
        problem = "not installed; accepted with the extra of that name: pip install treecache-exporter[grpc]"
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
