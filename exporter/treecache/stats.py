"""CacheStats: everything one tree cache can say about itself at a moment, for those who measure it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NODE_KINDS = ("persistent", "ephemeral")
EVENT_NAMES = (
    "node_added",
    "node_updated",
    "node_removed",
    "connection_suspended",
    "connection_reconnected",
    "connection_lost",
    "initialized",
)
FAULT_KINDS = ("audit", "engine", "listener", "no_auth", "request", "root", "selector", "unsettled", "unsupported")
#: What a cache can be; `exporter.treecache.lifecycle` says when it is which.
CACHE_STATES = ("loading", "in_sync", "catching_up", "disconnected", "failed", "closed")
#: What is known of a tree's root; unknown before the first load of a session.
ROOT_STATES = ("unknown", "readable", "unreadable", "missing")
SYNC_REASONS = ("start", "reconnect", "session_lost", "audit")
VERIFICATION_FAILURES = ("timeout", "connection_loss", "throttled", "refused", "other")
MISMATCH_KINDS = ("missing", "extra", "stale")
#: Why an audit could not compare a znode; `exporter.treecache.audit` says what they are.
SKIP_REASONS = ("changing", "failed", "unreadable", "untracked")


@dataclass(frozen=True)
class CacheStats:
    """A snapshot of one cache; taking it costs the same for ten znodes and for ten million.

    Every mapping holds each of its known keys, zero included: ``nodes`` by ``NODE_KINDS``, ``events`` by
    ``EVENT_NAMES`` (in the order of the event types' numbers), ``faults`` by ``FAULT_KINDS``, ``syncs`` by
    ``SYNC_REASONS``, ``verification_failures`` by ``VERIFICATION_FAILURES``, ``audit_mismatches`` by
    ``MISMATCH_KINDS`` and ``audit_skipped`` by ``SKIP_REASONS``. Sizes are bytes, ages are seconds, ``verified_at`` is
    in Unix seconds and 0 for never, ``verified_in`` the seconds that this check of freshness took;
    ``freshness_interval`` are the seconds between two checks of freshness, 0 if there are none but on demand,
    ``freshness_timeout`` those that one may take, and ``stale_after`` the seconds without one above which the cache is
    stale, 0 without an interval.
    ``state`` is one of ``CACHE_STATES``; while it is failed, ``failure`` says why and ``failed_at`` since when it has
    been failing again and again, in Unix seconds, 0 where that is not known. ``engine_restarts`` counts how often the
    cache's threads were started again. ``root`` is one of ``ROOT_STATES``. ``undelivered_for`` are the seconds since
    listeners last took one of the undelivered events, 0 where none waits.
    """

    path: str
    mode: str
    initialized: bool
    nodes: Mapping[str, int]
    data_bytes: int
    unreadable_nodes: int
    outstanding_operations: int
    pending_paths: int
    undelivered_events: int
    oldest_operation_age: float
    events: Mapping[str, int]
    faults: Mapping[str, int]
    syncs: Mapping[str, int]
    verified_at: float = 0.0
    verified_in: float = 0.0
    freshness_interval: float = 0.0
    freshness_timeout: float = 0.0
    stale_after: float = 0.0
    verification_failures: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(VERIFICATION_FAILURES, 0))
    audits: int = 0
    audited_nodes: int = 0
    audit_mismatches: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(MISMATCH_KINDS, 0))
    audit_skipped: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(SKIP_REASONS, 0))
    state: str = "disconnected"
    failure: str | None = None
    failed_at: float = 0.0
    engine_restarts: int = 0
    unsettled_nodes: int = 0
    root: str = "unknown"
    undelivered_for: float = 0.0

    @property
    def was_complete(self) -> bool:
        """Whether the tree was ever loaded, in any session."""
        return self.events["initialized"] > 0
