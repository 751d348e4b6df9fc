"""CacheStats: a snapshot of one tree cache, for metrics and pages."""

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
FAULT_KINDS = (
    "audit",
    "engine",
    "listener",
    "no_auth",
    "request",
    "root",
    "selector",
    "unsettled",
    "unsupported",
    "view",
)
#: The states of a cache; `exporter.treecache.lifecycle` defines each.
CACHE_STATES = ("loading", "in_sync", "catching_up", "disconnected", "failed", "closed")
#: The states of a tree's root; unknown before the session's first sync.
ROOT_STATES = ("unknown", "readable", "unreadable", "missing")
SYNC_REASONS = ("start", "reconnect", "session_lost", "audit")
VERIFICATION_FAILURES = ("timeout", "connection_loss", "throttled", "refused", "other")
MISMATCH_KINDS = ("missing", "extra", "stale")
#: Why an audit could not compare a znode; `exporter.treecache.audit` defines each.
SKIP_REASONS = ("changing", "failed", "unreadable", "untracked")


@dataclass(frozen=True)
class CacheStats:
    """A snapshot of one cache; taking it costs the same for ten znodes and for ten million.

    Every mapping holds each of its known keys, zero included: ``nodes`` by ``NODE_KINDS``, ``events`` by
    ``EVENT_NAMES`` (in the order of the event types' numbers), ``faults`` by ``FAULT_KINDS``, ``syncs`` by
    ``SYNC_REASONS``, ``verification_failures`` by ``VERIFICATION_FAILURES``, ``audit_mismatches`` by
    ``MISMATCH_KINDS`` and ``audit_skipped`` by ``SKIP_REASONS``. Sizes are bytes, ages are seconds.

    ``verified_at`` is in Unix seconds, 0 for never; ``verified_in`` is how many seconds that freshness check took.
    ``freshness_interval`` is the seconds from one freshness check to the next, 0 if freshness is checked on demand
    only; ``freshness_timeout`` is how long one may take; ``stale_after`` is the staleness above which the cache is
    stale, 0 without an interval.

    ``state`` is one of ``CACHE_STATES``; while it is failed, ``failure`` says why, and ``failed_at`` since when it has
    kept failing, in Unix seconds, 0 if unknown. ``engine_restarts`` counts restarts of the cache's threads. ``root``
    is one of ``ROOT_STATES``. ``undelivered_for`` is how many seconds ago listeners last took an event while others
    are undelivered, 0 if none is.
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
        """Whether the tree was ever complete, in any session."""
        return self.events["initialized"] > 0
