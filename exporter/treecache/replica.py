"""Replica: keeps a tree equal to the server's, as a state machine without I/O, threads or clocks.

`receive` takes in the session's messages in their order; `take` gives out the requests to send, the events to
publish and the faults to report that follow from them:

- *Watch first, read after.* Whatever watches is set before, or with, the first read, so a later change is an event.
- *Dirty until re-read.* An event only marks its path; only a read sent afterwards clears the mark.
- *Never backwards.* After a reconnect a barrier precedes the reads, so that a server that lags cannot bring back what
  was already seen to go.
- *By difference.* After a reconnect every known znode is read again, and only what differs becomes an event.

How fresh the tree is gets proven by `Freshness`, and whether it is right gets checked by `Audit`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from enum import Enum, auto

from kazoo.exceptions import KazooException

from exporter.treecache.agenda import NO_LOADS, Agenda, Loads
from exporter.treecache.answers import Answers, error_with
from exporter.treecache.audit import Audit
from exporter.treecache.backoff import PERSISTENT, Backoff, Strike
from exporter.treecache.classic import ClassicStrategy
from exporter.treecache.credibility import Credibility
from exporter.treecache.events import TreeEvent
from exporter.treecache.freshness import Freshness
from exporter.treecache.outcome import Event, Fault, Outcome, SyncBegun, SyncEnded
from exporter.treecache.pace import Pace
from exporter.treecache.ratelimit import RateLimit
from exporter.treecache.reconciler import Reconciler
from exporter.treecache.recursive import RecursiveStrategy
from exporter.treecache.scope import Selector
from exporter.treecache.sent import AUDIT, NO_CAUSES, REFRESH, SYNC, InFlight, Sent
from exporter.treecache.shard import Shard
from exporter.treecache.sharded import ShardedStrategy
from exporter.treecache.stats import SYNC_REASONS
from exporter.treecache.strategy import Strategy
from exporter.treecache.tree import Tree
from exporter.zookeeper.messages import (
    CHANGED,
    CHILD,
    CREATED,
    DELETED,
    Barrier,
    BarrierFailed,
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
    MARSHALLING_ERROR,
    NO_NODE,
    OK,
    THROTTLED,
    UNIMPLEMENTED,
    AddWatch,
    GetChildren,
    GetData,
    MultiRead,
    ReadRequest,
    Request,
    Sync,
)

MODES = ("auto", "recursive", "classic")

#: Seconds until what failed is tried again: after the first time, and at the longest.
_FIRST_DELAY, _LONGEST_DELAY = 0.05, 5.0
#: The same for reading the whole tree again, and how long it is remembered that it was.
_LONGEST_RESYNC_DELAY, _RESYNC_GRACE = 30.0, 60.0
#: Seconds after which an inquiry counts as forgotten.
_ASK_AGAIN = 15.0
_ZNODE_EVENTS = (CREATED, DELETED, CHANGED, CHILD)


#: Seconds for each znode over which resyncs after a reconnect are spread, about what its reading takes.
_SPREAD = 1e-6


class UnsupportedServerError(KazooException):  # type: ignore[misc]
    """The server lacks the requests that the cache was told to use, or its watches do not tell what changed."""


class _Phase(Enum):
    DETACHED = auto()
    ASKING = auto()
    BARRIER = auto()
    ARMING = auto()
    LIVE = auto()
    REFUSED = auto()


class Replica:
    """The tree below one root and what it takes to keep it true.

    Args:
        root: the server's path of the root, chroot included.
        told_root: the same as users see it, without the client's chroot; by default `root`.
        batch_size, window, mode, keep_data, selector, max_depth, max_nodes_per_second, shard,
            freshness_interval, freshness_timeout, freshness_barrier, audit_interval, audit_sample: see `TreeCache`.
        jitter: gives a number from 0 to 1, by which resyncs after a reconnect are put off: the servers of an ensemble
            lose all of their clients at once.
    """

    def __init__(
        self,
        root: str,
        told_root: str | None = None,
        *,
        batch_size: int = 1024,
        window: int = 4,
        mode: str = "auto",
        keep_data: bool = True,
        selector: Selector | None = None,
        max_depth: int | None = None,
        max_nodes_per_second: float | None = None,
        shard: Shard | None = None,
        freshness_interval: float | None = None,
        freshness_timeout: float = 10.0,
        freshness_barrier: str = "quorum",
        audit_interval: float | None = None,
        audit_sample: int = 0,
        jitter: Callable[[], float] = float,
    ) -> None:
        self.initialized = False
        self.syncs = dict.fromkeys(SYNC_REASONS, 0)
        self._root = root
        self._prefix = _prefix(root)
        self._mode = mode
        bulk = RecursiveStrategy if shard is None else ShardedStrategy
        self._recursive = bulk(root, batch_size, window)
        self._classic = ClassicStrategy(root, batch_size)
        self._strategy: Strategy = self._classic if mode == "classic" else self._recursive
        self._agenda = Agenda()
        self._reconciler = Reconciler(
            _prefix(told_root or root),
            self._agenda,
            keep_data=keep_data,
            selector=selector,
            max_depth=max_depth,
            shard=shard,
        )
        #: Reads that failed, by their path, and what else did, by a name. They are apart so that answers, which settle
        #: paths, have nothing to look through while no read fails.
        self._failures = Backoff(_FIRST_DELAY, _LONGEST_DELAY)
        self._pauses = Backoff(_FIRST_DELAY, _LONGEST_DELAY)
        self._resyncs = Backoff(_FIRST_DELAY, _LONGEST_RESYNC_DELAY, grace=_RESYNC_GRACE)
        self._answers = Answers(self._prefix, self._reconciler, self._agenda, self._failures)
        self._rate = RateLimit(max_nodes_per_second)
        self._pace = Pace()
        self._phase = _Phase.DETACHED
        self._server = ""
        self._read_only = False
        #: The zxid of this connection's last barrier.
        self._barrier_zxid = 0
        self._given_up: set[str] = set()
        #: When to ask what the server can do, if it did not say so or said no.
        self._ask_at: float | None = None
        #: Whether a barrier has yet to precede the reads of this connection.
        self._resumes = False
        self._is_refused = False
        self._credibility = Credibility(lambda: self.tree)
        self._jitter = jitter
        self._interrupted: str | None = None
        self._in_flight = InFlight()
        #: Requests under way that set watches while reads go on.
        self._arming: set[Request] = set()
        #: Of each path that waits to be read, the first event since it last was.
        self._heard: dict[str, WatchEvent] = {}
        self._wake_at: float | None = None
        self._outcome = Outcome.empty()
        self.freshness = Freshness(
            self._agenda,
            lambda: self.tree,
            self._in_flight,
            interval=freshness_interval,
            timeout=freshness_timeout,
            kind=freshness_barrier,
        )
        self.audit = Audit(
            self._prefix,
            self._reconciler,
            self._agenda,
            self._in_flight,
            interval=audit_interval,
            sample=audit_sample,
            keep_data=keep_data,
        )

    # Input and output

    def receive(self, message: Message, now: float) -> None:
        """Takes in the next message of the session's stream; `now` is a monotonic time in seconds."""
        if isinstance(message, WatchEvent):
            self._on_watch_event(message)
        elif isinstance(message, Reply):
            self._on_reply(message, now)
        elif isinstance(message, Unanswered):
            self._on_unanswered(message, now)
        elif isinstance(message, Barrier):
            self._on_barrier(message, now)
        elif isinstance(message, BarrierFailed):
            self.freshness.failed(message, now)
        elif isinstance(message, Capable):
            self._on_capable(message, now)
        elif isinstance(message, Connected):
            self._on_connected(message, now)
        else:
            self._on_disconnected(message, now)

    def take(self, now: float) -> Outcome:
        """Gives out what is to be done, once every message at hand was received. Also to be called at `wake_at`."""
        if self._wake_at is not None and now >= self._wake_at:
            self._wake_at = None
            if self._phase is _Phase.ARMING:
                self._arm(now)
            elif self._phase is _Phase.BARRIER:
                self._send(Sync(self._root), now)
        if self._ask_at is not None and now >= self._ask_at:
            self._ask(now)
        if self._is_complete:
            self._check(now)
        if self._phase is _Phase.LIVE:
            if self._wake_at is None:
                self._fill_window(now)
            self._settle(now)
        if self._is_complete:
            self._outcome.requests.extend(Sent(request, now) for request in self._strategy.disarm(self._is_wanted))
        self._prove(now)
        self._collect()
        outcome, self._outcome = self._outcome, Outcome.empty()
        return outcome

    @property
    def wake_at(self) -> float | None:
        """When `take` is due although no message came, or None."""
        due = [self._wake_at, self._ask_at, self.freshness.deadline]
        if self._is_complete:
            due += [self.audit.due_at, None if self._read_only else self.freshness.due_at]
        if self._phase is _Phase.LIVE and self._wake_at is None:
            due.append(self._agenda.due_at)
            if not self._in_flight:
                due += [self._reconciler.recheck_at, self.audit.resume_at]
        return min((at for at in due if at is not None), default=None)

    @property
    def is_gathering(self) -> bool:
        """Whether an event that comes now would wait for others: for an answer, or for the moment to send."""
        return self._phase is _Phase.LIVE and bool(self._in_flight or self._wake_at is not None)

    def poll(self) -> bool:
        """Reads again what no watch tells of: znodes that may not be read. False if there are none."""
        if self._phase is _Phase.LIVE:
            self._agenda.want_reads(self._reconciler.hidden, False)
        return bool(self._reconciler.hidden)

    def verify(self, since: float, now: float) -> None:
        """Wants a proof that the tree holds what the ensemble had at a moment not before `since`."""
        self.freshness.demand(since, now)

    def start_over(self, now: float, error: BaseException | None = None) -> None:
        """Reads everything again as after a reconnect, later each time; of the `error` that it is for, if any, once."""
        is_about_to = self._phase in (_Phase.BARRIER, _Phase.ARMING) and self._wake_at is not None
        if self._phase in (_Phase.DETACHED, _Phase.ASKING, _Phase.REFUSED) or is_about_to:
            return
        self._break_off(now)
        self._begin_sync("reconnect", now)
        self._phase = _Phase.BARRIER if self._resumes else _Phase.ARMING
        strike = self._resyncs.strike("resync", now)
        self._wake_at = strike.due_at
        self._say_once(strike, error)

    def detach(self, now: float) -> None:
        """Keeps the znodes and trusts nothing else: for a driver that lost its way, and begins anew at `Connected`."""
        self._break_off(now)
        self._outcome.requests.clear()
        self._outcome.probes.clear()
        self.initialized = False
        self._phase = _Phase.DETACHED

    def forget(self) -> None:
        """Lets go of every znode without a word."""
        self._abandon()
        self._reconciler.tree = Tree()
        self._reconciler.others = frozenset()
        self._reconciler.hidden.clear()
        self._reconciler.left_out.clear()
        self._heard.clear()
        self.initialized = False
        self._phase = _Phase.DETACHED

    # Measurements

    @property
    def tree(self) -> Tree:
        """The znodes held."""
        return self._reconciler.tree

    @property
    def others(self) -> frozenset[str]:
        """The names of the root's children that other shards hold."""
        return self._reconciler.others

    @property
    def mode(self) -> str:
        """How the replica keeps up with the server it was last connected to."""
        return self._strategy.mode

    @property
    def is_attached(self) -> bool:
        """Whether there is a connection."""
        return self._phase is not _Phase.DETACHED

    @property
    def is_refused(self) -> bool:
        """Whether the server of this connection lacks what the mode needs."""
        return self._phase is _Phase.REFUSED

    @property
    def is_in_sync(self) -> bool:
        """Whether nothing has to be read but what watch events mark."""
        return self._is_complete

    @property
    def _is_complete(self) -> bool:
        """Whether everything was read since the connection stands, and watches tell of whatever changes."""
        return self._phase is _Phase.LIVE and not self._reconciler.syncing

    @property
    def outstanding_operations(self) -> int:
        """Operations sent and not yet answered."""
        return self._in_flight.operations + len(self._arming)

    @property
    def pending_paths(self) -> int:
        """Paths known to want a read that was not sent yet."""
        return len(self._agenda) + self._agenda.postponed

    def unsettled(self, now: float) -> int:
        """Znodes that are read again and again, ever less often, because the server's answers settle nothing."""
        tables = (self._failures, self._pauses, self._reconciler.contradictions)
        return sum(table.unsettled(now) for table in tables)

    @property
    def oldest_sent_at(self) -> float | None:
        """When the oldest unanswered request was sent, or None."""
        return self._in_flight.oldest_at

    # Connection states

    def _on_connected(self, message: Connected, now: float) -> None:
        if self._phase is not _Phase.DETACHED:
            # Whoever comes while a connection is made may be told of it twice.
            self._break_off(now)
        reason, self._interrupted = self._interrupted, None
        self._barrier_zxid = 0
        self._server, self._read_only = message.server, message.read_only
        if reason is not None:
            self._publish(TreeEvent.CONNECTION_RECONNECTED)
        self._recursive.limit(message.request_bytes)
        self._begin_sync(reason or "start", now)
        # A tree that an engine before this one has left may be newer than what the server knows.
        self._resumes = (reason is not None or len(self.tree) > 0) and not message.read_only
        if self._mode != "classic" and message.recursive is None:
            self._phase = _Phase.ASKING
            self._ask(now)
        else:
            self._choose(message.recursive, message.ask_in, now)
            self._go_on(now)

    def _choose(self, recursive: bool | None, ask_in: float | None, now: float) -> None:
        """Chooses how to keep up with a server, by what it can do: None where that could not be found out."""
        self._is_refused = recursive is False
        self._ask_at = None if ask_in is None or self._mode == "classic" else now + ask_in
        if self._mode == "auto":
            believed = recursive and self._credibility.believes(self._server)
            self._strategy = self._recursive if believed else self._classic

    def _go_on(self, now: float) -> None:
        """Begins to read, now that it is known how."""
        if self._mode == "recursive" and self._is_refused:
            self._give_up()
        elif self._resumes:
            self._phase = _Phase.BARRIER
            self._wake_at = now + self._jitter() * _SPREAD * len(self.tree)
        else:
            self._arm(now)

    def _ask(self, now: float) -> None:
        """Has the session ask the server, and again should no answer come."""
        self._outcome.inquiries.append(self._server)
        self._ask_at = now + _ASK_AGAIN

    def _on_capable(self, message: Capable, now: float) -> None:
        """Without an answer the classic strategy is right at every server; who chose the recursive one is believed."""
        if self._phase is _Phase.DETACHED or self._mode == "classic":
            return
        before, phase = self._strategy, self._phase
        self._choose(message.recursive, message.ask_in, now)
        if phase is _Phase.ASKING:
            self._go_on(now)
        elif self._strategy is not before or (phase is _Phase.REFUSED and not self._is_refused):
            self._break_off(now)
            self._begin_sync("reconnect", now)
            self._go_on(now)

    def _on_disconnected(self, message: Suspended | Lost, now: float) -> None:
        self.freshness.drop(disconnected=True)
        self._break_off(now)
        self._phase = _Phase.DETACHED
        # Another server, or the same after its restart, may answer otherwise.
        self._failures.clear()
        self._pauses.clear()
        self._reconciler.contradictions.clear()
        self._agenda.ripen(math.inf)
        self._ask_at = None
        if isinstance(message, Lost):
            self.initialized = False
            self._interrupted = "session_lost"
            self._publish(TreeEvent.CONNECTION_LOST)
        else:
            self._interrupted = self._interrupted or "reconnect"
            self._publish(TreeEvent.CONNECTION_SUSPENDED)

    def _break_off(self, now: float) -> None:
        """Abandons what is under way, the sync included."""
        self._credibility.forget_doubts()
        if self._reconciler.syncing:
            self._outcome.syncs.append(SyncEnded(now, False))
        self._abandon()

    def _abandon(self) -> None:
        """Ends what is under way; the paths that it was about wait for the next sync."""
        self.freshness.drop(disconnected=False)
        self.audit.break_off()
        for request in self._in_flight.requests():
            self._take_back(request)
        self._arming.clear()
        self._reconciler.syncing = False
        self._agenda.break_off()
        self._wake_at = None

    def _begin_sync(self, reason: str, now: float) -> None:
        self.syncs[reason] += 1
        self._outcome.syncs.append(SyncBegun(reason, now))
        self._read_everything(lists_all=reason == "audit")

    def _read_everything(self, *, lists_all: bool = False) -> None:
        self._reconciler.begin_sync(lists_all=lists_all)
        self._agenda.want_reads(("",), True)
        tree = self.tree
        self._agenda.survey(path for path, _ in tree.walk())

    def _arm(self, now: float) -> None:
        self._reconciler.lists_leaf = self._strategy.lists_leaf
        watch = self._strategy.arm()
        if watch is None:
            self._phase = _Phase.LIVE
        else:
            self._phase = _Phase.ARMING
            self._send(watch, now)

    # Events

    def _on_watch_event(self, event: WatchEvent) -> None:
        if event.kind not in _ZNODE_EVENTS:
            return
        path = "" if event.path == self._root else event.path[len(self._prefix) :]
        covers = self._reconciler.scope.covers
        reads, lists = self._strategy.dirty(event.kind, path)
        self._pace.note()
        if path in reads and covers(path):
            if event.kind != CHILD and self._strategy.watches_from(path) and not self._reads(path):
                self._credibility.doubt(path, event)
            self._heard.setdefault(path, event)
        self._agenda.want_reads(filter(covers, reads), False)
        for listed in filter(covers, lists):
            self._agenda.want_list(listed, False)

    def _reads(self, path: str) -> bool:
        """Whether a path is being read, or is about to be."""
        return path in self._agenda or self._in_flight.is_reading(path)

    # Sending

    def _send(self, request: Request, now: float, loads: Loads = NO_LOADS, purpose: str = SYNC) -> None:
        causes = NO_CAUSES
        if self._heard and isinstance(request, ReadRequest) and purpose != AUDIT:
            causes = self._take_causes(request)
            if causes and not self._reconciler.syncing:
                purpose = REFRESH
        sent = Sent(request, now, loads, purpose, causes)
        self._in_flight.add(sent)
        self._outcome.requests.append(sent)

    def _take_causes(self, request: ReadRequest) -> Mapping[str, WatchEvent]:
        heard = self._heard
        return {path: heard.pop(path) for path in (*request.reads, *request.lists) if path in heard}

    def _fill_window(self, now: float) -> None:
        self._agenda.ripen(now)
        self._reconciler.recheck_suspects(now, at_rest=not self._in_flight and not self._agenda)
        refreshing = self._agenda.loaded and bool(self._agenda)
        if refreshing and now < self._pace.due_at:
            self._wake_at = self._pace.due_at
            return
        allowance = self._rate.allowance(now)
        children_of = self._reconciler.children_of
        sent = False
        for request, loads, watches in self._strategy.requests(
            self._agenda, len(self._in_flight), allowance, children_of
        ):
            self._arming.update(watches)
            self._outcome.requests.extend(Sent(watch, now) for watch in watches)
            self._rate.spend(request.operations)
            self._send(request, now, loads)
            self.freshness.sent(request)
            sent = True
        if refreshing and sent:
            self._pace.sent(now)
        if self.audit.is_running:
            self._send_audit(now)
        if allowance is not None and not self._in_flight and not self._at_rest():
            self._wake_at = self._rate.next_at(now)

    def _is_wanted(self, path: str) -> bool:
        """Whether the znode at a path is held, or may be about to be."""
        return self.tree.find(path) is not None or self._reads(path)

    def _send_audit(self, now: float) -> None:
        """Sends an audit's next reads, if there is room beside those of refreshes."""
        room = self._strategy.audit_room(len(self._in_flight), self._rate.allowance(now))
        if room > 0:
            for request in self._strategy.audits(*self.audit.next_round(room, now)):
                self._rate.spend(request.operations)
                self.audit.asked(request)
                self._send(request, now, purpose=AUDIT)
        if self._agenda and not self._in_flight:
            # What the audit came by at its end.
            self._wake_at = now

    def _at_rest(self) -> bool:
        return not self._agenda and self._agenda.loaded and not self.audit.is_running

    def _pause(self, key: str, now: float) -> Strike:
        """Sends nothing for a while, since something failed by this name: for longer each time that it does."""
        strike = self._pauses.strike(key, now)
        self._wake_at = strike.due_at
        return strike

    def _pause_for(self, key: str, error: BaseException, now: float) -> None:
        """The same, and says so."""
        self._say_once(self._pause(key, now), error)

    def _say_once(self, strike: Strike, error: BaseException | None) -> None:
        """A fault the first time, and one more when it is clear that it goes on."""
        if error is not None and strike.number in (1, PERSISTENT):
            self._fault("request" if strike.number == 1 else "unsettled", error)

    # Replies

    def _on_reply(self, reply: Reply, now: float) -> None:
        if reply.request in self._arming:
            self._on_armed(reply, now)
            return
        sent = self._in_flight.pop(reply.request)
        if sent is None:
            return
        request = reply.request
        self.freshness.begin_answer(request)
        try:
            self._on_own_reply(reply, sent, now)
        finally:
            self.freshness.end_answer(request)

    def _on_own_reply(self, reply: Reply, sent: Sent, now: float) -> None:
        request = sent.request
        if reply.error in (UNIMPLEMENTED, MARSHALLING_ERROR) and isinstance(request, AddWatch | MultiRead):
            if isinstance(request, ReadRequest):
                self._put_back(request, sent)
            self._refused(now)
        elif isinstance(request, ReadRequest) and sent.purpose == AUDIT:
            self._on_audited(reply, request)
        elif isinstance(request, ReadRequest):
            self._on_answer(reply, request, sent, now)
        elif isinstance(request, Sync):
            if reply.error == THROTTLED:
                self._pause("sync", now)
            else:
                # A server that cannot sync still holds the truth that can be had.
                self._resumes = False
                self._arm(now)
        elif reply.error == OK:
            self._phase = _Phase.LIVE
        else:
            self._pause_for("watch", error_with(reply.error, f"setting the watch on {self._root}"), now)

    def _on_armed(self, reply: Reply, now: float) -> None:
        """A watch that was not set leaves in doubt whatever was read after it."""
        self._arming.discard(reply.request)
        if reply.error in (OK, NO_NODE):
            return
        if reply.error in (UNIMPLEMENTED, MARSHALLING_ERROR) and isinstance(reply.request, AddWatch):
            self._refused(now)
        else:
            self.start_over(now, error_with(reply.error, f"setting a watch by {reply.request!r}"))

    def _on_unanswered(self, message: Unanswered, now: float) -> None:
        """Waits a moment, or, where the end of the connection is on its way, for as long as that takes."""
        is_watch = message.request in self._arming
        if not is_watch and not self._take_back(message.request):
            return
        if not message.connected:
            # Whatever is sent now would wait in kazoo's queue for the next connection.
            self._phase = _Phase.DETACHED
            self._wake_at = None
        elif is_watch:
            self.start_over(now)
        elif self._wake_at is None:
            self._pause("unanswered", now)

    def _take_back(self, request: Request) -> bool:
        """Makes what a request was about wait again; False if nothing waits for the request any more."""
        sent = self._in_flight.pop(request)
        if sent is not None and isinstance(request, ReadRequest):
            self.freshness.begin_answer(request)
            self._put_back(request, sent)
            self.freshness.end_answer(request)
        return sent is not None

    def _put_back(self, request: ReadRequest, sent: Sent) -> None:
        if sent.purpose == AUDIT:
            self.audit.over(request)
            return
        self._agenda.put_back(request, sent.loads)
        self._heard.update(sent.causes)

    def _refused(self, now: float) -> None:
        """The server does not know the request, and may be about to close the connection for that."""
        if self._mode == "auto":
            self._strategy = self._classic
            # What was read in bulk has no one-shot watches.
            syncing = self._reconciler.syncing
            self._abandon()
            if syncing:
                self._read_everything()
            else:
                self._begin_sync("reconnect", now)
            self._arm(now)
        else:
            self._give_up()

    def _mistrust(self, now: float) -> None:
        """The server's recursive watches may not tell what changed: a resync does, and in the end one-shot watches."""
        if self._strategy.mode != "recursive":
            return
        if self._credibility.misled_by(self._server):
            message = f"{self._server} tells of the root of a recursive watch whatever changes below it"
            self._fault("unsupported", UnsupportedServerError(message))
        if self._mode == "auto" and not self._credibility.believes(self._server):
            self._refused(now)
        else:
            self.start_over(now)

    def _give_up(self) -> None:
        """Does nothing more at this server, and says so once."""
        self._phase = _Phase.REFUSED
        if self._server not in self._given_up:
            self._given_up.add(self._server)
            message = (
                f"{self._server} refuses recursive watches or multi-reads: the recursive mode needs ZooKeeper 3.6 or "
                "newer without a proxy that knows less"
            )
            self._fault("unsupported", UnsupportedServerError(message))

    def _on_answer(self, reply: Reply, request: ReadRequest, sent: Sent, now: float) -> None:
        before = self._credibility.held_before(sent.causes)
        try:
            verdict = self._answers.apply(reply, request, sent.loads, now)
        except (struct.error, ValueError) as error:
            self._outcome.distrusts.append("bad_reply")
            self._not_understood(request, sent, error, now)
            return
        if not verdict.understood:
            self._not_understood(request, sent, error_with(reply.error, repr(request)), now)
            return
        if self._failures:
            for path in (*request.reads, *request.lists):
                if path not in self._agenda:
                    self._failures.settled(path)
        watch = self._strategy.missing_root() if verdict.root_is_missing else None
        if watch is not None:
            self._send(watch, now)
        self._strategy.answered(request, len(reply.body))
        self._agenda.done(request, sent.loads)
        if sent.causes:
            self._outcome.refreshed.append(sent)
            if self._credibility.was_misled(sent.causes, before):
                self._mistrust(now)

    def _not_understood(self, request: ReadRequest, sent: Sent, error: BaseException, now: float) -> None:
        self._put_back(request, sent)
        self._pause_for("read", error, now)

    # Freshness and audits

    def _on_barrier(self, barrier: Barrier, now: float) -> None:
        """A server that falls back behind its own past was restored from a snapshot, without a word and its watches.

        ZooKeeper 3.9 has such a command: https://zookeeper.apache.org/doc/r3.9.3/zookeeperSnapshotAndRestore.html
        """
        if 0 < barrier.zxid < self._barrier_zxid:
            self.start_over(now)
        self._barrier_zxid = barrier.zxid
        self.freshness.came(barrier, self._is_complete)

    def _prove(self, now: float) -> None:
        self._outcome.proofs.extend(self.freshness.settle(now))
        if self._is_complete and not self._read_only and self.freshness.asks(now):
            self._outcome.probes.append(self.freshness.kind)

    def _check(self, now: float) -> None:
        """Begins an audit when it is time, and heals what one has found by reading everything again."""
        finding = self.audit.take_finding()
        if finding is not None:
            self._fault("audit", finding)
            self._break_off(now)
            self._begin_sync("audit", now)
            self._arm(now)
        else:
            self.audit.begin_if_due(now)

    def _on_audited(self, reply: Reply, request: ReadRequest) -> None:
        """Hands an audit its answer; one that cannot be understood is left to the next audit."""
        try:
            if isinstance(request, MultiRead) and reply.error == OK:
                self.audit.answered(request, request.decode(reply.body, reply.offset))
            elif isinstance(request, GetChildren) and reply.error == OK:
                self.audit.listed(request, request.decode(reply.body, reply.offset)[0])
            elif isinstance(request, GetData):
                self.audit.answered(request, [reply.error or request.decode(reply.body, reply.offset)])
        except (struct.error, ValueError) as error:
            self._fault("request", error)
            self._outcome.distrusts.append("bad_reply")
        self.audit.over(request)

    # Coming to rest

    def _settle(self, now: float) -> None:
        if self._reconciler.syncing and self._agenda.loaded:
            self._reconciler.syncing = False
            self._outcome.syncs.append(SyncEnded(now, True))
            self.freshness.loaded(now)
            self.audit.loaded(now)
            if not self.initialized:
                self.initialized = True
                self._publish(TreeEvent.INITIALIZED)

    def _publish(self, event_type: int) -> None:
        self._collect()
        self._outcome.events.append(Event(event_type))

    def _fault(self, kind: str, error: BaseException) -> None:
        self._outcome.faults.append(Fault(kind, error))

    def _collect(self) -> None:
        """Takes over what the reconciler has to tell, in order with what is told here."""
        reconciler = self._reconciler
        if reconciler.events:
            self._outcome.events.extend(reconciler.events)
            reconciler.events.clear()
        if reconciler.faults:
            self._outcome.faults.extend(reconciler.faults)
            reconciler.faults.clear()


def _prefix(root: str) -> str:
    return "" if root == "/" else root
