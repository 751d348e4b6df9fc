"""Znodes: the tree of a model server, changed by transactions only, so that two servers can have different states."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.zookeeper.messages import CHANGED, CREATED, DELETED

#: The kind of a transaction that changes an ACL; other transactions have the kind of their event.
ACL = 0

STAT = struct.Struct("!qqqqiiiqiiq")
INT = struct.Struct("!i")


class Txn(NamedTuple):
    """One change of one znode; the changes of one multi share a zxid."""

    zxid: int
    kind: int
    path: str
    time: int
    data: bytes = b""
    owner: int = 0
    readable: bool = True


@dataclass
class Znode:
    """One znode on a server."""

    data: bytes
    czxid: int
    mzxid: int
    pzxid: int
    owner: int = 0
    version: int = 0
    cversion: int = 0
    aversion: int = 0
    ctime: int = 0
    mtime: int = 0
    readable: bool = True
    children: set[str] = field(default_factory=set)
    _record: bytes = b""

    @property
    def record(self) -> bytes:
        """The znode as getData returns it."""
        if not self._record:
            stat = STAT.pack(
                self.czxid,
                self.mzxid,
                self.ctime,
                self.mtime,
                self.version,
                self.cversion,
                self.aversion,
                self.owner,
                len(self.data),
                len(self.children),
                self.pzxid,
            )
            self._record = INT.pack(len(self.data)) + self.data + stat
        return self._record

    def changed(self) -> None:
        """Call it after a change."""
        self._record = b""


class Znodes:
    """A tree of znodes by path, at one point of an ensemble's history."""

    def __init__(self, history: Iterable[Txn] = ()) -> None:
        self.zxid = 0
        self.nodes = {"/": Znode(b"", 0, 0, 0)}
        for txn in history:
            self.apply(txn)

    def apply(self, txn: Txn) -> Znode:
        """Makes a change; returns the changed znode."""
        self.zxid, kind, path = txn.zxid, txn.kind, txn.path
        if kind == CREATED:
            node = Znode(txn.data, txn.zxid, txn.zxid, txn.zxid, txn.owner, ctime=txn.time, mtime=txn.time)
            self._touch_parent(path).children.add(path.rpartition("/")[2])
            self.nodes[path] = node
            return node
        node = self.nodes[path]
        if kind == DELETED:
            assert not node.children
            self._touch_parent(path).children.remove(path.rpartition("/")[2])
            del self.nodes[path]
        elif kind == CHANGED:
            node.data, node.mzxid, node.mtime, node.version = txn.data, txn.zxid, txn.time, node.version + 1
        else:
            node.readable, node.aversion = txn.readable, node.aversion + 1
        node.changed()
        return node

    def _touch_parent(self, path: str) -> Znode:
        parent = self.nodes[path.rpartition("/")[0] or "/"]
        parent.pzxid = self.zxid
        parent.cversion += 1
        parent.changed()
        return parent
