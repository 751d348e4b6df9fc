"""A real client and cache whose tree is known, and what a scrape of them must look like, but for times and sizes.

`make generate` writes tests/golden/tree.txt anew; read the difference before keeping it.
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

#: Where a number differs from one run to the next, unless it is 0: times, sizes and transaction ids.
_VARIES = re.compile(r"_seconds(_sum)?\{|_client_\w+_bytes_total\{|_last_zxid\{")
#: Where it may also be 0: buckets but the last, and pings. Into how many requests a load is cut is nobody's concern.
_VARIES_FROM_0 = re.compile(r'_seconds_bucket\{.*le="[0-9]|operation="(ping|multiRead)"')
_SERVER = re.compile(r'server="[^"]*"')


def exposition(hosts: str) -> str:
    """A scrape after the first load of a tree that is made for it; `hosts` ends in a chroot of its own.

    `*` stands for what is never the same.
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
                # The fault of the one that may not be read is told on a thread of its own.
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
    """What the file must hold, by a server of its own."""
    with ZooKeeperServer(tick_time=TICK_TIME) as server:
        with connected(server.hosts) as admin:
            admin.create("/golden")
        return {PATH: exposition(server.hosts + "/golden")}
