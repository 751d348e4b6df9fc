"""The daemon in this process: how it starts, how it stops, and how it notifies systemd."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import structlog
import uvicorn

from exporter.config.settings import Ensemble, ListenAddress, Settings, SettingsError, Tree, Web
from exporter.daemon.run import run
from tests.support import eventually

UNREACHABLE = "127.0.0.1:1"


def settings(hosts: str = UNREACHABLE, port: int = 0) -> Settings:
    ensemble = Ensemble("default", hosts, (Tree("/", "/"),))
    return Settings((ensemble,), Web((ListenAddress("127.0.0.1", port),)))


def test_the_signals_are_as_before_when_it_has_ended() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    run(settings(), on_ready=lambda _: os.kill(os.getpid(), signal.SIGTERM))
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_an_occupied_port_is_refused_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"^--web.listen-address=127\.0\.0\.1:{port}: cannot listen there"):
            run(settings(port=port))


class ServiceManager:
    """The notifications to systemd, datagram by datagram."""

    def __init__(self, datagrams: socket.socket) -> None:
        self._datagrams = datagrams

    def __call__(self) -> str:
        return self._datagrams.recv(4096).decode()

    def rest(self) -> list[str]:
        """The notifications since the last call."""
        self._datagrams.setblocking(False)
        rest: list[str] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                rest.append(self())
        return rest


@pytest.fixture
def service_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceManager]:
    """A socket that acts as systemd's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(str(tmp_path / "notify"))
        datagrams.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield ServiceManager(datagrams)


@contextlib.contextmanager
def meanwhile(act: Callable[[], None]) -> Iterator[None]:
    """Runs `act` in a thread while the daemon runs in this one; raises its error at the end of the block."""
    with ThreadPoolExecutor(1) as thread:
        acting = thread.submit(act)
        yield
        acting.result()


def test_systemd_is_told_of_readiness_reloads_and_the_end(service_manager: ServiceManager) -> None:
    notified = []

    def hear_and_go_on() -> None:
        for next_signal in (signal.SIGHUP, None, signal.SIGTERM, None):
            notified.append(service_manager())
            if next_signal is not None:
                os.kill(os.getpid(), next_signal)

    before = time.monotonic_ns() // 1000
    with meanwhile(hear_and_go_on):
        assert run(settings(), load=lambda: settings().ensembles) == 0
    assert (notified[0], notified[2], notified[3]) == ("READY=1", "READY=1", "STOPPING=1")
    reloading, _, moment = notified[1].rpartition("=")
    assert reloading == "RELOADING=1\nMONOTONIC_USEC"
    assert before <= int(moment) <= time.monotonic_ns() // 1000


def test_a_reload_that_hangs_does_not_hold_up_the_end(service_manager: ServiceManager) -> None:
    reading, hung = threading.Event(), threading.Event()

    def load() -> tuple[Ensemble, ...]:
        reading.set()
        assert hung.wait(60)
        return ()

    def terminate_while_it_reads() -> None:
        assert service_manager() == "READY=1"
        os.kill(os.getpid(), signal.SIGHUP)
        assert reading.wait(10)
        os.kill(os.getpid(), signal.SIGTERM)

    with meanwhile(terminate_while_it_reads):
        assert run(settings(), load=load) == 0
    hung.set()
    eventually(lambda: "reload" not in [thread.name for thread in threading.enumerate()])
    reloading, stopping = service_manager.rest()
    assert reloading.startswith("RELOADING=1\n")
    assert stopping == "STOPPING=1"


@pytest.mark.parametrize("begun", [False, True])
def test_a_web_server_that_ends_by_itself_is_one_error_and_status_1(
    monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(uvicorn.Server, "main_loop" if begun else "startup", fail)
    with structlog.testing.capture_logs() as logged:
        assert run(settings()) == 1
    (error,) = [entry for entry in logged if entry["log_level"] == "error"]
    assert error["event"] == ("stopping" if begun else "cannot serve")
    assert error["reason"].endswith("RuntimeError: broken")
    assert ("serving" in [entry["event"] for entry in logged]) is begun


def test_a_hangup_without_a_file_changes_nothing(service_manager: ServiceManager) -> None:
    def on_ready(url: str) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)

    assert run(settings(), on_ready=on_ready) == 0
