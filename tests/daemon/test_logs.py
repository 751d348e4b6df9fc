"""The daemon's log: kazoo's messages without secrets and repetitions, trace ids, and the export by OpenTelemetry."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from kazoo.protocol.serialization import SASL, Auth, Connect
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs import export as log_export
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from exporter.daemon import logs
from exporter.process.logs import FORMATS
from tests.untouched import untouched_logging  # noqa: F401 - a fixture

#: It has had two names in OpenTelemetry.
Records: Any = getattr(log_export, "InMemoryLogRecordExporter", None) or log_export.InMemoryLogExporter

pytestmark = pytest.mark.usefixtures("untouched_logging")


def json_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    output, errors = capsys.readouterr()
    assert output == ""
    return [json.loads(line) for line in errors.splitlines()]


@pytest.mark.parametrize("ratio", [0.0, 1.0])
def test_a_line_within_a_sampled_span_leads_to_its_trace(capsys: pytest.CaptureFixture[str], ratio: float) -> None:
    logs.configure("info", "json")
    tracer = TracerProvider(sampler=TraceIdRatioBased(ratio), shutdown_on_exit=False).get_tracer("test")
    with tracer.start_as_current_span("span") as span:
        structlog.stdlib.get_logger("exporter").info("within")
        logging.getLogger("library").warning("within")
    context = span.get_span_context()
    ids = {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
    for line in json_lines(capsys):
        assert {name: line.get(name) for name in ids} == (ids if ratio else dict.fromkeys(ids))


def test_kazoo_repeats_itself_only_once_in_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    kazoo = logging.getLogger("kazoo.client")
    for _ in range(1000):
        kazoo.info("Connecting to %s", "zk")
        kazoo.warning("Connection dropped: %s", "refused")
        kazoo.warning("Cannot resolve %s", "zk")
        kazoo.warning("Transition to CONNECTING")
    kazoo.warning("Session has expired")
    assert [line["event"] for line in json_lines(capsys)] == ["Connection dropped: refused", "Cannot resolve zk"]


def test_the_count_of_held_back_messages_is_logged(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.process.logs.REPEAT_INTERVAL", 0)
    logs.configure("info", "json")
    record = kazoo_warning()
    record.__dict__["held_back"] = 7
    logging.getLogger("kazoo").handle(record)
    (line,) = json_lines(capsys)
    assert line["held_back"] == 7


def test_debug_shows_everything(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "json")
    for _ in range(3):
        logging.getLogger("kazoo.client").info("Connecting to zk")
    assert [line["event"] for line in json_lines(capsys)] == ["Connecting to zk"] * 3


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("request_", [Auth(0, "digest", "user:hunter2"), SASL(b"hunter2")])
def test_credentials_are_not_logged_even_at_debug(
    capsys: pytest.CaptureFixture[str], format: str, request_: object
) -> None:
    logs.configure("debug", format)
    logging.getLogger("kazoo.client").debug("Sending request(xid=%s): %s", -4, request_)
    said = capsys.readouterr().err
    assert "Sending request(xid=-4): (credentials)" in said
    assert "hunter2" not in said


def test_the_password_of_a_session_is_not_logged_either(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "json")
    request = Connect(0, 7, 10_000, 42, b"hunter2", False)
    logging.getLogger("kazoo.client").debug("Sending request(xid=%s): %s", None, request)
    (line,) = json_lines(capsys)
    assert "session_id=42, passwd='(credentials)'" in line["event"]
    assert "hunter2" not in line["event"]


def test_a_client_s_messages_name_its_ensemble_and_are_held_back_each_for_itself(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("info", "json")
    for _ in range(2):
        for name in ("main", "other"):
            logs.OfEnsemble(name).warning("Connection dropped: %s", "refused")
    assert [line["ensemble"] for line in json_lines(capsys)] == ["main", "other"]


def test_the_same_message_of_another_server_is_not_held_back(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    logger = logs.OfEnsemble("main")
    for server in ("zk1:2181", "zk2:2181", "zk1:2181", None):
        logger.server = lambda server=server: server  # type: ignore[misc]
        logger.warning("Connection dropped: %s", "refused")
    assert [line.get("server") for line in json_lines(capsys)] == ["zk1:2181", "zk2:2181", None]


def kazoo_warning(message: str = "Connection dropped: refused") -> logging.LogRecord:
    return logging.LogRecord("kazoo.client", logging.WARNING, __file__, 1, message, None, None)


# OpenTelemetry's handler


@pytest.fixture
def exported() -> Iterator[Any]:
    """The records that OpenTelemetry's handler exports if it is set up before the log is configured."""
    records = Records()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(records))
    with warnings.catch_warnings():
        # OpenTelemetry's distribution still sets up the deprecated one.
        warnings.simplefilter("ignore")
        handler = LoggingHandler(logger_provider=provider)
    logging.getLogger().addHandler(handler)
    yield records
    provider.shutdown()


def texts_of(records: Any) -> list[tuple[Any, dict[str, Any]]]:
    """The bodies, and the attributes that are not about code."""
    logs_data = [data.log_record for data in records.get_finished_logs()]
    return [
        (record.body, {k: v for k, v in (record.attributes or {}).items() if not k.startswith("code.")})
        for record in logs_data
    ]


def test_exported_records_are_text_with_attributes(exported: Any, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        logs.configure("info", "json")
    log = structlog.stdlib.get_logger("exporter")
    log.info("connected", server="zk 1:2181", attempts=3, read_only=True, name="main")
    logging.getLogger("kazoo.client").warning("Cannot resolve %s", "zk1", extra={"ensemble": "main", "more": object()})
    log.debug("not at this level")
    assert texts_of(exported) == [
        (
            'connected server="zk 1:2181" attempts=3 read_only=true name=main',
            {"server": "zk 1:2181", "attempts": 3, "read_only": True},
        ),
        ("Cannot resolve zk1 ensemble=main", {"ensemble": "main"}),
    ]
    assert [line["event"] for line in json_lines(capsys)] == ["connected", "Cannot resolve zk1"]


def test_exported_exceptions_are_attributes(exported: Any) -> None:
    logs.configure("info", "json")
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        structlog.stdlib.get_logger("exporter").exception("failed")
        structlog.stdlib.get_logger("exporter").error("failed", exc_info=error)
        logging.getLogger("library").exception("failed")
    for body, attributes in texts_of(exported):
        assert (body, attributes["exception.type"]) == ("failed", "ValueError")
        assert "test_exported_exceptions_are_attributes" in attributes["exception.stacktrace"]
    assert len(texts_of(exported)) == 3


def test_neither_secrets_nor_floods_nor_opentelemetrys_own_troubles_are_exported(
    exported: Any,
) -> None:
    logs.configure("debug", "json")
    logging.getLogger("kazoo.client").debug("Sending request %s", Auth(0, "digest", "reader:secret"))
    logging.getLogger("opentelemetry.exporter").error("Failed to export logs batch")
    assert texts_of(exported) == [("Sending request (credentials)", {})]
    exported.clear()
    logs.configure("info", "json")
    for _ in range(3):
        logging.getLogger("kazoo.client").warning("Connection dropped")
    assert texts_of(exported) == [("Connection dropped", {})]


def test_nothing_is_exported_once_that_has_ended(exported: Any) -> None:
    logs.configure("info", "json")
    logs.end_export()
    structlog.stdlib.get_logger("exporter").info("stopped")
    assert texts_of(exported) == []
