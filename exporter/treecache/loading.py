"""Loading: reads the whole tree, at the start and after each reconnect, and notices when it is complete.

A *sync* reads every known znode again and everything that this leads to; differences become events. It ends when all
its reads are done, or is interrupted with its connection.
"""

from __future__ import annotations

from exporter.treecache.agenda import Agenda
from exporter.treecache.events import TreeEvent
from exporter.treecache.outcome import Outbox, SyncBegun, SyncEnded
from exporter.treecache.reconciler import Reconciler
from exporter.treecache.stats import SYNC_REASONS


class Loading:
    """The syncs of one tree, and the events of its connection in between.

    Args:
        reconciler: applies results.
        agenda: takes the reads.
        outbox: takes events and syncs.
    """

    def __init__(self, reconciler: Reconciler, agenda: Agenda, outbox: Outbox) -> None:
        #: Whether the session's first sync is complete.
        self.initialized = False
        #: How many syncs began, by reason.
        self.syncs = dict.fromkeys(SYNC_REASONS, 0)
        #: Whether a barrier still has to precede the reads of this connection.
        self.resumes = False
        self._reconciler = reconciler
        self._agenda = agenda
        self._outbox = outbox
        #: How the last connection ended; None before the first.
        self._interrupted: str | None = None

    def connected(self, now: float, *, read_only: bool) -> None:
        """Begins the sync of a new connection."""
        reason, self._interrupted = self._interrupted, None
        if reason is not None:
            self._outbox.publish(TreeEvent.CONNECTION_RECONNECTED)
        self.begin(reason or "start", now)
        # A tree left by an engine that failed may be newer than this server's state.
        self.resumes = (reason is not None or len(self._reconciler.tree) > 0) and not read_only

    def disconnected(self, *, session_lost: bool) -> None:
        """The connection is lost, and perhaps the session."""
        if session_lost:
            self.initialized = False
            self._interrupted = "session_lost"
            self._outbox.publish(TreeEvent.CONNECTION_LOST)
        else:
            self._interrupted = self._interrupted or "reconnect"
            self._outbox.publish(TreeEvent.CONNECTION_SUSPENDED)

    def passed_barrier(self) -> None:
        """The server holds everything that was ever read here: reads may begin."""
        self.resumes = False

    def detach(self) -> None:
        """The tree no longer counts as complete; publishes no event."""
        self.initialized = False

    def begin(self, reason: str, now: float) -> None:
        """Begins a sync for one of `SYNC_REASONS`."""
        self.syncs[reason] += 1
        self._outbox.syncs.append(SyncBegun(reason, now))
        self.read_everything(lists_all=reason == "audit")

    def read_everything(self, *, lists_all: bool = False) -> None:
        """Requests a new read of every known znode; with `lists_all` also of every list, even if it seems current."""
        self._reconciler.begin_sync(lists_all=lists_all)
        self._agenda.want_reads(("",), True)
        self._agenda.survey(self._reconciler.tree.runs())

    def break_off(self, now: float) -> None:
        """Reports that the sync, if one is under way, will not be complete."""
        if self._reconciler.syncing:
            self._outbox.syncs.append(SyncEnded(now, False))

    def abandon(self) -> None:
        """Ends the load; waiting paths keep waiting."""
        self._reconciler.end_sync()
        self._agenda.break_off()

    def ends(self, now: float) -> bool:
        """Whether the sync under way is complete now; if so, reports it."""
        if not self._reconciler.syncing or not self._agenda.loaded:
            return False
        self._reconciler.end_sync()
        self._outbox.syncs.append(SyncEnded(now, True))
        if not self.initialized:
            self.initialized = True
            self._outbox.publish(TreeEvent.INITIALIZED)
        return True
