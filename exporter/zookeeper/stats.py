"""ClientStats: a snapshot of one ZooKeeper client's session and connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.zookeeper.protocol import PROTOCOL_ERRORS

CLIENT_STATES = ("connecting", "connected", "connected_ro", "suspended", "lost")
#: The states that a client can enter: all but the first, in which it begins.
ENTERED_STATES = CLIENT_STATES[1:]
LOST_REASONS = ("expired", "auth_failed", "given_up", "replaced")
FAILURE_REASONS = ("dns", "refused", "timeout", "tls", "auth", "hung_up", "other")
#: The results of asking a server for its capabilities, on a separate connection.
INQUIRY_RESULTS = ("recursive", "classic", "undecided")
WATCH_EVENTS = ("created", "deleted", "changed", "child")
WATCH_KINDS = ("data", "child", "recursive")


@dataclass(frozen=True)
class ClientStats:
    """A snapshot of one client, which any thread may take at any time.

    Every mapping holds each of its known keys, zero included: ``transitions`` by ``ENTERED_STATES`` (how often each
    was entered), ``sessions_lost`` by ``LOST_REASONS``, ``connection_failures`` by ``FAILURE_REASONS``,
    ``watch_events`` by ``WATCH_EVENTS``, ``watches`` by ``WATCH_KINDS``, ``protocol_errors`` by ``PROTOCOL_ERRORS``
    and ``inquiries`` by ``INQUIRY_RESULTS``. Points in time are Unix seconds, 0 for never; ages and timeouts are
    seconds.

    ``server`` is ``host:port`` of the connection, None without one. ``session_id`` is the session's id as ZooKeeper
    logs it, also while it has no connection, and empty without a session; it is never a label of a metric.
    ``session_timeout`` is the timeout that the server granted. ``session_deadline_at`` is when the server may expire
    the session unless it hears from the client. For a session that began before anyone attached, these two and
    ``session_started_at`` are unknown, and 0. ``last_zxid`` is the newest zxid in a reply of the session, replies to
    pings included. ``failed_attempts`` has the failures to connect since the last connection, without zeros.
    """

    state: str
    server: str | None
    session_id: str
    transitions: Mapping[str, int]
    sessions_lost: Mapping[str, int]
    session_started_at: float
    session_timeout: float
    session_deadline_at: float
    last_heard_at: float
    last_zxid: int
    connection_attempts: int
    connection_failures: Mapping[str, int]
    requests_outstanding: int
    oldest_request_age: float
    sent_bytes: int
    received_bytes: int
    watch_events: Mapping[str, int]
    watches: Mapping[str, int]
    protocol_errors: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(PROTOCOL_ERRORS, 0))
    failed_attempts: Mapping[str, int] = field(default_factory=dict)
    inquiries: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(INQUIRY_RESULTS, 0))
