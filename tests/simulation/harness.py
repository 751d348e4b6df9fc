"""Harness: a replica at a model server, one step at a time; every event and request of it is judged."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from exporter.treecache.options import CacheOptions
from exporter.treecache.outcome import Outcome, each
from exporter.treecache.pathqueue import PathQueue
from exporter.treecache.phases import Phase
from exporter.treecache.placement import is_short
from exporter.treecache.replica import Replica
from exporter.treecache.tree import Branch, record_of
from exporter.treecache.walk import turns_of
from exporter.zookeeper.barrier import BarrierRequest
from exporter.zookeeper.messages import (
    BARRIERS,
    Barrier,
    Capable,
    Connected,
    Lost,
    Message,
    Reply,
    Suspended,
    Unanswered,
)
from exporter.zookeeper.moments import Moment
from exporter.zookeeper.records import UNREADABLE, child_count, owner_and_size
from exporter.zookeeper.wire import (
    MARSHALLING_ERROR,
    UNIMPLEMENTED,
    Check,
    GetChildren,
    GetData,
    MultiRead,
    Request,
    Sync,
)
from tests.simulation.eventlog import EventLog, gist
from tests.simulation.server import SERVER, ModelServer
from tests.simulation.znodes import STAT

#: Seconds that pass from one turn to the next.
_TURN = 0.001
#: Seconds that separate two moments.
_INSTANT = 1e-7
#: Rounds after which a replica that still has something to do is in an endless loop.
_PATIENCE = 2_000
#: Turns in a row that may do nothing, each of them due.
_IDLE_TURNS = 100
_EVERYTHING = 1_000_000
#: Seconds. Anything due later than this is periodic: a replica that waits for it is at rest.
_SOON = 6.0
#: The same while the replica waits to learn what the server supports.
_FORGOTTEN = 20.0


class Harness:
    """Drives a replica as a `TreeCache` does, and checks its contents."""

    def __init__(
        self, root: str = "/app", *, glances: bool = False, jitter: Callable[[], float] = float, **options: Any
    ) -> None:
        self.server = ModelServer(root)
        self.server.selector, self.server.max_depth = options.get("selector"), options.get("max_depth")
        self.server.shard = options.get("shard")
        self.replica = Replica(root, CacheOptions(**options), jitter=jitter)
        if not glances:
            self.replica.audit._glances.plan = lambda now, znodes: None  # type: ignore[method-assign]
        self.log = EventLog(self.server, "" if root == "/" else root)
        self.faults: list[BaseException] = []
        self.now = 0.0
        self._keeps_data = options.get("keep_data", True)
        self._rate = options.get("max_nodes_per_second")
        self._verifies = options.get("freshness_interval") is not None
        self._read = self._idle_turns = 0
        self._barriers: dict[Request, BarrierRequest] = {}
        self._judged: Barrier | None = None
        #: What the replica last learned that the server supports, until the server refuses; whether that still
        #: holds, and until when the replica must ask again.
        self.word: bool | None = None
        #: Whether all of that comes through the stream.
        self.judges_words = False
        #: Whether short turns are taken as soon as messages arrive; see `exporter.treecache.placement`.
        self.is_prompt = False
        #: Whether these turns may be shortcuts, and how many were.
        self.takes_shortcuts = True
        self.shortcuts = 0
        #: Whether each turn after which the replica only waits is repeated, to see that nothing was left to do.
        self.repeats_turns = False
        #: Whether messages were received since the last turn.
        self._is_behind = False
        #: What followed from each turn that did anything, and when the next one was due; None to note nothing.
        self.trace: list[tuple[Outcome, float | None]] | None = None
        self._is_sure = self._is_attached = False
        self._is_cut = True
        self._ask_by: float | None = None
        self._mode = options.get("mode", "auto")
        self.server.clock = lambda: self.now

    def let_families_wait(self) -> None:
        """Lets even a single child wait, and be audited, as many; see `exporter.treecache.pathqueue` and `audit`."""
        self.replica._agenda._reads = PathQueue(many=1)
        self.replica.audit._many = 1

    def request_barrier(self, kind: str) -> None:
        """Sends a barrier, as the session does for all replicas on it, unless one of this kind is under way."""
        if all(request.kind != kind for request in self._barriers.values()):
            self.now += _INSTANT
            request: Request = Check(self.server.root) if kind == BARRIERS[0] else Sync(self.server.root)
            self._barriers[request] = BarrierRequest(kind, request, Moment(self.now, 0.0))
            self.server.requests.append(request)

    @property
    def time_left(self) -> float:
        """The seconds until the replica has work even without a message."""
        return math.inf if self.replica.wake_at is None else self.replica.wake_at - self.now

    def deliver(self, count: int = 1) -> None:
        """Passes the next messages of the stream to the replica; if it is prompt, takes a short turn immediately."""
        messages = [self._next_message() for _ in range(min(count, len(self.server.stream)))]
        if self.is_prompt and len(messages) == 1 and self._takes_shortcut(messages[0]):
            return
        takes_turn = self.is_prompt and bool(messages) and is_short(self.replica, messages, self.time_left)
        for message in messages:
            self._is_behind = True
            self._note_word(message)
            self.replica.receive(message, self.now)
        if takes_turn:
            self.take()

    def _takes_shortcut(self, message: Message) -> bool:
        """Whether the replica takes a message by its shortcut; then passes on what follows from it."""
        if not self.takes_shortcuts or self._is_behind or self.time_left <= _TURN:
            return False
        self._note_word(message)
        due_at, outcome = self.replica.wake_at, self.replica.shortcut(message, self.now + _TURN)
        if outcome is None:
            return False
        self.shortcuts += 1
        assert self.replica.wake_at == due_at
        self.now += _TURN
        self._carry_out(outcome)
        return True

    def _next_message(self) -> Message:
        message = self.server.stream.popleft()
        if isinstance(message, Reply | Unanswered) and message.request in self._barriers:
            return self._barriers.pop(message.request).verdict(message)
        return message

    def _note_word(self, message: Message) -> None:
        """Notes the report to the replica of what the server supports, and until when the replica must ask again."""
        if isinstance(message, Connected):
            self.word, self._is_sure = message.recursive, True
            # With None it must ask immediately.
            ask_in = 0.0 if message.recursive is None else message.ask_in
            self._ask_by = None if ask_in is None else self.now + ask_in
        elif isinstance(message, Capable) and self._is_attached:
            self.word, self._is_sure = message.recursive, True
            self._ask_by = None if message.ask_in is None else self.now + message.ask_in
        elif isinstance(message, Reply) and message.error in (UNIMPLEMENTED, MARSHALLING_ERROR):
            self._is_sure = False
        self._is_attached = isinstance(message, Connected) or (
            self._is_attached and not isinstance(message, Suspended | Lost | Unanswered)
        )
        self._is_cut = isinstance(message, Suspended | Lost) or (self._is_cut and not isinstance(message, Connected))
        if not self._is_attached:
            self._ask_by = None

    def take(self) -> None:
        """Sends the replica's requests and publishes its events; requests wait for a connection if there is none."""
        self.now += _TURN
        outcome = self.replica.take(self.now)
        if self.repeats_turns and self.time_left > 0 and not self.replica.outstanding_operations:
            left = self.replica.take(self.now)
            assert not any(left), f"it has more to do than it announces: {left}"
        self._is_behind = False
        self._carry_out(outcome)

    def _carry_out(self, outcome: Outcome) -> None:
        if self.trace is not None and any(outcome):
            self.trace.append((outcome, self.replica.wake_at))
        self._idle_turns = 0 if any(outcome) or self.time_left > 0 else self._idle_turns + 1
        assert self._idle_turns < _IDLE_TURNS, "it takes turn after turn, and does nothing"
        is_lost = self.judges_words and self._is_cut
        assert not (is_lost and self.replica.is_attached), "nothing is left to be attached to"
        requests = [sent.request for sent in outcome.requests]
        self.server.requests.extend(requests)
        if outcome.inquiries:
            self._ask_by = None
            if self.judges_words:
                assert self.server.hesitation, "what is known is asked for"
                self.server.inquire()
        for kind in outcome.barriers:
            self.request_barrier(kind)
        self.log.extend(each(outcome.events))
        self.faults.extend(fault.error for fault in outcome.faults)
        if self._rate is not None:
            self._read += sum(
                request.operations for request in requests if isinstance(request, GetData | GetChildren | MultiRead)
            )
            # Reads of a tenth of a second may be saved up, and the last batch may end in a list, which takes two.
            assert self._read <= self._rate * self.now + max(1, self._rate / 10) + 2, "reads faster than it may"
        if not self.server.ever_unreported:
            self._judge_audits()
            if not self.server.ever_overtook:
                self._judge_check()

    def _judge_check(self) -> None:
        """Asserts that each path is in a state that is not older than the verified moment."""
        verified = self.replica.freshness.verified
        if verified is self._judged or verified is None:
            return
        self._judged = verified
        held = self.held()
        states: dict[str, set[bytes | None]] = {path: {None} for path in held}
        for at, path, record in self.server.versions:
            if at < verified.asked_at:
                states[path] = set()
            states.setdefault(path, {None}).add(self._kept(record))
        for path, allowed in states.items():
            if self.server.covers(path) and not self.server.may_be_hidden(path):
                assert held.get(path) in allowed, f"{path} is older than verified"

    def _judge_audits(self) -> None:
        assert not any(self.replica.audit.comparison.findings.mismatches.values()), (
            "an audit found a mismatch where there is none"
        )

    def _kept(self, record: bytes | None) -> bytes | None:
        return record if record is None or self._keeps_data else record[-STAT.size :]

    def settle(self) -> None:
        """Lets everything happen until nothing is left to do; makes a lost connection again."""
        server, reconnects = self.server, self.server.connected
        for _ in range(_PATIENCE):
            server.arrive_late()
            server.release()
            self.deliver(len(server.stream))
            self.take()
            if server.requests and server.connected:
                server.execute()
            elif server.stream:
                continue
            elif reconnects and not server.connected:
                server.connect()
            elif server.is_asked:
                server.inform()
            elif self.replica.wake_at is not None and self.replica.wake_at < self.now + self._patience:
                self.now = max(self.now, self.replica.wake_at)
            else:
                return
        raise AssertionError("the replica does not come to rest")

    @property
    def _patience(self) -> float:
        """How far ahead to wait for the replica: longer while it must repeat a forgotten inquiry."""
        return _FORGOTTEN if self.replica._attachment.phase is Phase.ASKING else _SOON

    def audit(self) -> None:
        """Lets every znode be audited twice; the replica repairs mismatches."""
        audit = self.replica.audit
        turns = turns_of(max(len(self.replica.tree), len(self.server.nodes)), audit._sample)
        end = audit.completed + 2 * turns
        for _ in range(_PATIENCE):
            if audit.completed >= end:
                break
            self.now = max(self.now, audit.due_at or self.now)
            self.settle()
        assert audit.completed >= end, "audits do not come to their end"
        # Unreadable znodes are polled.
        self.replica.poll()
        self.settle()

    def poison(self, path: str, record: bytes | None) -> None:
        """Makes the replica hold a wrong record, as if published; None for nothing at and below the path."""
        tree, hidden = self.replica.tree, self.replica._reconciler.hidden
        held = tree.find(path)
        if record is None:
            hidden.difference_update(gone for gone, _ in tree.remove(path))
            tree.fold(path.rpartition("/")[0])
        elif held is None:
            tree.add(path, record)
        else:
            tree.replace(path, record)
        self.log.excuse(path, record)
        self.server.poisoned = self.server.forgot_watches = self.server.ever_unreported = True

    def start(self) -> None:
        """Connects and loads."""
        self.server.connect()
        self.settle()

    def resync(self) -> None:
        """Cuts the connection and settles at a server that has caught up."""
        self.server.disconnect(_EVERYTHING)
        self.server.connect()
        self.settle()

    def verify(self) -> None:
        """Settles until the replica is verified to hold everything up to now."""
        since = self.now
        self.replica.verify(since, since)
        self.settle()
        verified = self.replica.freshness.verified
        assert verified is not None, "nothing is verified"
        assert verified.asked_at >= since, "nothing newer is verified"

    def held(self) -> dict[str, bytes]:
        """The readable znodes in the replica's tree, by path on the server."""
        prefix = "" if self.server.root == "/" else self.server.root
        walk = ((prefix + path or "/", record_of(entry)) for path, entry in self.replica.tree.walk())
        return {path: record for path, record in walk if record != UNREADABLE}

    def published(self) -> list[tuple[int, str]]:
        """Type and path of every event since the last call."""
        events, self.log.events = self.log.events, []
        return [(event.type, event.path) for event in events]

    def check(self) -> None:
        """Asserts that at rest the replica equals the server and its events, and that nothing is left over."""
        replica, tree, held = self.replica, self.replica.tree, self.held()
        required, allowed = self.server.expected()
        if not self._keeps_data:
            required = {path: record[-STAT.size :] for path, record in required.items()}
            allowed = {path: record[-STAT.size :] for path, record in allowed.items()}
        assert {path: record for path, record in held.items() if path not in allowed} == required
        assert all(allowed[path] == record for path, record in held.items() if path in allowed)
        self.log.assert_equals(tree, held)
        if self.server.root in held or self.server.root not in self.server.nodes:
            assert replica.others == self.server.held_elsewhere(), "a shard knows other names than there are"
        assert replica.initialized
        assert not self._verifies or self.server.read_only or replica.freshness.verified, "nothing is verified"
        assert self.log.initialized
        self.check_itself()
        assert len(tree) == len(held)
        assert tree.data_bytes == sum(owner_and_size(record)[1] for record in held.values())
        entries = list(tree.walk())
        assert tree.unreadable == len(entries) - len(held)

    def check_told(self) -> None:
        """Asserts the same after lost events, except for the lost paths and for parents' stats."""
        held, lost = self.held(), self.server.lost
        required, allowed = self.server.expected()
        for path in {path for path in required.keys() | held.keys() if path not in lost}:
            if path in required:
                assert path in held, f"{path} was reported"
                assert gist(held[path]) == gist(required[path][0 if self._keeps_data else -STAT.size :])
            elif path not in allowed and path not in self.server.ever_unreadable:
                assert any(path.startswith(gone + "/") for gone in lost), f"{path} was reported as deleted"
        self.log.assert_equals(self.replica.tree, held)
        self.check_itself()

    def check_itself(self) -> None:
        """Asserts that at rest nothing is left over, and that the tree is consistent, even after unreported changes."""
        replica, agenda, tree = self.replica, self.replica._agenda, self.replica.tree
        entries = list(tree.walk())
        limited = self.server.selector is not None or self.server.max_depth is not None
        for path, entry in entries:
            record, children = record_of(entry), len(entry.children) if isinstance(entry, Branch) else 0
            assert children or not path or not isinstance(entry, Branch), f"{path!r} is not folded"
            counts = not limited and not self.server.poisoned and (path or self.server.shard is None)
            if record and counts:
                assert child_count(record) == children, f"{path!r} counts other children than are held"
        assert replica._reconciler.hidden == {path for path, entry in entries if record_of(entry) == UNREADABLE}
        knows_watches = self.server.connected and not self.server.forgot_watches
        if self.server.shard is not None and replica.mode == "recursive" and knows_watches:
            share = {path for path, _ in entries if path.count("/") == 1}
            watched = {path[len(self.server.root.rstrip("/")) :] for path in self.server.recursive_watches}
            assert watched == share, "other children are watched than are held"
        if self.judges_words and self._mode == "auto" and self.server.connected and self._is_sure:
            knows = self.word is True and replica._strategies._credibility.believes(SERVER)
            assert replica.mode == ("recursive" if knows else "classic"), f"the server's word was {self.word}"
        is_asked = not self.judges_words or self._mode == "classic" or self._ask_by is None
        assert is_asked, "what the server can do is not asked for again"
        assert replica.outstanding_operations == 0
        assert replica.pending_paths == 0
        assert not replica._in_flight
        assert not replica.audit.is_running
        assert replica.freshness.deadline is None
        assert replica._refreshing.is_at_rest
        assert agenda.loaded, f"a load waits for {agenda._loading} paths in vain"
        assert not replica._reconciler.suspects
        assert not replica._reconciler.syncing
