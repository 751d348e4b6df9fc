"""`python -m exporter.demo`: the demo's tree on an existing ensemble, as in the compose file."""

from __future__ import annotations

import subprocess
import sys

import pytest
from kazoo.client import KazooClient

from tests.conftest import ClientFactory, ZooKeeper
from tests.support import eventually, walk


def demo(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "exporter.demo", *arguments]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def test_it_replaces_the_chroot_and_lives_until_sigterm(zookeeper: ZooKeeper, client_factory: ClientFactory) -> None:
    client = client_factory()
    client.create("/world/left", b"from another run", makepath=True)
    process = demo(f"{zookeeper.hosts}/world")
    try:
        eventually(lambda: client.exists("/world/locks"), timeout=30)
        assert not client.exists("/world/left")
        eventually(lambda: "/world/services/cart/instances" in walk(client, "/world/services"))
        before = changes(client)
        eventually(lambda: changes(client) != before)
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def changes(client: KazooClient) -> set[int]:
    return {stat.mzxid for stat in walk(client, "/world").values()}


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["127.0.0.1:1"], 2, "the chroot is missing"),
        ([], 2, "accepted: HOST[:PORT]"),
        (["127.0.0.1:port/x"], 2, "'port' is not a port"),
    ],
)
def test_it_refuses_in_one_line(arguments: list[str], status: int, said: str) -> None:
    process = demo(*arguments)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == status
    assert said in errors
    assert errors.count("\n") == 1
