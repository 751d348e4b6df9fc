"""Catalogue: every metric of the exporter, once. Collectors, documentation and dashboards are checked against it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client import Metric as Family

from exporter.treecache.stats import (
    CACHE_STATES,
    EVENT_NAMES,
    FAULT_KINDS,
    MISMATCH_KINDS,
    NODE_KINDS,
    ROOT_STATES,
    SKIP_REASONS,
    SYNC_REASONS,
    VERIFICATION_FAILURES,
)
from exporter.zookeeper.calls import ERRORS, OPERATIONS
from exporter.zookeeper.protocol import PROTOCOL_ERRORS
from exporter.zookeeper.stats import (
    CLIENT_STATES,
    ENTERED_STATES,
    FAILURE_REASONS,
    INQUIRY_RESULTS,
    LOST_REASONS,
    WATCH_EVENTS,
    WATCH_KINDS,
)

Kind = Literal["gauge", "counter", "info", "histogram"]
#: Label names with the values they can take; an empty tuple for values that are not known beforehand.
Labels = Mapping[str, tuple[str, ...]]

_SUFFIXES = {"gauge": "", "counter": "_total", "info": "_info", "histogram": ""}


@dataclass(frozen=True)
class Buckets:
    """The upper bounds of a histogram's buckets, without infinity, and what they were chosen for."""

    bounds: tuple[float, ...]
    chosen_for: str


@dataclass(frozen=True)
class Metric:
    """One metric as a query names it, with the labels it has beyond those of its group."""

    name: str
    kind: Kind
    help: str
    labels: Labels = field(default_factory=dict)
    unit: str = ""
    buckets: Buckets | None = None

    @property
    def is_complete_from_the_start(self) -> bool:
        """Whether the first scrape has every known label value; combinations of several come as they occur."""
        return len(self.labels) < 2 or self.kind == "info"

    @property
    def most_series(self) -> int:
        """How many series it can have for one thing that it describes; a value not known beforehand counts as one."""
        per_combination = len(self.buckets.bounds) + len(("+Inf", "sum", "count")) if self.buckets else 1
        return per_combination * math.prod(len(values) or 1 for values in self.labels.values())

    def family(self) -> Family:
        """An empty family of this metric, for prometheus_client to write out."""
        return Family(self.name.removesuffix(_SUFFIXES[self.kind]), self.help, self.kind, self.unit)


@dataclass(frozen=True)
class Group:
    """Metrics that describe the same kind of thing and share the labels that distinguish one from another."""

    title: str
    labels: tuple[str, ...]
    metrics: tuple[Metric, ...]

    @property
    def series(self) -> int:
        """How many series one thing of this kind has, those left out that come as they occur."""
        return sum(metric.most_series for metric in self.metrics if metric.is_complete_from_the_start)


def _gauge(name: str, help: str, labels: Labels | None = None, unit: str = "") -> Metric:
    return Metric(name, "gauge", help, labels or {}, unit)


def _counter(name: str, help: str, labels: Labels | None = None, unit: str = "") -> Metric:
    return Metric(name, "counter", help, labels or {}, unit)


def _durations(name: str, help: str, buckets: Buckets, labels: Labels | None = None) -> Metric:
    return Metric(name, "histogram", help, labels or {}, "seconds", buckets)


def _info(name: str, help: str, labels: Labels) -> Metric:
    return Metric(name, "info", help, labels)


CLIENT_UP = _gauge(
    "zookeeper_client_up",
    "Whether the client is connected to a server of the ensemble, read-only connections included.",
)
CLIENT_STATE = _gauge(
    "zookeeper_client_state",
    "1 for the state that the client is in, 0 for the others.",
    {"state": CLIENT_STATES},
)
CLIENT_STATE_TRANSITIONS = _counter(
    "zookeeper_client_state_transitions_total",
    "How often the client entered a state.",
    {"state": ENTERED_STATES},
)
CLIENT_SESSIONS_LOST = _counter(
    "zookeeper_client_sessions_lost_total",
    "Sessions that ended against the client's will: expired by the ensemble, refused for their credentials, given up "
    "by the exporter where the ensemble lost its history, or replaced by a server that opened another one unasked.",
    {"reason": LOST_REASONS},
)
CLIENT_SESSION_INFO = _info(
    "zookeeper_client_session_info",
    "The server that the client is connected to; absent while there is no connection.",
    {"server": ()},
)
CLIENT_SESSION_START = _gauge(
    "zookeeper_client_session_start_timestamp_seconds",
    "When the current session began, in Unix time; 0 before the first one, and for one that is older than its "
    "instruments.",
    unit="seconds",
)
CLIENT_SESSION_TIMEOUT = _gauge(
    "zookeeper_client_session_timeout_seconds",
    "The session timeout that the server granted; 0 before the first session, and until the next connection where the "
    "instruments came after the first one.",
    unit="seconds",
)
CLIENT_SESSION_DEADLINE = _gauge(
    "zookeeper_client_session_deadline_timestamp_seconds",
    "When the ensemble may expire the session unless it hears from the client, in Unix time: last heard plus timeout; "
    "0 where one of them is not known.",
    unit="seconds",
)
CLIENT_LAST_HEARD = _gauge(
    "zookeeper_client_last_heard_timestamp_seconds",
    "When the client last received anything from a server, in Unix time; 0 for never.",
    unit="seconds",
)
CLIENT_CONNECTION_ATTEMPTS = _counter(
    "zookeeper_client_connection_attempts_total",
    "Connections that the client tried to make, the successful ones included.",
)
CLIENT_CONNECTION_FAILURES = _counter(
    "zookeeper_client_connection_failures_total",
    "Connections that could not be made; hung_up is how a server without a quorum refuses one.",
    {"reason": FAILURE_REASONS},
)
CLIENT_CONNECT_DURATION = _durations(
    "zookeeper_client_connect_duration_seconds",
    "How long it took to connect to a server, from opening the socket, with TLS, until the server granted or resumed "
    "the session; attempts that failed before it do not count, nor does the pause between attempts.",
    Buckets(
        (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        "a session is resumed in some round trips and begun with a commit, and kazoo waits for a server's answer for "
        "the session timeout divided by the number of servers, often 3.3 s",
    ),
)
CLIENT_REQUESTS_OUTSTANDING = _gauge(
    "zookeeper_client_requests_outstanding",
    "Requests of the client that are queued or not yet answered.",
)
CLIENT_OLDEST_REQUEST_AGE = _gauge(
    "zookeeper_client_oldest_request_age_seconds",
    "How long the oldest outstanding request has been waiting; 0 when there is none.",
    unit="seconds",
)
CLIENT_REQUEST_DURATION = _durations(
    "zookeeper_client_request_duration_seconds",
    "From a request to its reply, its error or the loss of its connection, by ZooKeeper's name of the operation; the "
    "wait for its turn to be sent is part of it.",
    Buckets(
        (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
        "reads from a server's memory take about a millisecond, writes wait for a quorum's disks, and no answer within "
        "a session timeout, often 10 s, is none",
    ),
    {"operation": OPERATIONS},
)
CLIENT_REQUEST_ERRORS = _counter(
    "zookeeper_client_request_errors_total",
    "Requests that ended with an error, by ZooKeeper's names. NONODE, NODEEXISTS and BADVERSION are answers rather "
    "than failures; that `exists` finds no znode is no error at all.",
    {"operation": OPERATIONS, "error": ERRORS},
)
CLIENT_SENT_BYTES = _counter(
    "zookeeper_client_sent_bytes_total",
    "Bytes that the client sent to servers, before TLS.",
    unit="bytes",
)
CLIENT_RECEIVED_BYTES = _counter(
    "zookeeper_client_received_bytes_total",
    "Bytes that the client received from servers, after TLS.",
    unit="bytes",
)
CLIENT_WATCH_EVENTS = _counter(
    "zookeeper_client_watch_events_total",
    "Watch events that the client received.",
    {"event": WATCH_EVENTS},
)
CLIENT_PROTOCOL_ERRORS = _counter(
    "zookeeper_client_protocol_errors_total",
    "Messages from a server that are not ZooKeeper's protocol; each ends the connection, not the session.",
    {"reason": PROTOCOL_ERRORS},
)
CLIENT_INQUIRIES = _counter(
    "zookeeper_client_inquiries_total",
    "Times that a server was asked, on a connection of its own, whether it knows recursive watches and bulk reads: "
    "recursive for yes, classic for no, undecided where no answer came; it is then asked again.",
    {"result": INQUIRY_RESULTS},
)
CLIENT_WATCHES = _gauge(
    "zookeeper_client_watches",
    "Watches that the client holds, those of its tree caches included, by what they are set on.",
    {"kind": WATCH_KINDS},
)
CLIENT_LAST_ZXID = _gauge(
    "zookeeper_client_last_zxid",
    "The newest transaction id that a reply to the client carried, those to pings included; 0 before the first reply "
    "of a session.",
)

CACHE_INFO = _info(
    "zookeeper_cache_info",
    "The root of the tree, and how the cache keeps up with it.",
    {"path": (), "mode": ()},
)
CACHE_STATE = _gauge(
    "zookeeper_cache_state",
    "1 for the state that the cache is in, 0 for the others. failed: the cache cannot go on, and tries again; "
    "catching_up: complete before, and everything is being read again.",
    {"state": CACHE_STATES},
)
CACHE_ENGINE_RESTARTS = _counter(
    "zookeeper_cache_engine_restarts_total",
    "How often a thread of the cache was started again after it had failed.",
)
CACHE_INITIALIZED = _gauge(
    "zookeeper_cache_initialized",
    "Whether the session's first load of the tree is complete; 0 while the cache is failed.",
)
CACHE_NODES = _gauge(
    "zookeeper_cache_nodes",
    "Znodes in the cache, the tree's root included. ZooKeeper does not show clients which znodes are containers or "
    "have a time to live: those count as persistent.",
    {"kind": NODE_KINDS},
)
CACHE_DATA_BYTES = _gauge(
    "zookeeper_cache_data_bytes",
    "Size of the data of all znodes in the cache.",
    unit="bytes",
)
CACHE_UNREADABLE_NODES = _gauge(
    "zookeeper_cache_unreadable_nodes",
    "Znodes of the tree that are known by name but may not be read.",
)
CACHE_ROOT_STATE = _gauge(
    "zookeeper_cache_root_state",
    "1 for the state of the tree's root, 0 for the others. unknown: not loaded in this session; unreadable: it exists, "
    "and its ACL does not let the client read it.",
    {"state": ROOT_STATES},
)
CACHE_UNSETTLED_NODES = _gauge(
    "zookeeper_cache_unsettled_nodes",
    "Znodes about which ZooKeeper's answers settle nothing, however often they are asked for: their reads fail, or "
    "they are listed and not there. They are read again ever less often.",
)
CACHE_OUTSTANDING_OPERATIONS = _gauge(
    "zookeeper_cache_outstanding_operations",
    "Reads sent and not yet answered.",
)
CACHE_PENDING_PATHS = _gauge(
    "zookeeper_cache_pending_paths",
    "Znodes that changed or may have changed and wait to be read.",
)
CACHE_UNDELIVERED_EVENTS = _gauge(
    "zookeeper_cache_undelivered_events",
    "Tree events not yet delivered to the listeners.",
)
CACHE_OLDEST_OPERATION_AGE = _gauge(
    "zookeeper_cache_oldest_operation_age_seconds",
    "How long the oldest outstanding read has been waiting; 0 when there is none.",
    unit="seconds",
)
CACHE_EVENTS = _counter(
    "zookeeper_cache_events_total",
    "Tree events that the cache published.",
    {"event": EVENT_NAMES},
)
CACHE_FAULTS = _counter(
    "zookeeper_cache_faults_total",
    "Faults that the cache met: an audit that found differences, an error that its engine was started again for, a "
    "listener that raised, a znode that may not be read, a request that failed, a root that could not be created, a "
    "selector that raised, what is asked for again and again to no effect (unsettled), a server that cannot serve the "
    "cache.",
    {"kind": FAULT_KINDS},
)
CACHE_SYNCS = _counter(
    "zookeeper_cache_syncs_total",
    "Times that the cache began to read the whole tree.",
    {"reason": SYNC_REASONS},
)
CACHE_SYNC_DURATION = _durations(
    "zookeeper_cache_sync_duration_seconds",
    "How long it took to read the whole tree; a sync that its connection did not outlast is not counted.",
    Buckets(
        (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
        "a small tree takes one round trip, a hundred thousand znodes part of a second, and a rate limit or one-shot "
        "watches minutes",
    ),
    {"reason": SYNC_REASONS},
)
CACHE_REFRESH_DURATION = _durations(
    "zookeeper_cache_refresh_duration_seconds",
    "Time from receiving a watch event until the change is in the cache; of several events for a znode the first one "
    "before the read counts.",
    Buckets(
        (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        "a refresh is one round trip while it is quiet, and waits for others under load",
    ),
)
CACHE_PROPAGATION_DELAY = _durations(
    "zookeeper_cache_propagation_delay_seconds",
    "Time from a change by ZooKeeper's clock (mtime, in milliseconds) until it is in the cache by this machine's, so "
    "the difference of the clocks is part of it; below 0 counts as 0. Whole loads of the tree are left out.",
    Buckets(
        (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
        "a commit and a refresh take some milliseconds, which ZooKeeper gives in whole numbers, and followers may lag "
        "by seconds",
    ),
)
CACHE_LISTENER_DURATION = _durations(
    "zookeeper_cache_listener_duration_seconds",
    "How long a listener took for an event; the next event waits for it.",
    Buckets(
        (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10),
        "a listener that only notes an event takes microseconds; one that calls other services takes longer",
    ),
)
CACHE_VERIFIED = _gauge(
    "zookeeper_cache_verified_timestamp_seconds",
    "Up to when the cache is verified to hold every change that ZooKeeper reports, in Unix time; 0 before the first "
    "freshness check. Now minus this is the cache's staleness: the most that it can be behind.",
    unit="seconds",
)
CACHE_FRESHNESS_INTERVAL = _gauge(
    "zookeeper_cache_freshness_interval_seconds",
    "The time from one freshness check to the next; 0 if there are none but on demand.",
    unit="seconds",
)
CACHE_FRESHNESS_TIMEOUT = _gauge(
    "zookeeper_cache_freshness_timeout_seconds",
    "How long a freshness check may take before it counts as failed.",
    unit="seconds",
)
CACHE_STALE_AFTER = _gauge(
    "zookeeper_cache_stale_after_seconds",
    "The staleness above which the cache counts as stale, on the pages, in the rules and on the dashboards; 0 if its "
    "freshness is checked on demand only.",
    unit="seconds",
)
CACHE_VERIFICATION_FAILURES = _counter(
    "zookeeper_cache_verification_failures_total",
    "Freshness checks that did not succeed.",
    {"reason": VERIFICATION_FAILURES},
)
CACHE_AUDITS = _counter(
    "zookeeper_cache_audits_total",
    "Completed audits: znodes without a pending watch event were read and compared with the cache.",
)
CACHE_AUDITED_NODES = _counter(
    "zookeeper_cache_audited_nodes_total",
    "Znodes that audits read.",
)
CACHE_AUDIT_MISMATCHES = _counter(
    "zookeeper_cache_audit_mismatches_total",
    "Znodes whose cached copy differed from ZooKeeper without a pending watch event. More than 0 is a defect, of this "
    "exporter or of a server.",
    {"kind": MISMATCH_KINDS},
)
CACHE_AUDIT_SKIPPED_NODES = _counter(
    "zookeeper_cache_audit_skipped_nodes_total",
    "Znodes that audits could not compare: they changed each time (changing), their reads failed (failed), they may "
    "not be read (unreadable), or ZooKeeper changes them without an event (untracked).",
    {"reason": SKIP_REASONS},
)
CACHE_VERIFICATION_DURATION = _durations(
    "zookeeper_cache_verification_duration_seconds",
    "How long a freshness check took, from asking for its barrier; only those that succeeded count.",
    Buckets(
        (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        "a check is one commit of the quorum, and waits for reads that are still under way",
    ),
)

BUILD_INFO = _info(
    "treecache_exporter_build_info",
    "The version of the exporter and of the Python that runs it.",
    {"version": (), "python_version": ()},
)
CONFIG_LAST_RELOAD_SUCCESSFUL = _gauge(
    "treecache_exporter_config_last_reload_successful",
    "Whether the configuration was good when it was last read; a bad one leaves the last good one in force.",
)
CONFIG_LAST_RELOAD_SUCCESS = _gauge(
    "treecache_exporter_config_last_reload_success_timestamp_seconds",
    "When a good configuration was last read, in Unix time.",
    unit="seconds",
)
MEMORY_LIMIT = _gauge(
    "treecache_exporter_memory_limit_bytes",
    "The least memory limit of the process' control groups; 0 where there is none.",
    unit="bytes",
)
SPANS_DROPPED = _counter(
    "treecache_exporter_spans_dropped_total",
    "Spans that were not exported: their queue was full, or their collector did not take them; 0 without tracing.",
)
SHARD_ORDINAL = _gauge(
    "treecache_exporter_shard_ordinal",
    "Which share of the trees' first-level children this exporter holds, counted from 0; 0 if it holds all of them.",
)
SHARDS = _gauge(
    "treecache_exporter_shards",
    "How many shares each tree's first-level children are divided into; 1 if this exporter holds all of them.",
)
COLLECTOR_SUCCESS = _gauge(
    "treecache_exporter_collector_success",
    "Whether the collector gave all of its metrics the last time; without success some or all are not in the scrape.",
)
COLLECTOR_DURATION = _gauge(
    "treecache_exporter_collector_duration_seconds",
    "How long the collector took the last time, for its own part of the scrape or in the background.",
    unit="seconds",
)

CLIENT = Group(
    title="ZooKeeper client",
    labels=("ensemble",),
    metrics=(
        CLIENT_UP,
        CLIENT_STATE,
        CLIENT_STATE_TRANSITIONS,
        CLIENT_SESSIONS_LOST,
        CLIENT_SESSION_INFO,
        CLIENT_SESSION_START,
        CLIENT_SESSION_TIMEOUT,
        CLIENT_SESSION_DEADLINE,
        CLIENT_LAST_HEARD,
        CLIENT_CONNECTION_ATTEMPTS,
        CLIENT_CONNECTION_FAILURES,
        CLIENT_CONNECT_DURATION,
        CLIENT_REQUESTS_OUTSTANDING,
        CLIENT_OLDEST_REQUEST_AGE,
        CLIENT_REQUEST_DURATION,
        CLIENT_REQUEST_ERRORS,
        CLIENT_SENT_BYTES,
        CLIENT_RECEIVED_BYTES,
        CLIENT_WATCH_EVENTS,
        CLIENT_PROTOCOL_ERRORS,
        CLIENT_INQUIRIES,
        CLIENT_WATCHES,
        CLIENT_LAST_ZXID,
    ),
)
CACHE = Group(
    title="Tree cache",
    labels=("ensemble", "tree"),
    metrics=(
        CACHE_INFO,
        CACHE_STATE,
        CACHE_ENGINE_RESTARTS,
        CACHE_INITIALIZED,
        CACHE_NODES,
        CACHE_DATA_BYTES,
        CACHE_UNREADABLE_NODES,
        CACHE_ROOT_STATE,
        CACHE_UNSETTLED_NODES,
        CACHE_OUTSTANDING_OPERATIONS,
        CACHE_PENDING_PATHS,
        CACHE_UNDELIVERED_EVENTS,
        CACHE_OLDEST_OPERATION_AGE,
        CACHE_EVENTS,
        CACHE_FAULTS,
        CACHE_SYNCS,
        CACHE_SYNC_DURATION,
        CACHE_REFRESH_DURATION,
        CACHE_PROPAGATION_DELAY,
        CACHE_LISTENER_DURATION,
        CACHE_VERIFIED,
        CACHE_FRESHNESS_INTERVAL,
        CACHE_FRESHNESS_TIMEOUT,
        CACHE_STALE_AFTER,
        CACHE_VERIFICATION_DURATION,
        CACHE_VERIFICATION_FAILURES,
        CACHE_AUDITS,
        CACHE_AUDITED_NODES,
        CACHE_AUDIT_MISMATCHES,
        CACHE_AUDIT_SKIPPED_NODES,
    ),
)
EXPORTER = Group(
    title="Exporter",
    labels=(),
    metrics=(
        BUILD_INFO,
        CONFIG_LAST_RELOAD_SUCCESSFUL,
        CONFIG_LAST_RELOAD_SUCCESS,
        MEMORY_LIMIT,
        SPANS_DROPPED,
        SHARD_ORDINAL,
        SHARDS,
    ),
)
COLLECTORS = Group(
    title="Collectors",
    labels=("collector",),
    metrics=(COLLECTOR_SUCCESS, COLLECTOR_DURATION),
)

GROUPS = (CACHE, CLIENT, EXPORTER, COLLECTORS)
