"""Attachment: how a replica comes to its server, and what it does when that server or its answers are in doubt.

Which phase follows which is in `exporter.treecache.phases`; here is what each step does on its way:

- *Watch first, read after.* A watch is set before, or with, the first read, so a later change is an event.
- *Never backwards.* After a reconnect a barrier precedes the reads, so that a server that lags cannot bring back what
  was already seen to go.
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

#: Seconds after which an inquiry counts as forgotten.
_ASK_AGAIN = 15.0
#: Seconds for each znode over which resyncs after a reconnect are spread, about what its reading takes.
_SPREAD = 1e-6


class Attachment:
    """The phase of a replica, and the way from one to the next. Times are monotonic seconds, given by the caller.

    Args:
        root: the server's path of the root.
        reconciler, strategies, loading, dispatch, answers, freshness, audit: what is broken off and begun again.
        pauses, timers: what is waited for in between.
        outbox: where events, faults and inquiries are left.
        jitter: gives a number from 0 to 1, see `Replica`.
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
        #: Whether the server is cut off from its quorum, so that it takes no barrier.
        self.read_only = False

    @property
    def phase(self) -> Phase:
        """How the replica stands to its server."""
        return self.phases.current

    # Connections

    def connected(self, message: Connected, now: float) -> None:
        """A connection stands: begins a sync there, once it is known how."""
        if self.phase is not Phase.DETACHED:
            # A subscriber that comes while a connection is made may hear of it twice.
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
        """The connection is gone, and perhaps the session; what waits to be read goes on waiting."""
        self._freshness.drop(disconnected=True)
        self._break_off(now)
        self.phases.take(Step.DISCONNECTED)
        self._pauses.clear()
        self._answers.begin_anew()
        self._timers.stop(Timer.INQUIRY)
        self._loading.disconnected(session_lost=isinstance(message, Lost))

    def going(self) -> None:
        """The connection is gone, and the news of it on the way; what is sent now would wait for the next one."""
        self.phases.take(Step.DISCONNECTED)
        self._timers.release()

    def detach(self, now: float) -> None:
        """Trusts nothing but the znodes."""
        self._break_off(now)
        self._outbox.requests.clear()
        self._outbox.barriers.clear()
        self._loading.detach()
        self.phases.take(Step.DISCONNECTED)

    def forget(self) -> None:
        """Lets go of everything without a word."""
        self._abandon()
        self._loading.detach()
        self.phases.take(Step.DISCONNECTED)

    # What the server can do

    def capable(self, message: Capable, now: float) -> None:
        """Without an answer the classic strategy is right at every server; who chose the recursive one is believed."""
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
        """Has the session ask the server, and again should no answer come."""
        self._outbox.inquiries.append(self._strategies.server)
        self._timers.set(Timer.INQUIRY, now + _ASK_AGAIN)

    def _choose(self, recursive: bool | None, ask_in: float | None, now: float) -> None:
        """Chooses how to keep up with a server, by what it can do: None where that could not be found out."""
        self._strategies.choose(recursive)
        if ask_in is None or not self._strategies.depends_on_server:
            self._timers.stop(Timer.INQUIRY)
        else:
            self._timers.set(Timer.INQUIRY, now + ask_in)

    def refused(self, now: float) -> None:
        """The server does not know a request, and may be about to close the connection for that."""
        if not self._strategies.fall_back():
            self._give_up()
            return
        # What was read in bulk has no one-shot watches.
        syncing = self._reconciler.syncing
        self._abandon()
        if syncing:
            self._loading.read_everything()
        else:
            self._loading.begin("reconnect", now)
        self._arm(now)

    def _give_up(self) -> None:
        """Does nothing more at this server, and says so once."""
        self.phases.take(Step.REFUSED)
        error = self._strategies.give_up()
        if error is not None:
            self._outbox.fault("unsupported", error)

    def mistrust(self, now: float) -> None:
        """The server's recursive watches may not say what changed: a resync does, and in the end one-shot watches."""
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
        """Begins to read, now that it is known how."""
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
        """The barrier that goes before the reads was answered; a server that cannot sync holds what truth there is."""
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
        """Does what timers were set for."""
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

    # Over again

    def start_over(self, now: float, error: BaseException | None = None) -> None:
        """Reads everything again as after a reconnect, later each time; of the `error` that it is for, if any, once."""
        is_about_to = self.phase in (Phase.BARRIER, Phase.ARMING) and self._timers.is_holding
        if self.phase in (Phase.DETACHED, Phase.ASKING, Phase.REFUSED) or is_about_to:
            return
        self._break_off(now)
        self._loading.begin("reconnect", now)
        self.phases.take(Step.DOUBTED)
        self._pauses.before_resync(now, error)

    def heal(self, finding: BaseException, now: float) -> None:
        """Reads everything again because of what an audit found."""
        self._outbox.fault("audit", finding)
        self._break_off(now)
        self._loading.begin("audit", now)
        self._arm(now)

    def _break_off(self, now: float) -> None:
        """Abandons what is under way, the sync included."""
        self._strategies.forget_doubts()
        self._loading.break_off(now)
        self._abandon()

    def _abandon(self) -> None:
        """Ends what is under way; the paths that it was about wait for the next sync."""
        self._freshness.drop(disconnected=False)
        self._audit.break_off()
        self._dispatch.abandon()
        self._loading.abandon()
        self._timers.release()
