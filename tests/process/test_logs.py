"""The log: one event a line, in both formats, and libraries' repetitions only once in a while."""

from __future__ import annotations

import json
import logging
import threading
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from exporter.process import logs
from tests.support import eventually
from tests.untouched import untouched_logging  # noqa: F401 - a fixture

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
    assert abs((datetime.now(UTC) - moment).total_seconds()) < 60


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    structlog.stdlib.get_logger("exporter").warning("session lost", ensemble="default")
    (line,) = json_lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"level": "warning", "logger": "exporter", "event": "session lost", "ensemble": "default"}


@pytest.mark.parametrize("format", logs.FORMATS)
def test_an_exception_is_one_line(capsys: pytest.CaptureFixture[str], format: str) -> None:
    logs.configure("info", format)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("library").exception("Unhandled exception in connection loop")
    (line,) = capsys.readouterr().err.splitlines()
    assert "Unhandled exception in connection loop" in line
    assert r"ValueError: two\nlines" in line


@pytest.mark.parametrize("level", logs.LEVELS)
def test_the_level_is_the_least_severe_that_is_logged(capsys: pytest.CaptureFixture[str], level: str) -> None:
    logs.configure(level, "json")
    for each in logs.LEVELS:
        logging.getLogger("exporter").log(logging.getLevelName(each.upper()), each)
    assert [line["event"] for line in json_lines(capsys)] == list(logs.LEVELS[logs.LEVELS.index(level) :])


def test_what_was_held_back_is_counted_when_the_message_comes_again() -> None:
    now = [0.0]
    quiet = logs.QuietLibraries(logging.INFO, clock=lambda: now[0])
    assert quiet.filter(library_warning())
    assert not quiet.filter(library_warning())
    assert not quiet.filter(library_warning())
    now[0] = logs.REPEAT_INTERVAL
    again = library_warning()
    assert quiet.filter(again)
    assert again.__dict__["held_back"] == 2
    now[0] *= 2
    afterwards = library_warning()
    assert quiet.filter(afterwards)
    assert "held_back" not in afterwards.__dict__


def test_different_messages_without_end_are_not_remembered_without_end() -> None:
    quiet = logs.QuietLibraries(logging.INFO)
    assert all(quiet.filter(library_warning(f"Connection dropped: {n}")) for n in range(10_000))
    assert quiet.filter(library_warning("Connection dropped: 0"))
    assert not quiet.filter(library_warning("Connection dropped: 9999"))


def test_our_own_events_are_never_held_back(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    for _ in range(3):
        structlog.stdlib.get_logger("exporter").info("connection suspended")
    assert len(json_lines(capsys)) == 3


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


def library_warning(message: str = "Connection dropped: refused") -> logging.LogRecord:
    return logging.LogRecord("library", logging.WARNING, __file__, 1, message, None, None)
