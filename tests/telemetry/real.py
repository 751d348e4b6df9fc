"""A real client and cache with a known tree, and what a scrape of them must look like, except times and sizes.

`make generate` writes tests/golden/tree.txt; read the difference before you keep it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from kazoo.client import KazooClient
from kazoo.security import make_digest_acl
from prometheus_client import CollectorRegistry

from exporter import TreeCache, instrument
from exporter.demo.server import ZooKeeperServer
from tests.conftest import TICK_TIME, connected
from tests.support import eventually
from tests.telemetry.known import GOLDEN, plain

PATH = GOLDEN / "tree.txt"

#: Numbers that differ from one run to the next, unless 0: times, sizes and transaction ids.
_VARIES = re.compile(r"_seconds(_sum)?\{|_client_\w+_bytes_total\{|_last_zxid\{")
#: Numbers that differ and may be 0: buckets except the last, and pings. The number of requests of a load is irrelevant.
_VARIES_FROM_0 = re.compile(r'_seconds_bucket\{.*le="[0-9]|operation="(ping|multiRead)"')
_SERVER = re.compile(r'server="[^"]*"')


def exposition(hosts: str) -> str:
    """A scrape after the first sync of a tree that is made for it; `hosts` ends in its own chroot.

    `*` stands for numbers that differ.
    """
    registry = CollectorRegistry()
    client = KazooClient(hosts)
    with connected(hosts) as owner, instrument(client, ensemble="main", registry=registry):
        owner.create("/app/a/b", b"12345", makepath=True)
        owner.create("/app/member", b"678", ephemeral=True)
        owner.create("/app/secret", b"90", acl=[make_digest_acl("owner", "secret", all=True)])
        client.start()
        try:
            with TreeCache(client, "/app", create_root=False) as cache:
                assert cache.wait_initialized(30)
                # The fault of the unreadable znode is delivered on another thread.
                eventually(lambda: not cache.stats().undelivered_events)
                return "".join(_normalised(line) for line in plain(registry).decode().splitlines(keepends=True))
        finally:
            client.stop()
            client.close()


def _normalised(line: str) -> str:
    if line.startswith("#"):
        return line
    sample, _, value = _SERVER.sub('server="*"', line).rstrip().rpartition(" ")
    if _VARIES_FROM_0.search(sample) or (_VARIES.search(sample) and float(value)):
        value = "*"
    return f"{sample} {value}\n"


def texts() -> Mapping[Path, str]:
    """The content of the file, from its own server."""
    with ZooKeeperServer(tick_time=TICK_TIME) as server:
        with connected(server.hosts) as admin:
            admin.create("/golden")
        return {PATH: exposition(server.hosts + "/golden")}
