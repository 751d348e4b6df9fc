"""Loading: reads the whole tree, at the start and after each reconnect, and says when it is complete.

A *sync* reads every known znode again and all that this leads to; what differs becomes an event. It ends when nothing
is left that it waits for, or is broken off with its connection.
"""

from __future__ import annotations

from exporter.treecache.agenda import Agenda
from exporter.treecache.events import TreeEvent
from exporter.treecache.outcome import Outbox, SyncBegun, SyncEnded
from exporter.treecache.reconciler import Reconciler
from exporter.treecache.stats import SYNC_REASONS


class Loading:
    """The syncs of one tree, and the events of its connection, which stand between theirs.

    Args:
        reconciler: applies what is read.
        agenda: where reads are wanted.
        outbox: where events and syncs are left.
    """

    def __init__(self, reconciler: Reconciler, agenda: Agenda, outbox: Outbox) -> None:
        #: Whether the session's first sync is complete.
        self.initialized = False
        #: How many syncs began, by their reason.
        self.syncs = dict.fromkeys(SYNC_REASONS, 0)
        #: Whether a barrier has yet to precede the reads of this connection.
        self.resumes = False
        self._reconciler = reconciler
        self._agenda = agenda
        self._outbox = outbox
        #: Why the next connection is none but the first, if it is not.
        self._interrupted: str | None = None

    def connected(self, now: float, *, read_only: bool) -> None:
        """Begins the sync of a new connection."""
        reason, self._interrupted = self._interrupted, None
        if reason is not None:
            self._outbox.publish(TreeEvent.CONNECTION_RECONNECTED)
        self.begin(reason or "start", now)
        # A tree that an engine before this one has left may be newer than what the server knows.
        self.resumes = (reason is not None or len(self._reconciler.tree) > 0) and not read_only

    def disconnected(self, *, session_lost: bool) -> None:
        """The connection is gone, and perhaps the session."""
        if session_lost:
            self.initialized = False
            self._interrupted = "session_lost"
            self._outbox.publish(TreeEvent.CONNECTION_LOST)
        else:
            self._interrupted = self._interrupted or "reconnect"
            self._outbox.publish(TreeEvent.CONNECTION_SUSPENDED)

    def passed_barrier(self) -> None:
        """The server holds everything that was ever read here: nothing has to precede the reads any more."""
        self.resumes = False

    def detach(self) -> None:
        """What was loaded does not count as complete any more, without a word to anyone."""
        self.initialized = False

    def begin(self, reason: str, now: float) -> None:
        """Begins a sync, for one of `SYNC_REASONS`."""
        self.syncs[reason] += 1
        self._outbox.syncs.append(SyncBegun(reason, now))
        self.read_everything(lists_all=reason == "audit")

    def read_everything(self, *, lists_all: bool = False) -> None:
        """Has every known znode read again; with `lists_all` no list is taken for good because its parent says so."""
        self._reconciler.begin_sync(lists_all=lists_all)
        self._agenda.want_reads(("",), True)
        tree = self._reconciler.tree
        self._agenda.survey(path for path, _ in tree.walk())

    def break_off(self, now: float) -> None:
        """Says that the sync, if one is under way, does not come to its end."""
        if self._reconciler.syncing:
            self._outbox.syncs.append(SyncEnded(now, False))

    def abandon(self) -> None:
        """Waits for nothing any more; what is wanted goes on waiting to be read."""
        self._reconciler.end_sync()
        self._agenda.break_off()

    def ends(self, now: float) -> bool:
        """Whether the sync under way is complete now, which this says to all who care."""
        if not self._reconciler.syncing or not self._agenda.loaded:
            return False
        self._reconciler.end_sync()
        self._outbox.syncs.append(SyncEnded(now, True))
        if not self.initialized:
            self.initialized = True
            self._outbox.publish(TreeEvent.INITIALIZED)
        return True
