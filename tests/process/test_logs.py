"""The log: one event a line, in both formats, the libraries' messages included but never in floods."""

from __future__ import annotations

import json
import logging
import threading
import warnings
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
import structlog
from kazoo.exceptions import NoAuthError, OperationTimeoutError
from kazoo.protocol.serialization import SASL, Auth, Connect
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs import export as log_export
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from exporter.process import logs
from tests.support import eventually
from tests.untouched import untouched_logging  # noqa: F401 - a fixture

#: It has had two names.
Records: Any = getattr(log_export, "InMemoryLogRecordExporter", None) or log_export.InMemoryLogExporter

pytestmark = pytest.mark.usefixtures("untouched_logging")


def json_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    output, errors = capsys.readouterr()
    assert output == ""
    return [json.loads(line) for line in errors.splitlines()]


def test_logfmt(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "logfmt")
    structlog.stdlib.get_logger("exporter").info("connected", server="zk 1:2181", read_only=True, more="a\nb\x1b[0m")
    timestamp, rest = capsys.readouterr().err.rstrip("\n").split(" ", 1)
    assert rest == r'level=info logger=exporter event=connected server="zk 1:2181" read_only=true more=a\nb\x1b[0m'
    moment = datetime.fromisoformat(timestamp.removeprefix("timestamp=").replace("Z", "+00:00"))
    assert abs((datetime.now(timezone.utc) - moment).total_seconds()) < 60


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    structlog.stdlib.get_logger("exporter").warning("session lost", ensemble="default")
    (line,) = json_lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"level": "warning", "logger": "exporter", "event": "session lost", "ensemble": "default"}


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


@pytest.mark.parametrize("format", logs.FORMATS)
def test_an_exception_is_one_line(capsys: pytest.CaptureFixture[str], format: str) -> None:
    logs.configure("info", format)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("kazoo.client").exception("Unhandled exception in connection loop")
    (line,) = capsys.readouterr().err.splitlines()
    assert "Unhandled exception in connection loop" in line
    assert r"ValueError: two\nlines" in line


@pytest.mark.parametrize("level", logs.LEVELS)
def test_the_level_is_the_least_severe_that_is_logged(capsys: pytest.CaptureFixture[str], level: str) -> None:
    logs.configure(level, "json")
    for each in logs.LEVELS:
        logging.getLogger("exporter").log(logging.getLevelName(each.upper()), each)
    assert [line["event"] for line in json_lines(capsys)] == list(logs.LEVELS[logs.LEVELS.index(level) :])


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


def test_what_was_held_back_is_counted_when_the_message_comes_again() -> None:
    now = [0.0]
    quiet = logs.QuietLibraries(logging.INFO, clock=lambda: now[0])
    assert quiet.filter(kazoo_warning())
    assert not quiet.filter(kazoo_warning())
    assert not quiet.filter(kazoo_warning())
    now[0] = logs.REPEAT_INTERVAL
    again = kazoo_warning()
    assert quiet.filter(again)
    assert again.__dict__["held_back"] == 2
    now[0] *= 2
    afterwards = kazoo_warning()
    assert quiet.filter(afterwards)
    assert "held_back" not in afterwards.__dict__


def test_the_count_of_held_back_messages_is_logged(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "REPEAT_INTERVAL", 0)
    logs.configure("info", "json")
    record = kazoo_warning()
    record.__dict__["held_back"] = 7
    logging.getLogger("kazoo").handle(record)
    (line,) = json_lines(capsys)
    assert line["held_back"] == 7


def test_different_messages_without_end_are_not_remembered_without_end() -> None:
    quiet = logs.QuietLibraries(logging.INFO)
    assert all(quiet.filter(kazoo_warning(f"Connection dropped: {n}")) for n in range(10_000))
    assert quiet.filter(kazoo_warning("Connection dropped: 0"))
    assert not quiet.filter(kazoo_warning("Connection dropped: 9999"))


def test_debug_shows_everything(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug", "json")
    for _ in range(3):
        logging.getLogger("kazoo.client").info("Connecting to zk")
    assert [line["event"] for line in json_lines(capsys)] == ["Connecting to zk"] * 3


def test_our_own_events_are_never_held_back(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    for _ in range(3):
        structlog.stdlib.get_logger("exporter").info("connection suspended")
    assert len(json_lines(capsys)) == 3


def test_one_fault_of_each_kind_in_a_minute_is_a_warning_and_the_others_are_counted() -> None:
    now = [0.0]
    with structlog.testing.capture_logs() as logged:
        fault_log = logs.FaultLog(structlog.stdlib.get_logger("exporter"), clock=lambda: now[0])
        for fault in (NoAuthError("/a"), NoAuthError("/b"), OperationTimeoutError(), NoAuthError("/c")):
            fault_log(fault)
        now[0] = logs.FAULT_INTERVAL
        fault_log(NoAuthError("/d"))
        fault_log(NoAuthError("/e"))
    levels = [(entry["log_level"], entry["fault"], entry["reason"], entry.get("held_back")) for entry in logged]
    assert levels == [
        ("warning", "NoAuthError", "/a", None),
        ("debug", "NoAuthError", "/b", None),
        ("warning", "OperationTimeoutError", "", None),
        ("debug", "NoAuthError", "/c", None),
        ("warning", "NoAuthError", "/d", 2),
        ("debug", "NoAuthError", "/e", None),
    ]


def test_what_comes_again_and_again_is_summed_up_until_it_is_over() -> None:
    told: list[int] = []
    flood = logs.Flood(told.append, limit=2, interval=0.2)
    assert [flood.admits(message) for message in ("suspended", "connected") * 5] == [True] * 4 + [False] * 6
    eventually(lambda: told == [6])
    assert not flood.admits("suspended")
    eventually(lambda: told == [6, 1])
    eventually(lambda: "flood" not in [thread.name for thread in threading.enumerate()])
    assert [flood.admits(message) for message in ("suspended", "connected", "suspended")] == [True] * 3
    assert not flood.admits("suspended")
    flood.close()


@pytest.mark.parametrize("format", logs.FORMATS)
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


# What OpenTelemetry's handler gets


@pytest.fixture
def exported() -> Iterator[Any]:
    """What a handler of OpenTelemetry, set up before the log is configured, has exported."""
    records = Records()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(records))
    with warnings.catch_warnings():
        # OpenTelemetry's distribution still sets up the one that is deprecated.
        warnings.simplefilter("ignore")
        handler = LoggingHandler(logger_provider=provider)
    logging.getLogger().addHandler(handler)
    yield records
    provider.shutdown()


def told(records: Any) -> list[tuple[Any, dict[str, Any]]]:
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
    assert told(exported) == [
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
    for body, attributes in told(exported):
        assert (body, attributes["exception.type"]) == ("failed", "ValueError")
        assert "test_exported_exceptions_are_attributes" in attributes["exception.stacktrace"]
    assert len(told(exported)) == 3


def test_neither_secrets_nor_floods_nor_opentelemetrys_own_troubles_are_exported(
    exported: Any,
) -> None:
    logs.configure("debug", "json")
    logging.getLogger("kazoo.client").debug("Sending request %s", Auth(0, "digest", "reader:secret"))
    logging.getLogger("opentelemetry.exporter").error("Failed to export logs batch")
    assert told(exported) == [("Sending request (credentials)", {})]
    exported.clear()
    logs.configure("info", "json")
    for _ in range(3):
        logging.getLogger("kazoo.client").warning("Connection dropped")
    assert told(exported) == [("Connection dropped", {})]


def test_nothing_is_exported_once_that_has_ended(exported: Any) -> None:
    logs.configure("info", "json")
    logs.end_export()
    structlog.stdlib.get_logger("exporter").info("stopped")
    assert told(exported) == []
