"""The daemon in this process, with a server: it serves when ready, and stops on a signal."""

from __future__ import annotations

import os
import signal

import httpx
import pytest

from exporter.config.settings import Ensemble, ListenAddress, Settings, Tree, Web
from exporter.daemon.run import run
from tests import plainhttp
from tests.conftest import ZooKeeper


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_when_ready_and_ends_with_status_0_on_a_signal(zookeeper: ZooKeeper, number: signal.Signals) -> None:
    answers = []

    def on_ready(url: str) -> None:
        answers.append(url)
        os.kill(os.getpid(), number)

    ensemble = Ensemble("default", zookeeper.hosts, (Tree("/", "/"),))
    assert run(Settings((ensemble,), Web((ListenAddress("127.0.0.1", 0),))), on_ready=on_ready) == 0
    assert answers[0].startswith("http://127.0.0.1:")
    with pytest.raises(httpx.ConnectError):
        plainhttp.get(answers[0])
