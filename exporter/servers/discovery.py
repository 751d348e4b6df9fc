"""Discovery: the servers that an ensemble with dynamic configuration has now, as its `/zookeeper/config` says.

The format is ZooKeeper's own (``QuorumPeer.QuorumServer``, "Dynamic Reconfiguration" of its guide):
`server.1=HOST:PORT:PORT[:ROLE];[CLIENT_HOST:]CLIENT_PORT`, where several HOST:PORT:PORT may be separated by `|`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable

from exporter.config.settings import parse_hosts
from exporter.servers.targets import Named, named
from exporter.zookeeper.messages import Message, Reply
from exporter.zookeeper.records import data_of
from exporter.zookeeper.session import Session
from exporter.zookeeper.wire import GetData

#: Every ensemble from ZooKeeper 3.5 on has it, and everyone may read it.
CONFIG = "/zookeeper/config"

#: Reads the content of that znode; None if there is none, or no connection.
ReadConfig = Callable[[], Awaitable[bytes | None]]

_SERVER = re.compile(
    r"server\.[0-9]+=(?P<host>\[[^\]]*\]|[^:|;\[\]]+):[^;]*;(?:(?P<client>\[[^\]]*\]|[^:;]*):)?(?P<port>[0-9]+)"
)
#: Addresses that stand for each of a machine's own.
_EVERY = ("", "0.0.0.0", "[::]", "[0:0:0:0:0:0:0:0]")


def servers_in(config: bytes, port: int | None = None) -> tuple[Named, ...]:
    """The servers that the znode's content names, each once; those without a client port are left out.

    Args:
        config: the content.
        port: replaces the client ports, since those for TLS are not part of the dynamic configuration.
    """
    found: dict[Named, None] = {}
    for line in config.decode(errors="replace").split("\n"):
        match = _SERVER.fullmatch(line.strip())
        if match is None:
            continue
        client = match["client"] or ""
        with contextlib.suppress(ValueError):
            host = match["host"] if client in _EVERY else client
            found.update(dict.fromkeys(named(parse_hosts(f"{host}:{port or match['port']}"))))
    return tuple(found)


async def read_config(session: Session) -> bytes | None:
    """The content of `/zookeeper/config`, outside of any chroot; None without a connection or an answer."""
    if session.stats().state not in ("connected", "connected_ro"):
        return None
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Message] = loop.create_future()

    def settle(message: Message) -> None:
        if not answer.done():
            answer.set_result(message)

    def take(message: Message) -> None:
        # On the connection's thread; the loop may have ended meanwhile.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, message)

    request = GetData("", CONFIG, watch=False)
    session.submit(request, take)
    message = await answer
    if not isinstance(message, Reply) or message.error:
        return None
    return data_of(request.decode(message.body, message.offset))
