"""A future release of kazoo: kazoo's own source with three private names changed, and the generation for it."""

from __future__ import annotations

import inspect
import re
from collections import deque
from collections.abc import Callable
from types import ModuleType
from typing import Any

from kazoo import client
from kazoo.protocol import connection

from exporter.zookeeper.client import Pending
from exporter.zookeeper.kazoo.seam import Kazoo2, declare

#: The new names in this release: of an attribute of the client, one of the connection, and a method.
RENAMED = {"_pending": "_awaiting", "_socket": "_sock", "_read_watch_event": "_on_watch_event"}


def _renamed(module: ModuleType) -> ModuleType:
    """A module of kazoo with the names of this release."""
    source = re.sub(rf"\b(?:{'|'.join(RENAMED)})\b", lambda found: RENAMED[found[0]], inspect.getsource(module))
    made = ModuleType(f"next.{module.__name__}")
    exec(compile(source, made.__name__, "exec"), made.__dict__)
    return made


_client = _renamed(client)
_client.__dict__["ConnectionHandler"] = _renamed(connection).__dict__["ConnectionHandler"]

#: Its client.
NextKazooClient: Any = _client.__dict__["KazooClient"]


class NextKazoo(Kazoo2):
    """The generation for this release."""

    pending: deque[Pending] = declare("client", "_awaiting")
    socket: Any = declare("connection", "_sock")
    read_watch_event: Callable[[bytes, int], Any] = declare("connection", "_on_watch_event")
