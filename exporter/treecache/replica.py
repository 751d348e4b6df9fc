"""Replica: keeps a tree equal to the server's, as a state machine without I/O, threads or clocks.

`receive` takes the session's messages in order and passes each to its part; `take` returns the requests to send, the
events to publish and the faults to report that follow from them:

- `Attachment` attaches to a server: *watch first, read after*, and *never backwards* after a reconnect.
- `Loading` reads everything, *by difference*: after a reconnect every known znode is read again, and only differences
  become events.
- `Refreshing` follows watch events: *dirty until re-read*. An event only marks its path; only a read sent afterwards
  clears the mark.
- `Freshness` verifies how fresh the tree is, and `Audit` whether it is correct.
- `Dispatch` sends their reads, when `exporter.treecache.reading` allows it, and `Answers` applies the answers.
- `Shortcut` does all that for the refresh of one znode while nothing else goes on; `shortcut` then takes the place of
  `receive` and `take`.
"""

from __future__ import annotations

from collections.abc import Callable

from exporter.treecache.agenda import Agenda
from exporter.treecache.answers import Answers, error_with
from exporter.treecache.attachment import Attachment
from exporter.treecache.audit import Audit
from exporter.treecache.comparison import Comparison
from exporter.treecache.credibility import Credibility
from exporter.treecache.dispatch import Dispatch
from exporter.treecache.feed import Feed
from exporter.treecache.freshness import Freshness
from exporter.treecache.loading import Loading
from exporter.treecache.options import CacheOptions
from exporter.treecache.outcome import Outbox, Outcome
from exporter.treecache.pauses import Pauses
from exporter.treecache.phases import Phase
from exporter.treecache.reading import Pace, RateLimit
from exporter.treecache.reconciler import Reconciler
from exporter.treecache.refreshing import Refreshing
from exporter.treecache.rest import Rest
from exporter.treecache.sent import AUDIT, InFlight, Sent
from exporter.treecache.shortcut import Shortcut
from exporter.treecache.strategies import Strategies
from exporter.treecache.timers import Timers
from exporter.treecache.tree import Tree
from exporter.zookeeper.messages import (
    Barrier,
    BarrierFailed,
    Capable,
    Connected,
    Message,
    Reply,
    Unanswered,
    WatchEvent,
)
from exporter.zookeeper.wire import (
    MARSHALLING_ERROR,
    NO_NODE,
    OK,
    UNIMPLEMENTED,
    AddWatch,
    MultiRead,
    ReadRequest,
    Sync,
)

_UNKNOWN = (UNIMPLEMENTED, MARSHALLING_ERROR)


class Replica:
    """The tree below one root, and everything that keeps it up to date.

    Args:
        root: the server's path of the root, chroot included.
        options: the options of the cache.
        shown_root: the same path as users see it, without the client's chroot; by default `root`.
        jitter: returns a number from 0 to 1 that delays resyncs after a reconnect, since the clients of a server lose
            their connections at the same time.
    """

    def __init__(
        self,
        root: str,
        options: CacheOptions,
        shown_root: str | None = None,
        *,
        jitter: Callable[[], float] = float,
    ) -> None:
        prefix, pace = _prefix(root), Pace()
        self._outbox = outbox = Outbox()
        self._timers = timers = Timers()
        self._in_flight = in_flight = InFlight()
        self._agenda = agenda = Agenda()
        self._reconciler = reconciler = Reconciler(_prefix(shown_root or root), agenda, outbox, options)
        credibility = Credibility(reconciler.tree)
        self._strategies = strategies = Strategies(root, options, credibility)
        self._pauses = pauses = Pauses(timers, outbox)
        self._loading = loading = Loading(reconciler, agenda, outbox)
        self._refreshing = refreshing = Refreshing(
            root, reconciler.scope, agenda, in_flight, strategies, credibility, pace
        )
        self.freshness = freshness = Freshness(agenda, reconciler.tree, in_flight, options)
        comparison = Comparison(prefix, reconciler, agenda, in_flight, outbox)
        self.audit = audit = Audit(prefix, reconciler, comparison, options)
        rate = RateLimit(options.max_nodes_per_second)
        self._dispatch = dispatch = Dispatch(
            in_flight, agenda, reconciler, strategies, refreshing, freshness, audit, timers, pace, rate, outbox
        )
        self._answers = answers = Answers(prefix, reconciler, agenda, strategies, credibility, dispatch, pauses, outbox)
        self._attachment = attachment = Attachment(
            root,
            reconciler,
            strategies,
            loading,
            dispatch,
            answers,
            freshness,
            audit,
            pauses,
            timers,
            outbox,
            jitter,
        )
        self._phases = attachment.phases
        rest = Rest(attachment.phases, timers, agenda, reconciler, freshness, audit, credibility)
        self._shortcut = Shortcut(
            root, options, rest, in_flight, strategies, pace, reconciler, answers.failures, outbox
        )
        #: The zxid of this connection's last barrier.
        self._barrier_zxid = 0

    # Input and output

    def receive(self, message: Message, now: float) -> None:
        """Processes the next message of the session's stream; `now` is a monotonic time in seconds."""
        if isinstance(message, WatchEvent):
            self._refreshing.on_event(message)
        elif isinstance(message, Reply):
            self._on_reply(message, now)
        elif isinstance(message, Unanswered):
            self._on_unanswered(message, now)
        elif isinstance(message, Barrier):
            self._on_barrier(message, now)
        elif isinstance(message, BarrierFailed):
            self.freshness.failed(message, now)
        elif isinstance(message, Capable):
            self._attachment.capable(message, now)
        elif isinstance(message, Connected):
            self._barrier_zxid = 0
            self._attachment.connected(message, now)
        else:
            self._attachment.disconnected(message, now)

    def take(self, now: float) -> Outcome:
        """Returns what to do next. Call it when all messages at hand are received, and at `wake_at`."""
        self._attachment.go_off(now)
        if self.is_in_sync:
            self._run_audits(now)
        if self._phases.current is Phase.LIVE:
            if not self._timers.is_holding:
                self._dispatch.fill_window(now)
            if self._loading.ends(now):
                self.freshness.loaded(now)
                self.audit.loaded(now)
        is_complete = self.is_in_sync
        if is_complete:
            self._dispatch.disarm(now)
        self._check_freshness(now, is_complete)
        return self._outbox.take()

    def shortcut(self, message: Message, now: float) -> Outcome | None:
        """Receives a message and returns what to do next, if that is the refresh of one znode and nothing else.

        None if there is more to do: then the replica is as it was. Call it only while `now` is earlier than `wake_at`,
        which stays the same.
        """
        if isinstance(message, WatchEvent):
            is_done = self._shortcut.on_event(message, now)
        else:
            is_done = isinstance(message, Reply) and self._shortcut.on_reply(message)
        return self._outbox.take() if is_done else None

    @property
    def wake_at(self) -> float | None:
        """When `take` is due even without a message, or None: the earliest time that a part waits for."""
        due = [self._timers.wake_at, self.freshness.deadline]
        if self.is_in_sync:
            due += [self.audit.due_at, None if self._attachment.read_only else self.freshness.due_at]
        if self._phases.current is Phase.LIVE and not self._timers.is_holding:
            due.append(self._agenda.due_at)
            if not self._in_flight:
                due += [self._reconciler.recheck_at, self.audit.resume_at]
        return min((at for at in due if at is not None), default=None)

    @property
    def is_gathering(self) -> bool:
        """Whether an event that comes now would wait: for an answer, or for the time to send."""
        return self._phases.current is Phase.LIVE and (self._dispatch.under_way > 0 or self._timers.is_holding)

    def poll(self) -> bool:
        """Reads unreadable znodes again, which have no watch events. Returns False if the tree has none."""
        if self._phases.current is Phase.LIVE:
            self._agenda.want_reads(self._reconciler.hidden, False)
        return bool(self._reconciler.hidden)

    def verify(self, since: float, now: float) -> None:
        """Demands a freshness check whose T0 is not before `since`."""
        self.freshness.demand(since, now)

    def start_over(self, now: float, error: BaseException | None = None) -> None:
        """Reads everything again as after a reconnect, with growing delays; reports `error`, if any, once."""
        self._attachment.start_over(now, error)

    def detach(self, now: float) -> None:
        """Keeps the znodes and resets everything else, for a driver that recovers and starts anew with `Connected`."""
        self._attachment.detach(now)

    def attend(self, feed: Feed) -> None:
        """Adds to a feed the changes that are no events, and keeps the data that its views read."""
        self._reconciler.attend(feed)

    def forget(self) -> None:
        """Drops every znode, without events."""
        self._attachment.forget()
        self._reconciler.forget()
        self._refreshing.forget()

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
    def initialized(self) -> bool:
        """Whether the session's first sync is complete."""
        return self._loading.initialized

    @property
    def syncs(self) -> dict[str, int]:
        """How many syncs began, by reason."""
        return self._loading.syncs

    @property
    def mode(self) -> str:
        """The strategy for the server of this connection, or of the last."""
        return self._strategies.current.mode

    @property
    def is_attached(self) -> bool:
        """Whether there is a connection."""
        return self._phases.current is not Phase.DETACHED

    @property
    def is_refused(self) -> bool:
        """Whether the server of this connection does not support the mode."""
        return self._phases.current is Phase.REFUSED

    @property
    def is_in_sync(self) -> bool:
        """Whether everything was read on this connection, so that nothing has to be read but what watch events mark."""
        return self._phases.current is Phase.LIVE and not self._reconciler.syncing

    @property
    def outstanding_operations(self) -> int:
        """Operations sent and not yet answered."""
        return self._dispatch.outstanding_operations

    @property
    def waiting_paths(self) -> int:
        """Paths that wait to be read, and may be read now."""
        return len(self._agenda)

    @property
    def pending_paths(self) -> int:
        """Paths that wait to be read, the postponed ones included."""
        return len(self._agenda) + self._agenda.postponed

    def unsettled(self, now: float) -> int:
        """The number of unsettled znodes."""
        return self._answers.unsettled(now) + self._pauses.unsettled(now)

    @property
    def oldest_sent_at(self) -> float | None:
        """When the oldest unanswered request was sent, or None."""
        return self._in_flight.oldest_at

    # Replies

    def _on_reply(self, reply: Reply, now: float) -> None:
        request = reply.request
        if self._dispatch.is_arming(request):
            self._on_armed(reply, now)
            return
        sent = self._in_flight.pop(request, None)
        if sent is None:
            return
        self.freshness.begin_answer(request)
        try:
            self._hand_on(reply, sent, now)
        finally:
            self.freshness.end_answer(request)

    def _hand_on(self, reply: Reply, sent: Sent, now: float) -> None:
        request, error = sent.request, reply.error
        if error in _UNKNOWN and isinstance(request, AddWatch | MultiRead):
            if isinstance(request, ReadRequest):
                self._dispatch.put_back(request, sent)
            self._attachment.refused(now)
        elif isinstance(request, ReadRequest):
            if sent.purpose == AUDIT:
                self.audit.comparison.take_answer(reply, request)
            elif self._answers.take_in(reply, request, sent, now):
                self._attachment.mistrust(now)
        elif isinstance(request, Sync):
            self._attachment.synced(error, now)
        else:
            self._attachment.watch_set(error, now)

    def _on_armed(self, reply: Reply, now: float) -> None:
        """Checks that a watch was set: if not, everything that was read after it is in doubt."""
        self._dispatch.armed(reply.request)
        if reply.error in (OK, NO_NODE):
            return
        if reply.error in _UNKNOWN and isinstance(reply.request, AddWatch):
            self._attachment.refused(now)
        else:
            self.start_over(now, error_with(reply.error, f"setting a watch by {reply.request!r}"))

    def _on_unanswered(self, message: Unanswered, now: float) -> None:
        """Puts the request back, and pauses, or waits for the message that the connection is lost."""
        is_watch = self._dispatch.is_arming(message.request)
        if not is_watch and not self._dispatch.take_back(message.request):
            return
        if not message.connected:
            self._attachment.going()
        elif is_watch:
            self.start_over(now)
        elif not self._timers.is_holding:
            self._pauses.after("unanswered", now)

    # Freshness and audits

    def _on_barrier(self, barrier: Barrier, now: float) -> None:
        """A server whose zxid goes backwards was restored from a snapshot: it reports nothing and loses its watches.

        ZooKeeper 3.9 has such a command: https://zookeeper.apache.org/doc/r3.9.3/zookeeperSnapshotAndRestore.html
        """
        if 0 < barrier.zxid < self._barrier_zxid:
            self.start_over(now)
        self._barrier_zxid = barrier.zxid
        self.freshness.came(barrier, self.is_in_sync)

    def _check_freshness(self, now: float, is_complete: bool) -> None:
        self._outbox.verified.extend(self.freshness.settle(now))
        if is_complete and not self._attachment.read_only and self.freshness.asks(now):
            self._outbox.barriers.append(self.freshness.kind)

    def _run_audits(self, now: float) -> None:
        """Begins an audit if one is due, and reads everything again if one has found differences."""
        finding = self.audit.take_finding()
        if finding is not None:
            self._attachment.heal(finding, now)
        else:
            self.audit.begin_if_due(now)


def _prefix(root: str) -> str:
    return "" if root == "/" else root
