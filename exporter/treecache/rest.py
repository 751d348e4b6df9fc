"""Rest: whether a replica does nothing but wait for watch events and for the answers under way."""

from __future__ import annotations

from exporter.treecache.agenda import Agenda
from exporter.treecache.audit import Audit
from exporter.treecache.credibility import Credibility
from exporter.treecache.freshness import Freshness
from exporter.treecache.phases import Phase, Phases
from exporter.treecache.reconciler import Reconciler
from exporter.treecache.timers import Timers


class Rest:
    """Asks the parts of a replica that may have something to do, now or later."""

    def __init__(
        self,
        phases: Phases,
        timers: Timers,
        agenda: Agenda,
        reconciler: Reconciler,
        freshness: Freshness,
        audit: Audit,
        credibility: Credibility,
    ) -> None:
        self._phases = phases
        self._timers = timers
        self._agenda = agenda
        self._reconciler = reconciler
        self._freshness = freshness
        self._audit = audit
        self._credibility = credibility

    def __bool__(self) -> bool:
        """Whether nothing goes on, apart from requests under way and from what the replica's `wake_at` announces."""
        return not (
            self._phases.current is not Phase.LIVE
            or self._reconciler.syncing
            or self._timers.pending
            or self._audit.is_running
            or self._freshness.check is not None
            or self._credibility.doubted
            or self._reconciler.suspects
            or self._reconciler.recheck_at is not None
            or not self._agenda.is_empty
        )
