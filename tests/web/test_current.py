"""The web configuration in use: failed reloads are retried, and logged once."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter.config.web import load
from exporter.web.current import CurrentConfig

HEADER = "http_server_config: {headers: {X-Frame-Options: %s}}\n"


@contextmanager
def no_file_left() -> Iterator[None]:
    """Within the block the process cannot open files, as with too many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "web.yml"
    path.write_text(HEADER % "deny")
    return path


def looks(current: CurrentConfig, count: int) -> list[str]:
    """What is logged by this many checks of the files."""
    with capture_logs() as logged:
        for _ in range(count):
            current.refresh()
    return [f"{line['log_level']}: {line['event']}" for line in logged]


def test_a_file_that_could_not_be_opened_is_read_at_a_later_look(file: Path) -> None:
    current = CurrentConfig(load(file))
    file.write_text(HEADER % "sameorigin")
    with no_file_left():
        assert looks(current, 40) == ["error: web configuration not reloaded"]
    assert current.config.headers == {"X-Frame-Options": "deny"}
    assert looks(current, 16) == ["info: web configuration reloaded"]
    assert current.config.headers == {"X-Frame-Options": "sameorigin"}
    assert looks(current, 40) == []


def test_a_file_that_was_read_half_is_read_again_although_nothing_tells_that_it_changed(file: Path) -> None:
    current = CurrentConfig(load(file))
    whole = HEADER % "sameorigin"
    file.write_text(whole.replace("}}", "  "))
    written = file.stat()
    assert looks(current, 5) == ["error: web configuration not reloaded"]
    with file.open("r+") as stream:
        stream.write(whole)
    os.utime(file, ns=(written.st_atime_ns, written.st_mtime_ns))
    assert looks(current, 16) == ["info: web configuration reloaded"]
    assert current.config.headers == {"X-Frame-Options": "sameorigin"}


def test_each_change_of_a_bad_file_is_said(file: Path) -> None:
    current = CurrentConfig(load(file))
    for number in range(3):
        file.write_text("nonsense: true\n" + "#" * number)
        assert looks(current, 5) == ["error: web configuration not reloaded"]
    file.write_text(HEADER % "sameorigin")
    assert looks(current, 1) == ["info: web configuration reloaded"]
