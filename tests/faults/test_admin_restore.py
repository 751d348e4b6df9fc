"""An admin restores a snapshot while clients are connected: no watch event, no error, and audits find it.

ZooKeeper's AdminServer has the command from 3.9 on, and Debian's package is older:
https://zookeeper.apache.org/doc/r3.9.3/zookeeperSnapshotAndRestore.html
"""

from __future__ import annotations

import os
import socket
from urllib.request import Request, urlopen

import pytest

from exporter import TreeCache
from exporter.demo.server import ZooKeeperServer
from tests.faults.conftest import quick_client, started
from tests.faults.size import SOAK
from tests.support import eventually

#: The AdminServer requires all permissions on the root, which the ACL of everyone grants.
AUTHORIZATION = {"Authorization": "digest root:root_passwd"}
PROPERTIES = {
    "zookeeper.admin.snapshot.intervalInMS": "0",
    "zookeeper.admin.restore.intervalInMS": "0",
}


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def command(port: int, name: str, body: bytes | None = None) -> bytes:
    """The AdminServer's answer to a command."""
    headers = AUTHORIZATION | {"Content-Type": "application/octet-stream"}
    with urlopen(Request(f"http://127.0.0.1:{port}/commands/{name}", body, headers), timeout=60) as answer:
        said: bytes = answer.read()
        return said


if SOAK and os.environ.get("ZOOKEEPER_ADMIN"):

    @pytest.mark.parametrize("mode", ["recursive", "classic"])
    def test_an_audit_finds_what_an_admin_restored(mode: str) -> None:
        """`ZOOKEEPER_ADMIN` is the home of a release from 3.9 on, with jetty and jackson for its AdminServer."""
        port = free_port()
        config = {"admin.enableServer": "true", "admin.serverAddress": "127.0.0.1", "admin.serverPort": str(port)}
        with (
            ZooKeeperServer(home=os.environ["ZOOKEEPER_ADMIN"], config=config, system_properties=PROPERTIES) as server,
            started(quick_client(server.hosts, timeout=30)) as client,
        ):
            client.ensure_path("/app/gone/below")
            for number in range(300):
                client.create(f"/app/{number}", b"old")
            snapshot = command(port, "snapshot?streaming=true")
            client.delete("/app/gone", recursive=True)
            for number in range(0, 300, 3):
                client.set(f"/app/{number}", b"new")
            client.ensure_path("/app/later/below")
            before = {"/app", *(f"/app/{number}" for number in range(300))}
            with TreeCache(client, "/app", mode=mode, audit_interval=1.0) as cache:
                assert cache.wait_initialized(60)
                eventually(lambda: cache.stats().audits >= 1)
                assert set(cache) == before | {"/app/later", "/app/later/below"}
                command(port, "restore", snapshot)
                audits = cache.stats().audits
                assert cache.verify(60), "freshness checks tell nothing of it"
                eventually(lambda: sum(cache.stats().audit_mismatches.values()) > 0)
                # One of them may have been in progress.
                assert cache.stats().audits <= audits + 3
                eventually(lambda: set(cache) == before | {"/app/gone", "/app/gone/below"})
                eventually(lambda: all(cache.get_data(f"/app/{number}").data == b"old" for number in range(300)))
                found = cache.stats().audit_mismatches
                # Audits do not look below a missing znode.
                assert found["missing"] == 1
                assert found["extra"] >= 1
                assert found["stale"] >= 100
                client.set("/app/1", b"newer")
                eventually(lambda: cache.get_data("/app/1").data == b"newer")
