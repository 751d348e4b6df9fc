"""Records the answers of real servers: `python -m tests.servers.record HOME...`, folders with the jars of a release.

Of each release, an ensemble of two with a quota on /services, before and after it has a quorum, and a standalone server
with ZooKeeper's default whitelist; its AdminServer too, if the folder has jetty and jackson. The names of the folders
in `answers` are the releases.
"""

from __future__ import annotations

import re
import sys
import urllib.request
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from unittest.mock import patch

from kazoo.client import KazooClient

from exporter.demo.ports import free_port
from exporter.demo.server import NETTY, ZooKeeperServer, four_letter_word
from tests.conftest import connected
from tests.faults.ensemble import Ensemble, Member
from tests.servers.recorded import ANSWERS
from tests.support import eventually

_QUOTA = "/zookeeper/quota/services"

#: Writes an answer, by the name of its file.
Write = Callable[[str, str], None]


def record(home: str) -> None:
    """Writes the answers of one release."""
    (jar,) = Path(home).glob("zookeeper-[0-9]*.jar")
    folder = ANSWERS / jar.stem.removeprefix("zookeeper-")
    folder.mkdir(exist_ok=True)

    def write(name: str, answer: str) -> None:
        (folder / name).write_text(answer, "utf-8")
        print(f"record: wrote {folder.name}/{name}")

    # By default ZooKeeper uses NIO; without a quorum, Netty's servers hang up instead of answering.
    with patch.dict(NETTY, clear=True):
        _record_ensemble(home, write)
    if not folder.name.startswith("3.4."):
        _record_standalone(home, write)


def _record_ensemble(home: str, write: Write) -> None:
    running = Ensemble(voters=2, home=home)
    try:
        alone = running.members[0]
        alone.launch(running.members)
        for word in ("mntr", "srvr", "ruok"):
            write(f"{word}.not_serving.txt", eventually(partial(_asked, alone, word)))
        running.heal()
        with connected(running.hosts) as client:
            _use(client)
            for role, member in (("leader", running.leader), ("follower", running.followers[0])):
                for word in ("mntr", "srvr", "cons"):
                    write(f"{word}.{role}.txt", _asked(member, word))
            write("ruok.txt", _asked(alone, "ruok"))
    finally:
        running.stop()


def _use(client: KazooClient) -> None:
    """Makes the numbers differ from 0."""
    client.create("/services")
    client.create("/services/a", b"x" * 100)
    client.create("/services/e", b"y", ephemeral=True)
    client.get_children("/services", watch=lambda _event: None)
    client.ensure_path(_QUOTA)
    client.create(f"{_QUOTA}/zookeeper_limits", b"count=1000,bytes=100000")
    client.create(f"{_QUOTA}/zookeeper_stats", b"count=3,bytes=101")
    for size in range(20):
        client.set("/services/a", b"z" * size)
        client.get("/services/a")


def _record_standalone(home: str, write: Write) -> None:
    has_admin, port = any(re.match("jetty9?-server", jar.name) for jar in Path(home).glob("*.jar")), free_port()
    admin = {"admin.enableServer": str(has_admin).lower(), "admin.serverPort": str(port)}
    # `conf` for the launcher.
    config = {"4lw.commands.whitelist": "srvr, conf", "admin.serverAddress": "127.0.0.1", **admin}
    with ZooKeeperServer(home=home, config=config) as server:
        for word in ("mntr", "ruok"):
            write(f"{word}.not_allowed.txt", server.four_letter_word(word.encode()))
        write("srvr.standalone.txt", server.four_letter_word(b"srvr"))
        if has_admin:
            for command in ("monitor", "nothing"):
                write(f"admin.{command}.json", _at_admin(port, command))
            with connected(server.hosts), connected(server.hosts):
                write("admin.connections.json", _at_admin(port, "connections"))


def _asked(member: Member, word: str) -> str:
    """What a member answers; "" while it is starting."""
    try:
        return four_letter_word(member.port, word.encode())
    except OSError:
        return ""


def _at_admin(port: int, command: str) -> str:
    """What AdminServer answers."""
    answer: bytes = urllib.request.urlopen(f"http://127.0.0.1:{port}/commands/{command}").read()
    return answer.decode()


def main(homes: Sequence[str]) -> int:
    """Records each release and returns the exit status, 2 without one."""
    if not homes:
        print("record: the folders are missing; accepted: python -m tests.servers.record HOME...", file=sys.stderr)
        return 2
    for home in homes:
        record(home)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
