"""The daemon in this process: how it begins, how it ends, and what systemd is told of it."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from exporter import daemon
from exporter.settings import Ensemble, ListenAddress, Settings, SettingsError, Tree, Web
from tests.conftest import ZooKeeper

UNREACHABLE = "127.0.0.1:1"


def settings(hosts: str = UNREACHABLE, port: int = 0) -> Settings:
    ensemble = Ensemble("default", hosts, (Tree("/", "/"),))
    return Settings((ensemble,), Web(ListenAddress("127.0.0.1", port)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_when_ready_and_ends_with_status_0_on_a_signal(zookeeper: ZooKeeper, number: signal.Signals) -> None:
    answers = []

    def on_ready(url: str) -> None:
        answers.append(url)
        os.kill(os.getpid(), number)

    assert daemon.run(settings(zookeeper.hosts), on_ready=on_ready) == 0
    assert answers[0].startswith("http://127.0.0.1:")
    with pytest.raises(httpx.ConnectError):
        httpx.get(answers[0])


def test_the_signals_are_as_before_when_it_has_ended() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    daemon.run(settings(), on_ready=lambda _: os.kill(os.getpid(), signal.SIGTERM))
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_an_occupied_port_is_refused_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = occupied.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"^--web.listen-address=127\.0\.0\.1:{port}: cannot listen there"):
            daemon.run(settings(port=port))


@pytest.fixture
def service_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """What systemd is told, datagram by datagram."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(str(tmp_path / "notify"))
        datagrams.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield lambda: datagrams.recv(4096).decode()


def test_systemd_is_told_of_readiness_reloads_and_the_end(service_manager: Callable[[], str]) -> None:
    def on_ready(url: str) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        # In this order: asyncio handles the signals as they come, and the end waits for the reload.
        os.kill(os.getpid(), signal.SIGTERM)

    before = time.monotonic_ns() // 1000
    assert daemon.run(settings(), load=lambda: settings().ensembles, on_ready=on_ready) == 0
    told = [service_manager() for _ in range(4)]
    assert told[0] == "READY=1"
    reloading = next(state for state in told if state.startswith("RELOADING=1\nMONOTONIC_USEC="))
    assert before <= int(reloading.rpartition("=")[2]) <= time.monotonic_ns() // 1000
    assert told[told.index(reloading) + 1 :].count("READY=1") == 1
    assert told.count("STOPPING=1") == 1


def test_a_hangup_without_a_file_changes_nothing(service_manager: Callable[[], str]) -> None:
    def on_ready(url: str) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)

    assert daemon.run(settings(), on_ready=on_ready) == 0
