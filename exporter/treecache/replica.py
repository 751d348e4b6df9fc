"""Replica: keeps a tree equal to the server's, as a state machine without I/O, threads or clocks.

`receive` takes in the session's messages in their order; `take` gives out the requests to send, the events to
publish and the faults to report that follow from them. Nothing but the answer to a read changes the tree:

- *Watch first, read after.* The recursive watch is set before the first read, so a later change is an event.
- *Dirty until re-read.* An event only marks its path; only a read sent afterwards clears the mark.
- *Never backwards.* Within a connection an older version of a znode never replaces a newer one. After a reconnect a
  barrier precedes the reads, so that a server that lags cannot bring back what was already seen to go.
- *By difference.* After a reconnect every known znode is read again, and only what differs becomes an event.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import Enum, auto
from itertools import islice
from typing import NamedTuple

from kazoo.exceptions import EXCEPTIONS, KazooException, NoAuthError

from exporter.treecache.batching import BatchSize
from exporter.treecache.events import TreeEvent
from exporter.treecache.pathqueue import PathQueue
from exporter.treecache.stats import SYNC_REASONS
from exporter.treecache.tree import Branch, Entry, OrphanError, Tree, listed_pzxid_of, record_of
from exporter.zookeeper.messages import (
    CHANGED,
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
from exporter.zookeeper.records import UNREADABLE, child_count, pzxid_of, version_of, without_data, zxids
from exporter.zookeeper.wire import (
    MARSHALLING_ERROR,
    NO_AUTH,
    NO_NODE,
    OK,
    UNIMPLEMENTED,
    AddWatch,
    MultiRead,
    ReadResult,
    Request,
    Sync,
)

_FIRST_DELAY = 0.05
_LONGEST_DELAY = 5.0


class UnsupportedServerError(KazooException):  # type: ignore[misc]
    """The server lacks the requests this cache is built on."""


#: A tree event not yet decoded: its type, and for znodes the path below the root and the record.
Event = tuple[int, str, "bytes | None"]


class Fault(NamedTuple):
    """Something that went wrong, by one of `FAULT_KINDS`, and the exception that says what."""

    kind: str
    error: Exception


class Output(NamedTuple):
    """What follows from the messages received: to be sent, published and reported in this order."""

    requests: list[Request]
    events: list[Event]
    faults: list[Fault]


class _Phase(Enum):
    DETACHED = auto()
    BARRIER = auto()
    ARMING = auto()
    LIVE = auto()
    REFUSED = auto()


class _Batch(NamedTuple):
    sent_at: float
    loads: frozenset[str] | bool
    """Which of the batch's paths a load waits for: True for all, False for none."""

    def is_load(self, path: str) -> bool:
        return self.loads if isinstance(self.loads, bool) else path in self.loads


class Replica:
    """The tree below one root and what it takes to keep it true.

    Args:
        root: the server's path of the root, chroot included.
        batch_size: the most operations in one request.
        window: the most requests in flight.
        keep_data: False keeps stats only.
    """

    def __init__(self, root: str, *, batch_size: int, window: int, keep_data: bool = True) -> None:
        self.tree = Tree()
        self.initialized = False
        self.syncs = dict.fromkeys(SYNC_REASONS, 0)
        self._root = root
        self._prefix = "" if root == "/" else root
        self._window = window
        self._keep_data = keep_data
        self._batch_size = BatchSize(batch_size)
        self._phase = _Phase.DETACHED
        self._server = ""
        self._refused_servers: set[str] = set()
        self._interrupted: str | None = None
        self._reads = PathQueue()
        self._lists = PathQueue()
        self._survey: Iterator[str] | None = None
        self._suspects: set[str] = set()
        self._in_flight: dict[Request, _Batch] = {}
        self._loading = 0
        self._syncing = False
        self._delay = _FIRST_DELAY
        self._paused_until: float | None = None
        self._output = Output([], [], [])

    # Input and output

    def receive(self, message: Message, now: float) -> None:
        """Takes in the next message of the session's stream; `now` is a monotonic time in seconds."""
        if isinstance(message, WatchEvent):
            self._on_watch_event(message)
        elif isinstance(message, Reply):
            self._on_reply(message, now)
        elif isinstance(message, Unanswered):
            self._on_unanswered(message)
        elif isinstance(message, Connected):
            self._on_connected(message, now)
        else:
            self._on_disconnected(message)

    def take(self, now: float) -> Output:
        """Gives out what is to be done, once every message at hand was received. Also to be called at `wake_at`."""
        if self._phase is _Phase.LIVE:
            if self._paused_until is not None and now >= self._paused_until:
                self._paused_until = None
            if self._paused_until is None:
                self._recheck_suspects()
                self._fill_window(now)
            self._settle()
        elif self._paused_until is not None and now >= self._paused_until:
            self._paused_until = None
            self._arm(now)
        output, self._output = self._output, Output([], [], [])
        return output

    def start_over(self, now: float) -> None:
        """Reads everything again as after a reconnect, for a driver that lost its way."""
        if self._phase not in (_Phase.DETACHED, _Phase.REFUSED):
            self._abandon()
            self._begin_sync("reconnect")
            self._phase = _Phase.ARMING
            self._pause(now)

    def forget(self) -> None:
        """Lets go of every znode without a word."""
        self._abandon()
        self.tree = Tree()
        self.initialized = False
        self._phase = _Phase.DETACHED

    @property
    def wake_at(self) -> float | None:
        """When `take` is due although no message came, or None."""
        return self._paused_until

    # Measurements

    @property
    def outstanding_operations(self) -> int:
        """Operations sent and not yet answered."""
        return sum(r.operations if isinstance(r, MultiRead) else 1 for r in list(self._in_flight))

    @property
    def pending_paths(self) -> int:
        """Paths known to want a read that was not sent yet."""
        return len(self._reads) + len(self._lists)

    @property
    def oldest_sent_at(self) -> float | None:
        """When the oldest unanswered request was sent, or None."""
        return min((batch.sent_at for batch in list(self._in_flight.values())), default=None)

    # Connection states

    def _on_connected(self, message: Connected, now: float) -> None:
        reason, self._interrupted = self._interrupted, None
        self._server = message.server
        if reason is None:
            self._begin_sync("start")
        else:
            self._publish(TreeEvent.CONNECTION_RECONNECTED)
            self._begin_sync(reason)
        if message.server in self._refused_servers:
            self._phase = _Phase.REFUSED
        elif reason is None or message.read_only:
            self._arm(now)
        else:
            self._phase = _Phase.BARRIER
            self._send(Sync(self._root), now)

    def _on_disconnected(self, message: Suspended | Lost) -> None:
        self._abandon()
        self._phase = _Phase.DETACHED
        self._delay = _FIRST_DELAY
        if isinstance(message, Lost):
            self.initialized = False
            self._interrupted = "session_lost"
            self._publish(TreeEvent.CONNECTION_LOST)
        else:
            self._interrupted = self._interrupted or "reconnect"
            self._publish(TreeEvent.CONNECTION_SUSPENDED)

    def _abandon(self) -> None:
        """Ends what is under way; the paths that it was about wait for the next sync."""
        for request in list(self._in_flight):
            self._on_unanswered(Unanswered(request))
        self._syncing = False
        self._survey = None
        self._paused_until = None

    def _begin_sync(self, reason: str) -> None:
        self.syncs[reason] += 1
        self._syncing = True
        self._suspects.clear()
        self._want_read("", True)
        self._survey = (path for path, _ in self.tree.walk())
        self._loading = self._reads.mark_all() + self._lists.mark_all()

    def _arm(self, now: float) -> None:
        self._phase = _Phase.ARMING
        self._send(AddWatch(self._root), now)

    # Events

    def _on_watch_event(self, event: WatchEvent) -> None:
        if event.kind not in (CREATED, DELETED, CHANGED):
            return
        path = "" if event.path == self._root else event.path[len(self._prefix) :]
        self._want_read(path, False)
        if path and event.kind != CHANGED:
            # A recursive watch sends no child events: the parent's stat moves unannounced.
            self._want_read(_parent(path), False)

    def _want_read(self, path: str, load: bool) -> None:
        self._loading += self._reads.push((path,), load)

    def _want_list(self, path: str, load: bool) -> None:
        self._loading += self._lists.push((path,), load)

    # Sending

    def _send(self, request: Request, now: float, loads: frozenset[str] | bool = False) -> None:
        self._in_flight[request] = _Batch(now, loads)
        self._output.requests.append(request)

    def _fill_window(self, now: float) -> None:
        while len(self._in_flight) < self._window:
            reads, lists, loads = self._next_paths()
            if not reads and not lists:
                return
            self._send(MultiRead(self._prefix, reads, lists), now, loads)

    def _next_paths(self) -> tuple[list[str], list[str], frozenset[str] | bool]:
        """The paths of the next batch: what is dirty, then lists, then the survey of what a sync must re-read."""
        room = self._batch_size.room(len(self._prefix))
        reads, loads = self._reads.pop_some(room.operations, room.characters)
        room.take(len(reads), sum(map(len, reads)))
        lists: list[str] = []
        while self._lists and room.operations:
            path, load = self._lists.pop()
            lists.append(path)
            if load:
                loads.append(path)
            room.take(2, 2 * len(path), self._children_of(path))
        if self._survey is not None and room.operations:
            surveyed = list(islice(self._survey, room.operations))
            if not surveyed:
                self._survey = None
            reads += surveyed
            loads += surveyed
            self._loading += len(surveyed)
        if len(loads) == len(reads) + len(lists):
            return reads, lists, True
        # Parents first: a znode that was created again must not take away what was just read below it.
        reads.sort()
        return reads, lists, frozenset(loads) if loads else False

    def _children_of(self, path: str) -> int:
        entry = self.tree.get(path)
        record = record_of(entry) if entry is not None else UNREADABLE
        return child_count(record) if record else 0

    def _put_back(self, request: MultiRead, batch: _Batch) -> None:
        """Makes the paths of a request that brought nothing wait again."""
        self._loading -= self._loads_in(request, batch)
        for queue, paths in ((self._reads, request.reads), (self._lists, request.lists)):
            for path in paths:
                self._loading += queue.push((path,), batch.is_load(path))

    def _pause(self, now: float) -> None:
        self._paused_until = now + self._delay
        self._delay = min(2 * self._delay, _LONGEST_DELAY)

    # Replies

    def _on_reply(self, reply: Reply, now: float) -> None:
        batch = self._in_flight.pop(reply.request, None)
        if batch is None:
            return
        if reply.error in (UNIMPLEMENTED, MARSHALLING_ERROR) and not isinstance(reply.request, Sync):
            self._refuse(reply)
        elif isinstance(reply.request, MultiRead):
            self._on_batch(reply, reply.request, batch, now)
        elif isinstance(reply.request, Sync):
            # A server that cannot sync still holds the truth that can be had.
            self._arm(now)
        elif reply.error == OK:
            self._phase = _Phase.LIVE
        else:
            self._fault("request", _error(reply.error, f"setting the watch on {self._root}"))
            self._pause(now)

    def _on_unanswered(self, message: Unanswered) -> None:
        """The end of the connection is on its way or has just been heard of: the request waits for the next one."""
        batch = self._in_flight.pop(message.request, None)
        if batch is not None and isinstance(message.request, MultiRead):
            self._put_back(message.request, batch)

    def _refuse(self, reply: Reply) -> None:
        self._phase = _Phase.REFUSED
        self._refused_servers.add(self._server)
        message = (
            f"{self._server} does not know {reply.request!r}: this cache needs ZooKeeper 3.6 or newer "
            "(persistent recursive watches and multi-reads)"
        )
        self._fault("unsupported", UnsupportedServerError(message))

    def _on_batch(self, reply: Reply, request: MultiRead, batch: _Batch, now: float) -> None:
        try:
            results = request.decode(reply.body, reply.offset) if reply.error == OK else None
        except (struct.error, ValueError) as error:
            results = None
            self._fault("request", error)
        if results is None:
            if reply.error != OK:
                self._fault("request", _error(reply.error, repr(request)))
            self._put_back(request, batch)
            self._pause(now)
            return
        self._batch_size.answered(request.operations, len(reply.body))
        self._delay = _FIRST_DELAY
        self._apply(request, batch, results, now)
        self._loading -= self._loads_in(request, batch)

    @staticmethod
    def _loads_in(request: MultiRead, batch: _Batch) -> int:
        if isinstance(batch.loads, bool):
            return (len(request.reads) + len(request.lists)) * batch.loads
        return len(batch.loads)

    # Applying what was read

    def _apply(self, request: MultiRead, batch: _Batch, results: list[ReadResult], now: float) -> None:
        loads = batch.loads
        for path, result in zip(request.reads, results, strict=False):
            load = loads if isinstance(loads, bool) else path in loads
            if isinstance(result, bytes):
                self._apply_record(path, result, load)
            else:
                self._apply_error(path, result, load, now)
        answers = iter(results[len(request.reads) :])
        for path, result, names in zip(request.lists, answers, answers, strict=True):
            load = batch.is_load(path)
            if isinstance(result, bytes) and isinstance(names, list):
                self._apply_record(path, result, load, listed=True)
                self._apply_names(path, result, names, load)
            else:
                self._apply_error(path, result if isinstance(result, int) else names, load, now)

    def _apply_record(self, path: str, record: bytes, load: bool, listed: bool = False) -> None:
        if not self._keep_data:
            record = without_data(record)
        try:
            entry = self.tree.add(path, record)
        except OrphanError:
            # Its parent came or went meanwhile: let a list of the parent, sent from now on, decide.
            self._want_list(_parent(path), load)
            return
        if entry is None:
            self._output.events.append((TreeEvent.NODE_ADDED, path, record))
            if listed and path:
                # Only its child led here: the event of its own creation was lost, and with it its parent's new stat.
                self._want_read(_parent(path), load)
            elif child_count(record):
                self._want_list(path, load)
        elif self._update(path, entry, record, load, listed) and not listed:
            self._check_children(path, entry, record, load)

    def _update(self, path: str, entry: Entry, record: bytes, load: bool, listed: bool) -> bool:
        """Takes over a known znode's new record; False when that ends what was known of its children."""
        held = record_of(entry)
        if held == record:
            return True
        if held == UNREADABLE:
            self.tree.replace(path, record)
            self._publish(TreeEvent.NODE_ADDED, path, record)
            return True
        (held_czxid, held_mzxid), (czxid, mzxid) = zxids(held), zxids(record)
        if held_czxid != czxid:
            if not self._goes_back((czxid,), (held_czxid,)):
                self._remove(path)
                self._apply_record(path, record, load, listed)
            return False
        if self._goes_back(version_of(record), version_of(held)):
            return False
        self.tree.replace(path, record)
        if held_mzxid != mzxid:
            self._publish(TreeEvent.NODE_UPDATED, path, record)
        return True

    def _goes_back(self, read: tuple[int, ...], held: tuple[int, ...]) -> bool:
        """Whether a read is older than what is held. During a sync the server's word is final, even so."""
        return read < held and not self._syncing

    def _check_children(self, path: str, entry: Entry, record: bytes, load: bool) -> None:
        """Sees to it that the children held are those that a known znode's new record counts."""
        count = child_count(record)
        held = len(entry.children) if isinstance(entry, Branch) else 0
        if load:
            if (count or held) and listed_pzxid_of(entry) != pzxid_of(record):
                self._want_list(path, load)
        elif count != held:
            self._suspects.add(path)

    def _apply_names(self, path: str, record: bytes, names: list[str], load: bool) -> None:
        pzxid = pzxid_of(record)
        entry = self.tree.get(path)
        if entry is None or self._goes_back((pzxid,), (listed_pzxid_of(entry),)):
            return
        branch = self.tree.branch(path) if names else entry
        if not isinstance(branch, Branch):
            return
        for name in branch.children.keys() - names:
            child = record_of(branch.children[name])
            # A child that is younger than the list was read after it.
            if not child or zxids(child)[0] <= pzxid or self._syncing:
                self._remove(f"{path}/{name}")
        unknown = [f"{path}/{name}" for name in names if name not in branch.children]
        self._loading += self._reads.push(unknown, load)
        branch.listed_pzxid = pzxid
        if not names:
            self.tree.fold(path)

    def _apply_error(self, path: str, result: ReadResult, load: bool, now: float) -> None:
        if result == NO_NODE:
            self._remove(path)
        elif result == NO_AUTH:
            self._hide(path, load)
        else:
            code = result if isinstance(result, int) else MARSHALLING_ERROR
            self._fault("request", _error(code, f"reading {self._prefix + path or '/'}"))
            self._want_read(path, load)
            self._pause(now)

    def _remove(self, path: str) -> None:
        for gone, record in self.tree.remove(path):
            if record:
                self._publish(TreeEvent.NODE_REMOVED, gone, record)

    def _hide(self, path: str, load: bool) -> None:
        """The znode exists and may not be read: its data is gone from here, what is known below it stays."""
        try:
            entry = self.tree.add(path, UNREADABLE)
        except OrphanError:
            self._want_list(_parent(path), load)
            return
        if entry is not None:
            if record_of(entry) == UNREADABLE:
                return
            self.tree.replace(path, UNREADABLE)
            self._publish(TreeEvent.NODE_REMOVED, path, record_of(entry))
        self._fault("no_auth", NoAuthError(f"{self._prefix + path or '/'} may not be read"))

    # Coming to rest

    def _settle(self) -> None:
        if self._syncing and not self._loading and self._survey is None:
            self._syncing = False
            if not self.initialized:
                self.initialized = True
                self._publish(TreeEvent.INITIALIZED)

    def _recheck_suspects(self) -> None:
        """At rest, when no event is left to explain it, lists again whatever still counts other children."""
        if self._suspects and not self._in_flight and not self.pending_paths:
            suspects, self._suspects = self._suspects, set()
            for path in suspects:
                if self._miscounts(path):
                    self._want_list(path, False)

    def _miscounts(self, path: str) -> bool:
        """Whether a znode's count of children does not fit the children held, and no list has settled that."""
        entry = self.tree.get(path)
        record = record_of(entry) if entry is not None else UNREADABLE
        if entry is None or not record:
            return False
        held = len(entry.children) if isinstance(entry, Branch) else 0
        return child_count(record) != held and listed_pzxid_of(entry) != pzxid_of(record)

    def _publish(self, event_type: int, path: str = "", record: bytes | None = None) -> None:
        self._output.events.append((event_type, path, record))

    def _fault(self, kind: str, error: Exception) -> None:
        self._output.faults.append(Fault(kind, error))


def _parent(path: str) -> str:
    return path[: path.rindex("/")]


def _error(code: int, doing: str) -> Exception:
    kind = EXCEPTIONS.get(code, KazooException)
    error: Exception = kind(f"{doing} failed with error {code}")
    return error
