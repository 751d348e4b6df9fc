"""A model of a ZooKeeper server and of one session's stream, to drive a replica without either.

The server executes one request at a time, in order, whenever it is told to; what it sends waits in `stream`, in order,
until someone delivers it. Everything in between is the test's to arrange.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from exporter.treecache.events import TreeEvent
from exporter.treecache.outcome import Event
from exporter.treecache.replica import Replica
from exporter.treecache.tree import Branch, record_of
from exporter.zookeeper.messages import (
    CHANGED,
    CHILD,
    CREATED,
    DELETED,
    Connected,
    Lost,
    Message,
    Reply,
    Suspended,
    Unanswered,
    WatchEvent,
)
from exporter.zookeeper.records import UNREADABLE
from exporter.zookeeper.wire import (
    NO_AUTH,
    NO_NODE,
    OK,
    UNIMPLEMENTED,
    AddWatch,
    Exists,
    GetChildren,
    MultiRead,
    ReadRequest,
    Request,
)

STAT = struct.Struct("!qqqqiiiqiiq")
HEADER = struct.Struct("!iBi")
INT = struct.Struct("!i")
SERVER = "model:2181"


@dataclass
class Znode:
    """What the server holds of one znode."""

    data: bytes
    czxid: int
    mzxid: int
    pzxid: int
    owner: int = 0
    version: int = 0
    cversion: int = 0
    aversion: int = 0
    readable: bool = True
    children: set[str] = field(default_factory=set)

    @property
    def record(self) -> bytes:
        """The znode as getData answers it."""
        stat = STAT.pack(
            self.czxid,
            self.mzxid,
            self.czxid * 1000,
            self.mzxid * 1000,
            self.version,
            self.cversion,
            self.aversion,
            self.owner,
            len(self.data),
            len(self.children),
            self.pzxid,
        )
        return INT.pack(len(self.data)) + self.data + stat


class ModelServer:
    """Znodes, one session with at most one recursive watch, and the stream to that session."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.zxid = 0
        self.nodes = {"/": Znode(b"", 0, 0, 0)}
        self.watching = False
        self.data_watches: set[str] = set()
        self.child_watches: set[str] = set()
        self.knows_recursive = True
        self.has_refused = False
        self.connected = False
        self.requests: deque[Request] = deque()
        self.stream: deque[Message] = deque()

    # Writers

    def create(self, path: str, data: bytes = b"", owner: int = 0) -> None:
        """Creates a znode whose parent exists."""
        self.zxid += 1
        self._touch_parent(path).children.add(path.rpartition("/")[2])
        self.nodes[path] = Znode(data, self.zxid, self.zxid, self.zxid, owner)
        self._notify(CREATED, path)

    def set(self, path: str, data: bytes) -> None:
        """Changes a znode's data."""
        self.zxid += 1
        node = self.nodes[path]
        node.data, node.mzxid, node.version = data, self.zxid, node.version + 1
        self._notify(CHANGED, path)

    def delete(self, path: str) -> None:
        """Deletes a znode without children."""
        assert not self.nodes[path].children
        self.zxid += 1
        self._touch_parent(path).children.remove(path.rpartition("/")[2])
        self._notify(DELETED, path)
        del self.nodes[path]

    def delete_all(self, path: str) -> None:
        """Deletes a znode and everything below it, children first."""
        for name in sorted(self.nodes[path].children):
            self.delete_all(f"{path}/{name}")
        self.delete(path)

    def set_readable(self, path: str, readable: bool) -> None:
        """Changes a znode's ACL, of which no watch tells."""
        self.zxid += 1
        self.nodes[path].readable = readable
        self.nodes[path].aversion += 1

    # The session

    def connect(self, read_only: bool = False) -> None:
        """Accepts the session's connection."""
        self.connected = True
        self.stream.append(Connected(SERVER, read_only, self.knows_recursive or not self.has_refused))

    def disconnect(self, *, expire: bool = False) -> None:
        """Cuts the connection: requests get no answer, watches are gone, what was on its way does not arrive."""
        kept = [message for message in self.stream if not isinstance(message, Reply | WatchEvent)]
        lost = [message.request for message in self.stream if isinstance(message, Reply)]
        self.stream = deque(kept)
        self.stream.extend(map(Unanswered, [*lost, *self.requests]))
        self.requests.clear()
        self.connected = self.watching = False
        self.data_watches.clear()
        self.child_watches.clear()
        self.stream.append(Suspended())
        if expire:
            self.stream.append(Lost())

    def execute(self) -> None:
        """Executes the session's next request and sends the answer."""
        request = self.requests.popleft()
        if isinstance(request, AddWatch | MultiRead) and not self.knows_recursive:
            self.has_refused = True
            self._answer(request, UNIMPLEMENTED)
        elif isinstance(request, AddWatch):
            self.watching = True
            self._answer(request)
        elif isinstance(request, MultiRead):
            self._answer(request, OK, self._multi_read(request))
        elif isinstance(request, ReadRequest):
            self._read_one(request)
        else:
            self._answer(request)

    def _answer(self, request: Request, error: int = OK, body: bytes = b"") -> None:
        self.stream.append(Reply(request, self.zxid, error, body, 0))

    def _read_one(self, request: ReadRequest) -> None:
        path = request.prefix + (*request.reads, *request.lists)[0] or "/"
        node = self.nodes.get(path)
        code = NO_NODE if node is None else OK if node.readable or isinstance(request, Exists) else NO_AUTH
        if code == OK or isinstance(request, Exists):
            (self.child_watches if isinstance(request, GetChildren) else self.data_watches).add(path)
        if code or node is None:
            self._answer(request, code)
        elif isinstance(request, GetChildren):
            self._answer(request, OK, self._encoded_names(node) + node.record[-STAT.size :])
        else:
            self._answer(request, OK, node.record)

    def contents(self) -> dict[str, bytes]:
        """The readable znodes at and below the root, by path."""
        return {path: node.record for path, node in self.nodes.items() if self._below_root(path) and node.readable}

    def _multi_read(self, request: MultiRead) -> bytes:
        parts = [self._get_data(request.prefix + path or "/") for path in request.reads]
        for path in request.lists:
            parts += [self._get_data(request.prefix + path or "/"), self._get_children(request.prefix + path or "/")]
        return b"".join(parts) + HEADER.pack(-1, True, -1)

    def _get_data(self, path: str) -> bytes:
        return self._error(path) or HEADER.pack(4, False, 0) + self.nodes[path].record

    def _get_children(self, path: str) -> bytes:
        error = self._error(path)
        if error:
            return error
        return HEADER.pack(8, False, 0) + self._encoded_names(self.nodes[path])

    @staticmethod
    def _encoded_names(node: Znode) -> bytes:
        encoded = b"".join(INT.pack(len(name.encode())) + name.encode() for name in sorted(node.children))
        return INT.pack(len(node.children)) + encoded

    def _error(self, path: str) -> bytes:
        node = self.nodes.get(path)
        code = NO_NODE if node is None else OK if node.readable else NO_AUTH
        return HEADER.pack(-1, False, code) + INT.pack(code) if code else b""

    def _touch_parent(self, path: str) -> Znode:
        parent = self.nodes[path.rpartition("/")[0] or "/"]
        parent.pzxid = self.zxid
        parent.cversion += 1
        return parent

    def _notify(self, kind: int, path: str) -> None:
        readable, covered = self.nodes[path].readable, self._below_root(path)
        if self.watching and covered and readable:
            self.stream.append(WatchEvent(kind, path, -1))
        parent = path.rpartition("/")[0] or "/"
        if path in self.data_watches or (kind == DELETED and path in self.child_watches):
            self.data_watches.discard(path)
            if kind != CHANGED:
                self.child_watches.discard(path)
            self.stream.append(WatchEvent(kind, path, -1))
        if kind in (CREATED, DELETED) and parent in self.child_watches:
            self.child_watches.discard(parent)
            self.stream.append(WatchEvent(CHILD, parent, -1))

    def _below_root(self, path: str) -> bool:
        return self.root == "/" or path == self.root or path.startswith(self.root + "/")


class EventLog:
    """Replays events from nothing and refuses every sequence that a listener must never see."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.nodes: dict[str, bytes] = {}
        self._initialized = False

    def extend(self, events: list[Event], replica: Replica) -> None:
        """Takes in what a replica published."""
        for event in events:
            self.events.append(event)
            self._replay(event.type, event.path, event.record, replica)

    def _replay(self, kind: int, path: str, record: bytes | None, replica: Replica) -> None:
        if kind == TreeEvent.NODE_ADDED:
            assert path not in self.nodes, f"{path!r} added twice"
            assert record
            self.nodes[path] = record
            assert self._has_parent(path, replica), f"{path!r} added before its parent"
        elif kind == TreeEvent.NODE_UPDATED:
            assert path in self.nodes, f"unknown {path!r} updated"
            assert record
            self.nodes[path] = record
        elif kind == TreeEvent.NODE_REMOVED:
            assert path in self.nodes, f"unknown {path!r} removed"
            del self.nodes[path]
        elif kind == TreeEvent.CONNECTION_LOST:
            self._initialized = False
        elif kind == TreeEvent.INITIALIZED:
            assert not self._initialized, "initialized twice in one session"
            self._initialized = True

    def _has_parent(self, path: str, replica: Replica) -> bool:
        if not path:
            return True
        parent = path.rpartition("/")[0]
        return parent in self.nodes or replica_unreadable(replica, parent)


def replica_unreadable(replica: Replica, path: str) -> bool:
    """Whether a replica knows the znode as one that may not be read."""
    entry = replica.tree.find(path)
    return entry is None or record_of(entry) == UNREADABLE


class Harness:
    """A replica at a model server, one step at a time; every event it publishes is checked."""

    def __init__(self, root: str = "/app", **options: Any) -> None:
        self.server = ModelServer(root)
        self.replica = Replica(root, **options)
        self.log = EventLog()
        self.faults: list[Exception] = []
        self.now = 0.0

    def deliver(self, count: int = 1) -> None:
        """Gives the replica the next messages of the stream."""
        for _ in range(min(count, len(self.server.stream))):
            self.replica.receive(self.server.stream.popleft(), self.now)

    def take(self) -> None:
        """Sends and publishes what follows."""
        outcome = self.replica.take(self.now)
        if self.server.connected:
            self.server.requests.extend(outcome.requests)
        else:
            self.server.stream.extend(map(Unanswered, outcome.requests))
        self.log.extend(outcome.events, self.replica)
        self.faults.extend(fault.error for fault in outcome.faults)

    def settle(self) -> None:
        """Lets everything happen until nothing is left to do."""
        for _ in range(10_000):
            self.deliver(len(self.server.stream))
            self.take()
            if self.server.requests:
                self.server.execute()
            elif self.server.stream:
                continue
            elif self.replica.wake_at is not None:
                self.now = max(self.now, self.replica.wake_at)
            else:
                return
        raise AssertionError("the replica does not come to rest")

    def start(self) -> None:
        """Connects and loads."""
        self.server.connect()
        self.settle()

    def held(self) -> dict[str, bytes]:
        """The readable znodes in the replica's tree, by path on the server."""
        prefix = "" if self.server.root == "/" else self.server.root
        walk = ((prefix + path or "/", record_of(entry)) for path, entry in self.replica.tree.walk())
        return {path: record for path, record in walk if record != UNREADABLE}

    def published(self) -> list[tuple[int, str]]:
        """Type and path of every event so far; forgets them."""
        events, self.log.events = self.log.events, []
        return [(event.type, event.path) for event in events]

    def check(self) -> None:
        """At rest the replica equals the server, the events replayed equal the replica, and nothing is left over."""
        held = self.held()
        assert held == self.server.contents()
        assert set(self.log.nodes) == {path for path, entry in self.replica.tree.walk() if record_of(entry)}
        assert self.replica.outstanding_operations == 0
        assert self.replica.pending_paths == 0
        assert self.replica.initialized
        assert len(self.replica.tree) == len(held)
        assert self.replica.tree.data_bytes == sum(len(record) - INT.size - STAT.size for record in held.values())
        assert all(entry.children for path, entry in self.replica.tree.walk() if isinstance(entry, Branch) and path), (
            "a branch without children was not folded"
        )
