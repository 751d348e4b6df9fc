"""Auto-reload: it waits while a file is being written, and retries failed reloads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from exporter.config.files import Files
from exporter.config.settings import Ensemble, SettingsError
from exporter.config.source import Source
from exporter.daemon import autoreload
from exporter.daemon.autoreload import AutoReload, reloading_changes
from exporter.daemon.fleet import Fleet
from exporter.daemon.reload import Reloader

WHOLE = "ensembles: [{name: main, hosts: zk, trees: [{path: /a}, {path: /b}]}]\n"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoreload, "SETTLED", 0.0)


class Watched:
    """A configuration with auto-reload, and a fleet without ensembles; records the number of trees of each reload."""

    def __init__(self, file: Path, apply: Callable[[], None] = lambda: None) -> None:
        self.source = Source(file)
        self.source.load()
        self.loads: list[int] = []
        self._apply = apply

    def run(self, loads: int) -> list[int]:
        """Watches until this many reloads have happened."""

        async def watch() -> None:
            reloader = Reloader(Fleet(()), self._load)
            with reloading_changes(AutoReload(self.source, 0.0), reloader):
                while len(self.loads) < loads:
                    await asyncio.sleep(0.01)
            reloader.close()

        asyncio.run(asyncio.wait_for(watch(), 60))
        return self.loads

    def _load(self) -> tuple[Ensemble, ...]:
        (ensemble,) = self.source.load()
        self.loads.append(len(ensemble.trees))
        self._apply()
        return ()


def test_a_file_that_is_being_written_is_read_when_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.yml"
    file.write_text(WHOLE)
    watched = Watched(file)
    # Each part alone is valid, and written between two checks.
    parts = [WHOLE.replace(", {path: /b}", f", {{path: /b}}, {{path: /{number}}}") for number in range(5)]
    parts.append(WHOLE.replace(", {path: /b}", ""))
    now = Files.now

    def look_and_write(files: Files) -> Files:
        seen = now(files)
        if parts:
            file.write_text(parts.pop(0))
        return seen

    monkeypatch.setattr(Files, "now", look_and_write)
    assert watched.run(1) == [1]


def test_a_file_that_never_settles_is_read_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.yml"
    file.write_text(WHOLE)
    watched = Watched(file)
    now = Files.now

    def look_and_write(files: Files) -> Files:
        with file.open("a") as stream:
            stream.write("\n")
        return now(files)

    monkeypatch.setattr(Files, "now", look_and_write)
    assert watched.run(2)[:2] == [2, 2]


def test_what_could_not_be_put_into_force_is_tried_again(tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text(WHOLE)
    failures = [RuntimeError("can't start new thread")] * 3

    def apply() -> None:
        if failures:
            raise failures.pop()

    watched = Watched(file, apply)
    file.write_text(WHOLE.replace(", {path: /b}", ""))
    assert watched.run(4) == [1, 1, 1, 1]
    assert not failures


def test_what_was_refused_is_tried_again_and_said_once(tmp_path: Path) -> None:
    """An unchanged file may have failed only because the process was out of file descriptors when it was read."""
    file = tmp_path / "config.yml"
    file.write_text(WHOLE)
    failures: list[Exception] = [SettingsError("config.yml", None, "Too many open files")] * 3

    def apply() -> None:
        if failures:
            raise failures.pop()

    watched = Watched(file, apply)
    file.write_text(WHOLE.replace(", {path: /b}", ""))
    with capture_logs() as logged:
        assert watched.run(4) == [1, 1, 1, 1]
    assert [line["event"] for line in logged if line["log_level"] == "error"] == ["configuration refused"]
    assert logged[-1]["event"] == "configuration reloaded"
