"""The example application does what it says, as a process with a real ZooKeeper."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kazoo.client import KazooClient
from prometheus_client.parser import text_string_to_metric_families

from tests import plainhttp
from tests.conftest import ZooKeeper
from tests.support import eventually

FOLDER = Path(__file__).parent.parent.parent


class Application:
    """The example, controlled through its standard streams."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._url = self.hear().removeprefix("metrics at ")

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def metric(self, name: str, **labels: str) -> float | None:
        families = text_string_to_metric_families(plainhttp.get(self._url).text)
        samples = (sample for family in families for sample in family.samples)
        return next((sample.value for sample in samples if (sample.name, sample.labels) == (name, labels)), None)

    def end(self) -> tuple[int, str]:
        output, _ = self._process.communicate(timeout=20)
        return self._process.returncode, output


@pytest.fixture
def application(zookeeper: ZooKeeper, client: KazooClient) -> Iterator[Application]:
    client.create("/services/web/web-1", b"10.0.0.1:80", makepath=True)
    command = [sys.executable, "examples/application.py", f"--zookeeper={zookeeper.hosts}", "--port=0"]
    with subprocess.Popen(command, cwd=FOLDER, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Application(process)
        finally:
            process.kill()


def test_it_answers_from_memory_and_is_measured(application: Application, client: KazooClient) -> None:
    tree = {"ensemble": "default", "tree": "services"}
    assert application.hear() == "the tree is complete"
    application.say("web")
    assert application.hear() == "web: web-1"
    application.say("mail")
    assert application.hear() == "mail: no instance"
    assert application.metric("application_answers_total", known="yes") == 1
    assert application.metric("zookeeper_client_up", ensemble="default") == 1
    assert application.metric("zookeeper_cache_initialized", **tree) == 1
    assert application.metric("zookeeper_cache_nodes", kind="persistent", **tree) == 3
    eventually(lambda: application.metric("zookeeper_cache_verified_timestamp_seconds", **tree))

    client.create("/services/mail/mail-7", makepath=True)
    eventually(lambda: application.metric("zookeeper_cache_nodes", kind="persistent", **tree) == 5)
    application.say("mail")
    assert application.hear() == "mail: mail-7"
    assert application.end() == (0, "")
