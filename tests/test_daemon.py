"""The daemon in this process: how it begins, how it ends, and what it logs of faults."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pytest
import structlog
from kazoo.exceptions import NoAuthError, OperationTimeoutError

from exporter import daemon
from exporter.settings import Ensemble, ListenAddress, Settings, SettingsError, Tree, Web
from tests.conftest import ClientFactory, ZooKeeper
from tests.support import eventually

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


def test_the_first_fault_of_each_type_is_a_warning_and_the_others_are_not() -> None:
    with structlog.testing.capture_logs() as logged:
        fault_log = daemon.FaultLog(structlog.stdlib.get_logger("exporter"))
        for fault in (NoAuthError("/a"), NoAuthError("/b"), OperationTimeoutError(), NoAuthError("/c")):
            fault_log(fault)
    levels = [(entry["log_level"], entry["fault"]) for entry in logged]
    assert levels == [
        ("warning", "NoAuthError"),
        ("debug", "NoAuthError"),
        ("warning", "OperationTimeoutError"),
        ("debug", "NoAuthError"),
    ]


def test_a_lost_session_is_one_warning(zookeeper: ZooKeeper, client_factory: ClientFactory) -> None:
    with structlog.testing.capture_logs() as logged:
        ensemble = daemon.WatchedEnsemble(settings(zookeeper.hosts).ensembles[0])
        ensemble.start()
        try:
            eventually(lambda: count(logged, "connected") == 1)
            expire(ensemble, client_factory)
            eventually(lambda: count(logged, "connected", after="session lost") == 1)
        finally:
            ensemble.stop()
    assert [entry["event"] for entry in logged if entry["log_level"] == "warning"] == ["session lost"]


def expire(ensemble: daemon.WatchedEnsemble, client_factory: ClientFactory) -> None:
    """Ends the ensemble's session on the server, as its owner in another place."""
    usurper = client_factory(client_id=ensemble._client.client_id)
    usurper.stop()


def count(logged: Sequence[Mapping[str, Any]], event: str, after: str | None = None) -> int:
    """How often an event was logged, in all or since another one last was."""
    events = [entry["event"] for entry in logged]
    if after is not None:
        events = events[len(events) - events[::-1].index(after) :] if after in events else []
    return events.count(event)
