"""Attachment: takes a replica from a new connection to its first reads, and decides what to do about a bad server.

`exporter.treecache.phases` has the table of phases; this file has what each step does:

- *Watch first, read after.* A watch is set before, or with, the first read, so every later change causes an event.
- *Never backwards.* After a reconnect a barrier precedes the reads, so that a lagging server cannot bring back znodes
  whose deletion was already seen.
"""

from __future__ import annotations

from collections.abc import Callable

from exporter.treecache.answers import Answers, error_with
from exporter.treecache.audit import Audit
from exporter.treecache.dispatch import Dispatch
from exporter.treecache.freshness import Freshness
from exporter.treecache.loading import Loading
from exporter.treecache.outcome import Outbox
from exporter.treecache.pauses import Pauses
from exporter.treecache.phases import Phase, Phases, Step
from exporter.treecache.reconciler import Reconciler
from exporter.treecache.strategies import Strategies
from exporter.treecache.timers import Timer, Timers
from exporter.zookeeper.messages import Capable, Connected, Lost, Suspended
from exporter.zookeeper.wire import OK, THROTTLED, Sync

#: Seconds after which an unanswered inquiry is made again.
_ASK_AGAIN = 15.0
#: Seconds per znode over which resyncs after a reconnect are spread: about the time that reading it takes.
_SPREAD = 1e-6


class Attachment:
    """The phase of a replica, and its changes. Callers pass monotonic seconds.

    Args:
        root: the server's path of the root.
        reconciler, strategies, loading, dispatch, answers, freshness, audit: the parts that it stops and starts.
        pauses, timers: delay the next attempt.
        outbox: takes events, faults and inquiries.
        jitter: returns a number from 0 to 1, see `Replica`.
    """

    def __init__(
        self,
        root: str,
        reconciler: Reconciler,
        strategies: Strategies,
        loading: Loading,
        dispatch: Dispatch,
        answers: Answers,
        freshness: Freshness,
        audit: Audit,
        pauses: Pauses,
        timers: Timers,
        outbox: Outbox,
        jitter: Callable[[], float],
    ) -> None:
        self._root = root
        self._reconciler = reconciler
        self._strategies = strategies
        self._loading = loading
        self._dispatch = dispatch
        self._answers = answers
        self._freshness = freshness
        self._audit = audit
        self._pauses = pauses
        self._timers = timers
        self._outbox = outbox
        self._jitter = jitter
        self.phases = Phases()
        #: Whether the server is read-only, so that it takes no barrier.
        self.read_only = False

    @property
    def phase(self) -> Phase:
        """The current phase."""
        return self.phases.current

    # Connections

    def connected(self, message: Connected, now: float) -> None:
        """A connection is established: begins a sync as soon as the strategy is known."""
        if self.phase is not Phase.DETACHED:
            # A subscriber that comes while a connection is made may get this message twice.
            self._break_off(now)
        self.phases.take(Step.CONNECTED)
        self.read_only = message.read_only
        self._strategies.connected(message)
        self._loading.connected(now, read_only=message.read_only)
        if message.recursive is None and self._strategies.depends_on_server:
            self._ask(now)
        else:
            self._choose(message.recursive, message.ask_in, now)
            self._go_on(now)

    def disconnected(self, message: Suspended | Lost, now: float) -> None:
        """The connection is lost, and perhaps the session; waiting paths keep waiting."""
        self._freshness.drop(disconnected=True)
        self._break_off(now)
        self.phases.take(Step.DISCONNECTED)
        self._pauses.clear()
        self._answers.begin_anew()
        self._timers.stop(Timer.INQUIRY)
        self._loading.disconnected(session_lost=isinstance(message, Lost))

    def going(self) -> None:
        """The connection is lost, but not reported yet: sends nothing, as requests would wait for a new connection."""
        self.phases.take(Step.DISCONNECTED)
        self._timers.release()

    def detach(self, now: float) -> None:
        """Keeps the znodes and resets everything else."""
        self._break_off(now)
        self._outbox.requests.clear()
        self._outbox.barriers.clear()
        self._loading.detach()
        self.phases.take(Step.DISCONNECTED)

    def forget(self) -> None:
        """Drops everything, without events."""
        self._abandon()
        self._loading.detach()
        self.phases.take(Step.DISCONNECTED)

    # What the server supports

    def capable(self, message: Capable, now: float) -> None:
        """The session reports what the server supports. Without an answer, `auto` means classic, which always works."""
        if self.phase is Phase.DETACHED or not self._strategies.depends_on_server:
            return
        before = self._strategies.current
        self._choose(message.recursive, message.ask_in, now)
        if self.phase is Phase.ASKING:
            self._go_on(now)
        elif self._strategies.current is not before or (
            self.phase is Phase.REFUSED and not self._strategies.is_refused
        ):
            self._break_off(now)
            self.phases.take(Step.RECONSIDERED)
            self._loading.begin("reconnect", now)
            self._go_on(now)

    def _ask(self, now: float) -> None:
        """Makes the session ask the server, and repeats that if no answer arrives."""
        self._outbox.inquiries.append(self._strategies.server)
        self._timers.set(Timer.INQUIRY, now + _ASK_AGAIN)

    def _choose(self, recursive: bool | None, ask_in: float | None, now: float) -> None:
        """Chooses the strategy by what the server supports; `recursive` is None if that is unknown."""
        self._strategies.choose(recursive)
        if ask_in is None or not self._strategies.depends_on_server:
            self._timers.stop(Timer.INQUIRY)
        else:
            self._timers.set(Timer.INQUIRY, now + ask_in)

    def refused(self, now: float) -> None:
        """The server does not support a request, and may close the connection because of it."""
        if not self._strategies.fall_back():
            self._give_up()
            return
        # Znodes read in bulk have no one-shot watches.
        syncing = self._reconciler.syncing
        self._abandon()
        if syncing:
            self._loading.read_everything()
        else:
            self._loading.begin("reconnect", now)
        self._arm(now)

    def _give_up(self) -> None:
        """Stops, because the server does not support the mode, and reports that once."""
        self.phases.take(Step.REFUSED)
        error = self._strategies.give_up()
        if error is not None:
            self._outbox.fault("unsupported", error)

    def mistrust(self, now: float) -> None:
        """The server's watch events may not say what changed: resyncs, and eventually uses one-shot watches."""
        if self._strategies.current.mode != "recursive":
            return
        error = self._strategies.mistrust()
        if error is not None:
            self._outbox.fault("unsupported", error)
        if self._strategies.is_in_doubt:
            self.refused(now)
        else:
            self.start_over(now)

    # From a connection to the first read

    def _go_on(self, now: float) -> None:
        """Continues towards the first read, now that the strategy is known."""
        if self._strategies.is_refused:
            self._give_up()
        elif self._loading.resumes:
            self.phases.take(Step.RESUMED)
            self._timers.set(Timer.SPREAD, now + self._jitter() * _SPREAD * len(self._reconciler.tree))
        else:
            self._arm(now)

    def _arm(self, now: float) -> None:
        self.phases.take(Step.READY)
        strategy = self._strategies.current
        self._reconciler.follow(strategy.lists_leaf)
        watch = strategy.arm()
        if watch is None:
            self.phases.take(Step.ARMED)
        else:
            self._dispatch.send(watch, now)

    def synced(self, error: int, now: float) -> None:
        """The barrier before the reads was answered; a server that cannot sync is read without one."""
        if error == THROTTLED:
            self._pauses.after("sync", now)
        else:
            self._loading.passed_barrier()
            self._arm(now)

    def watch_set(self, error: int, now: float) -> None:
        """The request for the watch was answered."""
        if error == OK:
            self.phases.take(Step.ARMED)
        else:
            self._pauses.after("watch", now, error_with(error, f"setting the watch on {self._root}"))

    def go_off(self, now: float) -> None:
        """Acts on the timers that are due."""
        due = self._timers.go_off(now)
        if not due:
            return
        if due != (Timer.INQUIRY,):
            if self.phase is Phase.ARMING:
                self._arm(now)
            elif self.phase is Phase.BARRIER:
                self._dispatch.send(Sync(self._root), now)
        if Timer.INQUIRY in due:
            self._ask(now)

    # Starting over

    def start_over(self, now: float, error: BaseException | None = None) -> None:
        """Reads everything again as after a reconnect, with growing delays; reports `error`, if any, once."""
        is_about_to = self.phase in (Phase.BARRIER, Phase.ARMING) and self._timers.is_holding
        if self.phase in (Phase.DETACHED, Phase.ASKING, Phase.REFUSED) or is_about_to:
            return
        self._break_off(now)
        self._loading.begin("reconnect", now)
        self.phases.take(Step.DOUBTED)
        self._pauses.before_resync(now, error)

    def heal(self, finding: BaseException, now: float) -> None:
        """Reads everything again because an audit found differences."""
        self._outbox.fault("audit", finding)
        self._break_off(now)
        self._loading.begin("audit", now)
        self._arm(now)

    def _break_off(self, now: float) -> None:
        """Abandons requests under way and the sync."""
        self._strategies.forget_doubts()
        self._loading.break_off(now)
        self._abandon()

    def _abandon(self) -> None:
        """Abandons requests under way; their paths wait for the next sync."""
        self._freshness.drop(disconnected=False)
        self._audit.break_off()
        self._dispatch.abandon()
        self._loading.abandon()
        self._timers.release()
