"""The export of the daemon's spans: OpenTelemetry's variables, their unusable values, and dropped spans."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from exporter.daemon.export import ExportError, SpanExport, SpanQueue
from tests.support import eventually


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Exports spans to the console, unless the test sets something else."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    return monkeypatch


@pytest.fixture
def export(environment: pytest.MonkeyPatch) -> Iterator[SpanExport]:
    export = SpanExport.from_environment("1.2.3")
    assert export is not None
    yield export
    export.shutdown(1)


@pytest.mark.parametrize("value", ["", "none", " none "])
def test_nothing_is_exported_by_default(environment: pytest.MonkeyPatch, value: str) -> None:
    environment.setenv("OTEL_TRACES_EXPORTER", value)
    assert SpanExport.from_environment("1.2.3") is None


def test_a_disabled_sdk_exports_nothing(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OTEL_SDK_DISABLED", "True")
    assert SpanExport.from_environment("1.2.3") is None


def test_the_service_has_a_name_and_a_version(export: SpanExport) -> None:
    attributes = export.provider.resource.attributes
    assert (attributes["service.name"], attributes["service.version"]) == ("treecache-exporter", "1.2.3")


def test_the_environment_names_the_service_and_chooses_the_sampler(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=overruled,service.version=7,zone=a")
    environment.setenv("OTEL_SERVICE_NAME", "named")
    environment.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    environment.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
    export = SpanExport.from_environment("1.2.3")
    assert export is not None
    attributes = export.provider.resource.attributes
    assert (attributes["service.name"], attributes["service.version"], attributes["zone"]) == ("named", "7", "a")
    assert "TraceIdRatioBased{0.25}" in export.provider.sampler.get_description()
    export.shutdown(1)


@pytest.mark.parametrize(
    ("variables", "name", "value", "problem"),
    [
        ({"OTEL_TRACES_EXPORTER": "otlp,zipkin"}, "OTEL_TRACES_EXPORTER", "otlp,zipkin", "accepted: none, or any of"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            "http/json",
            "accepted: http/protobuf, grpc",
        ),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "-1"}, "OTEL_BSP_MAX_QUEUE_SIZE", "-1", "accepted: a whole number above 0"),
        ({"OTEL_BSP_SCHEDULE_DELAY": "5s"}, "OTEL_BSP_SCHEDULE_DELAY", "5s", "accepted: a whole number above 0"),
        (
            {"OTEL_BSP_MAX_QUEUE_SIZE": "100"},
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
            "512",
            "larger than OTEL_BSP_MAX_QUEUE_SIZE; accepted: 1 to 100",
        ),
    ],
)
def test_what_cannot_be_had_is_told(
    environment: pytest.MonkeyPatch, variables: dict[str, str], name: str, value: str, problem: str
) -> None:
    for variable, text in variables.items():
        environment.setenv(variable, text)
    with pytest.raises(ExportError, match=problem) as error:
        SpanExport.from_environment("1.2.3")
    assert (error.value.variable, error.value.value) == (name, value)


def test_grpc_takes_its_extra(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OTEL_TRACES_EXPORTER", "otlp")
    environment.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")
    environment.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    with pytest.raises(ExportError, match=r"treecache-exporter\[grpc\]"):
        SpanExport.from_environment("1.2.3")


# Dropped spans


class Stuck(SpanExporter):
    """Takes one batch at a time, when the test allows it."""

    def __init__(self, result: SpanExportResult) -> None:
        self.let = threading.Event()
        self.taken = 0
        self._result = result

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        self.let.wait(30)
        return self._result

    def shutdown(self) -> None: ...

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True


@pytest.fixture
def small(environment: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A queue of ten spans, exported one by one without delay."""
    environment.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "10")
    environment.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1")
    environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    return environment


def make_spans(queue: SpanQueue, count: int) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(queue)
    for _ in range(count):
        provider.get_tracer("test").start_span("one").end()


@pytest.mark.parametrize(("result", "dropped"), [(SpanExportResult.SUCCESS, 100 - 11), (SpanExportResult.FAILURE, 100)])
def test_every_span_that_is_not_exported_is_counted(
    small: pytest.MonkeyPatch, result: SpanExportResult, dropped: int
) -> None:
    exporter = Stuck(result)
    queue = SpanQueue(exporter)
    make_spans(queue, 1)
    eventually(lambda: exporter.taken == 1)
    make_spans(queue, 99)
    assert (queue.dropped, queue.unsettled) == (100 - 11, 11)
    exporter.let.set()
    eventually(lambda: queue.unsettled == 0)
    assert queue.dropped == dropped
    queue.shutdown()


def test_a_shutdown_takes_no_longer_than_it_may_and_tells_what_stays_behind(small: pytest.MonkeyPatch) -> None:
    exporter = Stuck(SpanExportResult.SUCCESS)
    provider = TracerProvider(shutdown_on_exit=False)
    queue = SpanQueue(exporter)
    provider.add_span_processor(queue)
    for _ in range(5):
        provider.get_tracer("test").start_span("one").end()
    assert SpanExport(provider, [queue]).shutdown(0.1) == 5
    exporter.let.set()
    eventually(lambda: queue.unsettled == 0)


def test_a_shutdown_exports_what_is_left(environment: pytest.MonkeyPatch) -> None:
    exporter = Stuck(SpanExportResult.SUCCESS)
    exporter.let.set()
    provider = TracerProvider(shutdown_on_exit=False)
    queue = SpanQueue(exporter)
    provider.add_span_processor(queue)
    for _ in range(5):
        provider.get_tracer("test").start_span("one").end()
    assert SpanExport(provider, [queue]).shutdown(10) == 0
    assert exporter.taken == 5
