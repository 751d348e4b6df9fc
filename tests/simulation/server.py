"""ModelServer: a model of an ensemble and of one session at one of its servers, to drive a replica.

The server executes requests one by one, in order, when the schedule says so; its messages wait in `stream`, in order,
until the schedule delivers them.

Only an answer can be overtaken: by events (`execute(hold=True)`, until `release`), or by later answers (`delay`, until
`arrive_late`).
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from exporter.treecache.scope import Selector
from exporter.treecache.shard import Shard
from exporter.zookeeper.messages import (
    CHANGED,
    CHILD,
    CREATED,
    DELETED,
    Capable,
    Connected,
    Lost,
    Message,
    Reply,
    Suspended,
    Unanswered,
    WatchEvent,
)
from exporter.zookeeper.wire import (
    NO_AUTH,
    NO_NODE,
    NOT_READ_ONLY,
    OK,
    THROTTLED,
    UNIMPLEMENTED,
    AddWatch,
    Check,
    Exists,
    GetChildren,
    GetData,
    MultiRead,
    ReadRequest,
    RemoveWatches,
    Request,
    Sync,
)
from tests.simulation.znodes import ACL, INT, STAT, Txn, Znode, Znodes

SERVER = "model:2181"

_HEADER = struct.Struct("!iBi")
_END_OF_MULTI = _HEADER.pack(-1, True, -1)
_EPOCH = 1 << 20


class ModelServer:
    """Znodes, one session, and the stream to that session."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.history: list[Txn] = []
        self.leader = Znodes()
        #: The znodes of the session's server, which lags behind the leader by `backlog`.
        self.view = self.leader
        self.backlog: deque[Txn] = deque()
        self.read_only = False
        # The kind of server.
        self.knows_recursive = True
        self.closes_after_refusal = False
        self.reports_unreadable = False
        self.one_mode_a_path = False
        #: The answers to inquiries, three bits each; 0 for the truth without a delay.
        self.hesitation = 0
        # What the replica is to hold of it.
        self.selector: Selector | None = None
        self.max_depth: int | None = None
        self.shard: Shard | None = None
        # The session.
        self.connected = False
        #: Whether an inquiry is under way, and how many were made on this connection.
        self.is_asked = False
        self.inquiries = 0
        self._words = 0
        self.has_refused = False
        self.recursive_watches: set[str] = set()
        self.data_watches: set[str] = set()
        self.child_watches: set[str] = set()
        self.requests: deque[Request] = deque()
        self.held: deque[Message] = deque()
        self.late: list[tuple[Reply, dict[str, int]]] = []
        self.stream: deque[Message] = deque()
        #: Znodes that answer with an error, and wrong stats of lists.
        self.broken: dict[str, int] = {}
        self.listed_stats: dict[str, bytes] = {}
        #: The failures of the next requests: an error code, or "garble" or "part".
        self.mishaps: deque[int | str] = deque()
        # For the checks.
        #: Whether something changed since this connection's first read that no watch reports.
        self.unreported = False
        #: The same for all connections, and for lost events.
        self.ever_unreported = False
        #: Whether the replica was made to hold something wrong, or the server was changed behind its back.
        self.poisoned = False
        #: Whether the watches set differ from the watches that the replica believes to be set.
        self.forgot_watches = False
        #: Whether answers overtook one another, which a session's order excludes.
        self.ever_overtook = False
        #: The paths of a recursive watch's events that were lost on this connection.
        self.lost: set[str] = set()
        self.reads_began_at: int | None = None
        #: For each connection so far, whether it may show an older state than those before.
        self.rewound: list[bool] = []
        self.ever_unreadable: set[str] = set()
        #: The clock, and every record that a path had on the leader, with its time; None for its deletion.
        self.clock: Callable[[], float] = float
        self.versions: list[tuple[float, str, bytes | None]] = [(-1.0, "/", self.leader.nodes["/"].record)]
        self._time = 0
        self._multi = False
        self._restored = False

    # Writers

    @property
    def nodes(self) -> dict[str, Znode]:
        """The znodes as the session's server has them."""
        return self.view.nodes

    @property
    def zxid(self) -> int:
        """The zxid of the last change that the session's server has."""
        return self.view.zxid

    def create(self, path: str, data: bytes = b"", owner: int = 0) -> None:
        """Creates a znode whose parent exists."""
        self._commit(CREATED, path, data, owner)

    def set(self, path: str, data: bytes) -> None:
        """Changes a znode's data."""
        self._commit(CHANGED, path, data)

    def delete(self, path: str) -> None:
        """Deletes a znode without children."""
        self._commit(DELETED, path)

    def delete_all(self, path: str) -> None:
        """Deletes a znode and everything below it, children first."""
        for name in sorted(self.leader.nodes[path].children):
            self.delete_all(f"{path}/{name}")
        self.delete(path)

    def set_readable(self, path: str, readable: bool) -> None:
        """Changes a znode's ACL, which no watch reports."""
        if not readable:
            self.ever_unreadable.add(path)
        self._commit(ACL, path, readable=readable)

    @contextmanager
    def multi(self) -> Iterator[None]:
        """Gives all changes in the context the same zxid."""
        self.leader.zxid += 1
        self._multi = True
        yield
        self._multi = False

    def restore(self, length: int) -> None:
        """Goes back to the first changes of the history; only for a disconnected session.

        A wiped ensemble (length 0) restarts its zxids, a restored one elects a new leader.
        """
        zxid = self._go_back(length)
        # The znode / has no creation time that would distinguish it from the one before.
        self.leader.zxid = 0 if length == 0 and self.root != "/" else (zxid // _EPOCH + 1) * _EPOCH
        self._restored = True

    def swap(self, length: int) -> None:
        """Goes back under a living connection, as an admin's ``restore`` does: watches are gone, and no event is sent.

        The zxids continue from where they were, so that no barrier goes backwards.
        """
        self.leader.zxid = self._go_back(length)
        for watches in (self.recursive_watches, self.data_watches, self.child_watches):
            watches.clear()
        self.rewound[-1] = True
        self.poisoned = self.forgot_watches = self.ever_unreported = True

    def _go_back(self, length: int) -> int:
        """Goes back to the first changes of the history; returns the previous zxid."""
        length = self._boundary(length)
        del self.history[length:]
        zxid, lost = self.leader.zxid, self.leader.nodes.keys()
        self.view = self.leader = Znodes(self.history)
        self.backlog.clear()
        for path in lost | self.leader.nodes.keys():
            self._note_version(path)
        return zxid

    def _boundary(self, length: int) -> int:
        """So many changes of the history, or a few less so as not to cut a multi in two."""
        history = self.history
        while 0 < length < len(history) and history[length - 1].zxid == history[length].zxid:
            length -= 1
        return max(0, length)

    def _commit(self, kind: int, path: str, data: bytes = b"", owner: int = 0, readable: bool = True) -> None:
        self._time += 1
        zxid = self.leader.zxid + (not self._multi)
        txn = Txn(zxid, kind, path, self._time, data, owner, readable)
        self.history.append(txn)
        if self.view is self.leader:
            self._apply(txn)
        else:
            self.leader.apply(txn)
            self.backlog.append(txn)
        self._note_version(path)
        self._note_version(path.rpartition("/")[0] or "/")

    def _note_version(self, path: str) -> None:
        node = self.leader.nodes.get(path)
        self.versions.append((self.clock(), path, node.record if node is not None else None))

    def catch_up(self, count: int) -> None:
        """The session's server learns of the next changes; one without a quorum learns nothing."""
        if not self.read_only:
            while self.backlog and (count > 0 or self.backlog[0].zxid == self.view.zxid):
                self._apply(self.backlog.popleft())
                count -= 1

    def _apply(self, txn: Txn) -> None:
        node = self.view.apply(txn)
        if txn.kind != ACL:
            self._notify(txn.kind, txn.path, node)
        elif self._below_root(txn.path):
            self._leave_unreported()

    def covers(self, path: str) -> bool:
        """Whether a znode at this path would belong to the replica's tree."""
        if not self._below_root(path):
            return False
        ancestors = [self.root]
        for name in path[len(self.root) :].strip("/").split("/") if path != self.root else ():
            ancestors.append(f"{ancestors[-1].rstrip('/')}/{name}")
        if self.max_depth is not None and len(ancestors) > self.max_depth + 1:
            return False
        if self.shard is not None and len(ancestors) > 1 and not self.shard.owns(ancestors[1]):
            return False
        if self.selector is None:
            return True
        kept = all(_says(self.selector.keep, ancestor) for ancestor in ancestors[1:])
        return kept and all(_says(self.selector.descend, ancestor) for ancestor in ancestors[:-1])

    def may_be_hidden(self, path: str) -> bool:
        """Whether the znode at a path, or one above it, was ever unreadable."""
        return any(path == hidden or path.startswith(hidden.rstrip("/") + "/") for hidden in self.ever_unreadable)

    def expected(self) -> tuple[dict[str, bytes], dict[str, bytes]]:
        """The records that a replica at rest must hold, and the records below unlistable znodes, which it may hold."""
        required: dict[str, bytes] = {}
        allowed: dict[str, bytes] = {}
        nodes, selector = self.nodes, self.selector
        stack = [(self.root, 0, required)] if self.root in nodes else []
        while stack:
            path, depth, records = stack.pop()
            node = nodes.get(path)
            if node is None:
                # It is listed but does not exist.
                continue
            if node.readable:
                records[path] = node.record
            else:
                records = allowed
            if depth == self.max_depth or (selector is not None and not _says(selector.descend, path)):
                continue
            for name in node.children:
                child = f"{path}/{name}" if path != "/" else f"/{name}"
                if not depth and self.shard is not None and not self.shard.owns(child):
                    continue
                if selector is None or _says(selector.keep, child):
                    stack.append((child, depth + 1, records))
        return required, allowed

    def held_elsewhere(self) -> frozenset[str]:
        """The names of the root's children that other shards hold."""
        if self.shard is None or self.max_depth == 0 or self.root not in self.nodes:
            return frozenset()
        prefix, selector = self.root.rstrip("/"), self.selector
        if selector is not None and not _says(selector.descend, self.root):
            return frozenset()
        names = [name for name in self.nodes[self.root].children if not self.shard.owns(f"{prefix}/{name}")]
        return frozenset(name for name in names if selector is None or _says(selector.keep, f"{prefix}/{name}"))

    def haunt(self, path: str, name: str) -> None:
        """Lists a child that does not exist: a corruption that real servers show."""
        node = self.leader.nodes[path]
        node.children.add(name)
        node.changed()

    def exorcise(self, path: str, name: str) -> None:
        """Undoes that, without an event."""
        node = self.leader.nodes[path]
        node.children.remove(name)
        node.changed()

    # The session

    def connect(self, *, read_only: bool = False, lag: int = 0) -> None:
        """Accepts the session's connection, at a server that is this many changes behind."""
        if lag or read_only:
            end = self._boundary(len(self.history) - lag)
            self.view, self.backlog = Znodes(self.history[:end]), deque(self.history[end:])
        else:
            self.view, self.backlog = self.leader, deque()
        self.connected, self.read_only = True, read_only
        self.unreported, self.reads_began_at = False, None
        self.lost.clear()
        self.rewound.append(self._restored or read_only)
        self._restored = False
        self.is_asked, self.inquiries = False, 0
        self.stream.append(Connected(SERVER, read_only, *self._word()))

    def inquire(self) -> None:
        """Asks what the server supports; `inform` gives the answer."""
        self.is_asked = True
        self.inquiries += 1

    def inform(self) -> None:
        """Reports what the server supports, asked or not, since another cache on the session may have asked.

        A session does not report it after the connection is lost, but replicas must not rely on that.
        """
        if self.hesitation or self.is_asked:
            self.is_asked = False
            self.stream.append(Capable(*self._word()))

    def _word(self) -> tuple[bool | None, float | None]:
        """The answer to an inquiry, and the seconds after which to ask again.

        A server other than the session's may have answered. But one that has refused is not tried on each connection.
        """
        truth = self.knows_recursive or not self.has_refused
        if not self.hesitation or not truth:
            return truth, None
        bits = self.hesitation >> 3 * (self._words % 5)
        self._words += 1
        recursive = (None, truth, False, truth)[bits & 3]
        ask_in = None if recursive else (0.5 if bits & 4 and self.inquiries < 3 else None)
        return recursive, ask_in

    def disconnect(self, arrived: int = 0, *, expire: bool = False) -> None:
        """Cuts the connection: requests get no answer and watches are gone.

        Of the stream only the first `arrived` messages still arrive, and the messages that the client makes itself.
        """
        messages = list(self.stream)
        states = [i for i, message in enumerate(messages, 1) if not isinstance(message, Reply | WatchEvent)]
        arrived = max([arrived, *states[-1:]])
        lost = [*messages[arrived:], *self.held, *(reply for reply, _ in self.late)]
        self.stream = deque(messages[:arrived])
        self.stream.extend(Unanswered(message.request) for message in lost if isinstance(message, Reply))
        self.held.clear()
        self.late.clear()
        self.mishaps.clear()
        self.connected = False
        self.recursive_watches.clear()
        self.data_watches.clear()
        self.child_watches.clear()
        self._fail_requests()
        if self.is_asked:
            self.inform()
        self.stream.append(Suspended())
        if expire:
            self.expire()

    def expire(self) -> None:
        """Ends the session, whose connection is gone, with the requests made since."""
        self.stream.append(Lost())
        self._fail_requests()

    def _fail_requests(self) -> None:
        self.stream.extend(map(Unanswered, self.requests))
        self.requests.clear()

    # Requests

    def execute(self, *, hold: bool = False) -> None:
        """Executes the session's next request and sends the answer; `hold` lets events overtake it."""
        request = self.requests.popleft()
        # A watch that is not removed simply stays.
        spared = isinstance(request, RemoveWatches)
        mishap = self.mishaps.popleft() if self.mishaps and not spared else None
        if isinstance(mishap, int):
            code, body = mishap, b""
            if isinstance(request, Sync) and code != THROTTLED:
                self.rewound[-1] = True
        else:
            code, body = self._carry_out(request)
            if code == OK and mishap is not None and isinstance(request, ReadRequest):
                body = self._spoil(mishap, request, body)
        reply = Reply(request, self.view.zxid, code, body, 0)
        (self.held if hold or self.held else self.stream).append(reply)
        if code == UNIMPLEMENTED and self.closes_after_refusal:
            self.release()
            self.disconnect(len(self.stream))

    def release(self) -> None:
        """Lets the held answers go."""
        self.stream.extend(self.held)
        self.held.clear()

    def delay(self) -> str | None:
        """Holds back the last answer on its way, if its znodes exist; returns a path of it."""
        reply = self.stream[-1] if self.stream else None
        if isinstance(reply, Reply) and isinstance(reply.request, ReadRequest) and not self.held and reply.error == OK:
            found = {path: self.nodes.get(path) for path in _paths(reply.request)}
            if all(node is not None and node.readable for node in found.values()):
                self.stream.pop()
                self.ever_overtook = True
                self.late.append((reply, {path: node.czxid for path, node in found.items() if node is not None}))
                return next(iter(found))
        return None

    def arrive_late(self) -> None:
        """Sends the answers held back, after later ones.

        An answer about a deleted znode cuts the connection instead, as the session does for any answer out of order.
        """
        late, self.late = self.late, []
        for _, czxids in late:
            if any(path not in self.nodes or self.nodes[path].czxid != czxid for path, czxid in czxids.items()):
                self.late = late
                self.disconnect(len(self.stream))
                return
        self.stream.extend(reply for reply, _ in late)

    def _carry_out(self, request: Request) -> tuple[int, bytes]:
        if isinstance(request, AddWatch | MultiRead) and not self.knows_recursive:
            self.has_refused = True
            return UNIMPLEMENTED, b""
        if isinstance(request, ReadRequest) and self.reads_began_at is None:
            self.reads_began_at = self.view.zxid
        if isinstance(request, MultiRead):
            return OK, self._multi_read(request)
        if isinstance(request, ReadRequest):
            return self._read_one(request)
        if isinstance(request, Sync | Check) and self.read_only:
            return NOT_READ_ONLY, b""
        if isinstance(request, AddWatch):
            self.recursive_watches.add(request.path)
            if self.one_mode_a_path:
                self.data_watches.discard(request.path)
                self.child_watches.discard(request.path)
        elif isinstance(request, RemoveWatches):
            for watches in (self.recursive_watches, self.data_watches, self.child_watches):
                watches.discard(request.path)
        elif isinstance(request, Sync | Check):
            self.catch_up(len(self.backlog))
        if isinstance(request, Check):
            # Committed as its own transaction.
            self.leader.zxid += 1
            self.view.zxid = self.leader.zxid
        return OK, b""

    def _read_one(self, request: ReadRequest) -> tuple[int, bytes]:
        (path,) = _paths(request)
        node = self.nodes.get(path)
        code = NO_NODE if node is None else OK if node.readable or isinstance(request, Exists) else NO_AUTH
        if path in self.broken and not isinstance(request, Exists):
            return self.broken[path], b""
        watches = request.serialize()[-1]
        if watches and (code == OK or isinstance(request, Exists)):
            (self.child_watches if isinstance(request, GetChildren) else self.data_watches).add(path)
            if self.one_mode_a_path:
                self.recursive_watches.discard(path)
        if code or node is None:
            return code, b""
        if isinstance(request, GetChildren):
            return OK, _encoded_names(node) + self.listed_stats.get(path, node.record[-STAT.size :])
        return OK, node.record if isinstance(request, GetData) else node.record[-STAT.size :]

    def _multi_read(self, request: MultiRead) -> bytes:
        parts = [self._get_data(request.prefix + path or "/") for path in request.reads]
        for path in request.lists:
            parts += [self._get_data(request.prefix + path or "/"), self._get_children(request.prefix + path or "/")]
        parts.append(_END_OF_MULTI)
        return b"".join(parts)

    def _get_data(self, path: str) -> bytes:
        return self._error(path) or _HEADER.pack(4, False, 0) + self.nodes[path].record

    def _get_children(self, path: str) -> bytes:
        return self._error(path) or _HEADER.pack(8, False, 0) + _encoded_names(self.nodes[path])

    def _error(self, path: str) -> bytes:
        node = self.nodes.get(path)
        if path in self.broken:
            return _error_part(self.broken[path])
        if node is not None and node.readable:
            return b""
        return _error_part(NO_NODE if node is None else NO_AUTH)

    def _spoil(self, mishap: str, request: ReadRequest, body: bytes) -> bytes:
        if mishap == "garble" or not isinstance(request, MultiRead):
            return body[: len(body) // 2] if len(body) > STAT.size else b"\0"
        return _error_part(THROTTLED) * request.operations + _END_OF_MULTI

    # Events

    def stray(self, kind: int, path: str) -> None:
        """Sends an event without a change."""
        self.stream.append(WatchEvent(kind, path, -1))

    def lose(self, number: int, instead: str | None = None) -> None:
        """Loses one of the events on their way, or changes its path."""
        positions = [i for i, message in enumerate(self.stream) if isinstance(message, WatchEvent)]
        if not positions:
            return
        position = positions[number % len(positions)]
        event = self.stream[position]
        assert isinstance(event, WatchEvent)
        if instead is None:
            del self.stream[position]
        else:
            self.stream[position] = event._replace(path=instead)
        only_recursive = self.shard is None and not self.data_watches and not self.child_watches
        if self.recursive_watches and only_recursive:
            self.lost.add(event.path)
        else:
            self.unreported = True
        self.ever_unreported = True

    def _notify(self, kind: int, path: str, node: Znode) -> None:
        reported = node.readable or self.reports_unreadable
        if any(_is_at_or_below(path, root) for root in self.recursive_watches):
            self._send_event(kind, path, reported)
        elif path == self.root and not node.readable:
            # No parent's watch reports the root, and one-shot watches are not set on unreadable znodes.
            self._leave_unreported()
        if path in self.data_watches or (kind == DELETED and path in self.child_watches):
            self.data_watches.discard(path)
            if kind != CHANGED:
                self.child_watches.discard(path)
            self._send_event(kind, path, reported)
        parent = path.rpartition("/")[0] or "/"
        if kind in (CREATED, DELETED) and parent in self.child_watches:
            self.child_watches.discard(parent)
            self._send_event(CHILD, parent, self.nodes[parent].readable or self.reports_unreadable)

    def _send_event(self, kind: int, path: str, reported: bool) -> None:
        if reported:
            self.stream.append(WatchEvent(kind, path, -1))
        else:
            self._leave_unreported()

    def _leave_unreported(self) -> None:
        self.ever_unreported = True
        if self.reads_began_at is not None:
            self.unreported = True

    def _below_root(self, path: str) -> bool:
        return _is_at_or_below(path, self.root)


def _says(question: Callable[[str], bool], path: str) -> bool:
    """A selector's answer; if it raises, True."""
    try:
        return question(path)
    except Exception:
        return True


def _is_at_or_below(path: str, root: str) -> bool:
    return root == "/" or path == root or path.startswith(root + "/")


def _paths(request: ReadRequest) -> list[str]:
    """The server's paths of a request's znodes."""
    return [request.prefix + path or "/" for path in (*request.reads, *request.lists)]


def _encoded_names(node: Znode) -> bytes:
    encoded = b"".join(INT.pack(len(name.encode())) + name.encode() for name in sorted(node.children))
    return INT.pack(len(node.children)) + encoded


def _error_part(code: int) -> bytes:
    return _HEADER.pack(-1, False, code) + INT.pack(code)
