"""Catalogue: defines every metric of the exporter. Tests check collectors, documentation and dashboards against it."""

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

#: Why a rule cannot use a znode.
UNUSABLE_REASONS = ("not_a_number", "not_json", "no_key", "duplicate", "too_large", "unreadable")

#: Why a server gives no numbers, or not at the best source.
SERVER_FAILURES = ("not_allowed", "refused", "timeout", "tls", "dns", "not_serving", "other")

Kind = Literal["gauge", "counter", "info", "histogram"]
#: Label names with their possible values; an empty tuple if these are not known beforehand.
Labels = Mapping[str, tuple[str, ...]]

_SUFFIXES = {"gauge": "", "counter": "_total", "info": "_info", "histogram": ""}


@dataclass(frozen=True)
class Buckets:
    """The upper bounds of a histogram's buckets, without infinity, and why they were chosen."""

    bounds: tuple[float, ...]
    chosen_for: str


@dataclass(frozen=True)
class Metric:
    """One metric, by the name that queries use, with the labels that it adds to those of its group."""

    name: str
    kind: Kind
    help: str
    labels: Labels = field(default_factory=dict)
    unit: str = ""
    buckets: Buckets | None = None

    @property
    def is_complete_from_the_start(self) -> bool:
        """Whether the first scrape has every known label value; combinations of two labels appear as they occur."""
        return len(self.labels) < 2 or self.kind == "info"

    @property
    def most_series(self) -> int:
        """The maximum number of series per cache, client and so on; a label without known values counts as one."""
        per_combination = len(self.buckets.bounds) + len(("+Inf", "sum", "count")) if self.buckets else 1
        return per_combination * math.prod(len(values) or 1 for values in self.labels.values())

    def family(self) -> Family:
        """An empty family of this metric, for prometheus_client to write out."""
        return Family(self.name.removesuffix(_SUFFIXES[self.kind]), self.help, self.kind, self.unit)


@dataclass(frozen=True)
class Group:
    """Metrics of one kind of thing, with the labels that identify it."""

    title: str
    labels: tuple[str, ...]
    metrics: tuple[Metric, ...]

    @property
    def series(self) -> int:
        """How many series one thing of this kind has, without those that appear as they occur."""
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
    "Sessions that the client did not close: expired by the ensemble, ended because it refused the credentials, given "
    "up by the exporter because the ensemble lost its history, or replaced by a server with a new session.",
    {"reason": LOST_REASONS},
)
CLIENT_SESSION_INFO = _info(
    "zookeeper_client_session_info",
    "The server that the client is connected to; absent without a connection.",
    {"server": ()},
)
CLIENT_SESSION_START = _gauge(
    "zookeeper_client_session_start_timestamp_seconds",
    "When the current session began, in Unix time; 0 before the first session, and for a session that began before "
    "the client was instrumented.",
    unit="seconds",
)
CLIENT_SESSION_TIMEOUT = _gauge(
    "zookeeper_client_session_timeout_seconds",
    "The session timeout that the server granted; 0 before the first session. A client that was already connected "
    "when it was instrumented has 0 until it connects again.",
    unit="seconds",
)
CLIENT_SESSION_DEADLINE = _gauge(
    "zookeeper_client_session_deadline_timestamp_seconds",
    "When the ensemble may expire the session unless it hears from the client, in Unix time: last heard plus timeout; "
    "0 if either is unknown.",
    unit="seconds",
)
CLIENT_LAST_HEARD = _gauge(
    "zookeeper_client_last_heard_timestamp_seconds",
    "When the client last received anything from a server, in Unix time; 0 for never.",
    unit="seconds",
)
CLIENT_CONNECTION_ATTEMPTS = _counter(
    "zookeeper_client_connection_attempts_total",
    "Connection attempts of the client, successful ones included.",
)
CLIENT_CONNECTION_FAILURES = _counter(
    "zookeeper_client_connection_failures_total",
    "Connection attempts that failed. A server without a quorum hangs up (hung_up).",
    {"reason": FAILURE_REASONS},
)
CLIENT_CONNECT_DURATION = _durations(
    "zookeeper_client_connect_duration_seconds",
    "Time to connect to a server: from opening the socket, through TLS, until the server granted or resumed the "
    "session. Failed attempts and pauses between attempts are left out.",
    Buckets(
        (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        "resuming a session takes a few round trips, opening one takes a commit, and kazoo waits for a server for the "
        "session timeout divided by the number of servers, often 3.3 s",
    ),
)
CLIENT_REQUESTS_OUTSTANDING = _gauge(
    "zookeeper_client_requests_outstanding",
    "Requests of the client that are queued or not yet answered.",
)
CLIENT_OLDEST_REQUEST_AGE = _gauge(
    "zookeeper_client_oldest_request_age_seconds",
    "How long the oldest outstanding request has been waiting; 0 without outstanding requests.",
    unit="seconds",
)
CLIENT_REQUEST_DURATION = _durations(
    "zookeeper_client_request_duration_seconds",
    "Time from making a request until its reply, its error or the loss of its connection, queueing included, by "
    "ZooKeeper's name of the operation.",
    Buckets(
        (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
        "reads from a server's memory take about a millisecond, writes wait for a quorum's disks, and a request that "
        "is not answered within the session timeout, often 10 s, fails",
    ),
    {"operation": OPERATIONS},
)
CLIENT_REQUEST_ERRORS = _counter(
    "zookeeper_client_request_errors_total",
    "Requests that ended with an error, by ZooKeeper's name of it. NONODE, NODEEXISTS and BADVERSION are answers "
    "rather than failures; an `exists` that finds no znode is not counted.",
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
    "Messages from a server that violate ZooKeeper's protocol; each ends the connection, not the session.",
    {"reason": PROTOCOL_ERRORS},
)
CLIENT_INQUIRIES = _counter(
    "zookeeper_client_inquiries_total",
    "Times that a server was asked, on a separate connection, whether it supports recursive watches and bulk reads: "
    "recursive if it does, classic if not, undecided without an answer; the server is then asked again.",
    {"result": INQUIRY_RESULTS},
)
CLIENT_WATCHES = _gauge(
    "zookeeper_client_watches",
    "Watches that the client holds, those of its tree caches included, by kind.",
    {"kind": WATCH_KINDS},
)
CLIENT_LAST_ZXID = _gauge(
    "zookeeper_client_last_zxid",
    "The newest transaction id in the server's replies, replies to pings included; 0 before the first reply of a "
    "session.",
)

CACHE_INFO = _info(
    "zookeeper_cache_info",
    "The root of the tree (path), and the strategy that keeps the cache up to date (mode).",
    {"path": (), "mode": ()},
)
CACHE_STATE = _gauge(
    "zookeeper_cache_state",
    "1 for the state that the cache is in, 0 for the others. failed: the cache cannot work, and tries again; "
    "catching_up: the tree was complete before, and is being read again.",
    {"state": CACHE_STATES},
)
CACHE_ENGINE_RESTARTS = _counter(
    "zookeeper_cache_engine_restarts_total",
    "How often a thread of the cache was restarted after it failed.",
)
CACHE_INITIALIZED = _gauge(
    "zookeeper_cache_initialized",
    "Whether the session's first sync of the tree is complete; 0 while the cache is failed.",
)
CACHE_NODES = _gauge(
    "zookeeper_cache_nodes",
    "Znodes in the cache, the tree's root included. Containers and znodes with a time to live count as persistent: "
    "ZooKeeper does not tell clients which they are.",
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
    "but its ACL forbids the client to read it.",
    {"state": ROOT_STATES},
)
CACHE_UNSETTLED_NODES = _gauge(
    "zookeeper_cache_unsettled_nodes",
    "Znodes about which ZooKeeper's answers keep failing or contradict each other, such as a child that is listed but "
    "does not exist. They are read again at growing intervals.",
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
    "How long the oldest outstanding read has been waiting; 0 without outstanding reads.",
    unit="seconds",
)
CACHE_EVENTS = _counter(
    "zookeeper_cache_events_total",
    "Tree events that the cache published.",
    {"event": EVENT_NAMES},
)
CACHE_FAULTS = _counter(
    "zookeeper_cache_faults_total",
    "Faults of the cache. audit: an audit found differences; engine: an error restarted the engine; listener: a "
    "listener raised; no_auth: the client may not read a znode; request: a request failed; root: the root could not be "
    "created; selector: a selector raised; unsettled: ZooKeeper's answers about a znode keep failing or contradict "
    "each other; unsupported: the server does not support the cache's mode; view: a view raised, and ended.",
    {"kind": FAULT_KINDS},
)
CACHE_SYNCS = _counter(
    "zookeeper_cache_syncs_total",
    "Syncs that began; each reads the whole tree.",
    {"reason": SYNC_REASONS},
)
CACHE_SYNC_DURATION = _durations(
    "zookeeper_cache_sync_duration_seconds",
    "How long a sync took to read the whole tree; syncs that lost their connection are left out.",
    Buckets(
        (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
        "a small tree takes one round trip, a hundred thousand znodes less than a second, and a tree with a rate limit "
        "or one-shot watches minutes",
    ),
    {"reason": SYNC_REASONS},
)
CACHE_REFRESH_DURATION = _durations(
    "zookeeper_cache_refresh_duration_seconds",
    "Time from receiving a watch event until the change is in the cache. If a znode has several events before it is "
    "read, the first one counts.",
    Buckets(
        (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        "a refresh takes one round trip when the cache is idle, and waits for others under load",
    ),
)
CACHE_PROPAGATION_DELAY = _durations(
    "zookeeper_cache_propagation_delay_seconds",
    "Time from a change (the znode's mtime, by ZooKeeper's clock) until it is in the cache (by this machine's clock). "
    "It includes the difference between the clocks; values below 0 count as 0. Syncs are left out.",
    Buckets(
        (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
        "a commit and a refresh take a few milliseconds, ZooKeeper's times are whole milliseconds, and followers may "
        "lag by seconds",
    ),
)
CACHE_LISTENER_DURATION = _durations(
    "zookeeper_cache_listener_duration_seconds",
    "How long a listener took to handle an event; later events wait until it is done.",
    Buckets(
        (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10),
        "a listener that only notes an event takes microseconds, one that calls other services takes longer",
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
    "The time from one freshness check to the next; 0 if freshness is checked on demand only.",
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
    "Freshness checks that failed.",
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
    "Znodes whose cached copy differed from ZooKeeper without a pending watch event. Any mismatch is a defect of this "
    "exporter or of a server.",
    {"kind": MISMATCH_KINDS},
)
CACHE_AUDIT_SKIPPED_NODES = _counter(
    "zookeeper_cache_audit_skipped_nodes_total",
    "Znodes that audits could not compare: they changed at every attempt (changing), their reads failed (failed), the "
    "client may not read them (unreadable), or ZooKeeper changes them without an event (untracked).",
    {"reason": SKIP_REASONS},
)
CACHE_VERIFICATION_DURATION = _durations(
    "zookeeper_cache_verification_duration_seconds",
    "How long a successful freshness check took, from requesting its barrier.",
    Buckets(
        (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        "a check takes one commit of the quorum, and waits for outstanding reads",
    ),
)

BUILD_INFO = _info(
    "treecache_exporter_build_info",
    "The version of the exporter and of the Python that runs it.",
    {"version": (), "python_version": ()},
)
CONFIG_LAST_RELOAD_SUCCESSFUL = _gauge(
    "treecache_exporter_config_last_reload_successful",
    "Whether the last reload of the configuration succeeded; if not, the last valid one stays in use.",
)
CONFIG_LAST_RELOAD_SUCCESS = _gauge(
    "treecache_exporter_config_last_reload_success_timestamp_seconds",
    "When the last successful reload of the configuration happened, in Unix time.",
    unit="seconds",
)
MEMORY_LIMIT = _gauge(
    "treecache_exporter_memory_limit_bytes",
    "The lowest memory limit of the process' control groups; 0 without a limit.",
    unit="bytes",
)
SPANS_DROPPED = _counter(
    "treecache_exporter_spans_dropped_total",
    "Spans dropped because the queue was full or the collector did not accept them; 0 without tracing.",
)
SHARD_ORDINAL = _gauge(
    "treecache_exporter_shard_ordinal",
    "The shard of each tree that this exporter holds, counted from 0; 0 if the trees are not sharded.",
)
SHARDS = _gauge(
    "treecache_exporter_shards",
    "How many shards each tree is divided into; 1 if the trees are not sharded.",
)
COLLECTOR_SUCCESS = _gauge(
    "treecache_exporter_collector_success",
    "Whether the collector's last collection succeeded; if not, the scrape lacks some or all of its metrics.",
)
COLLECTOR_DURATION = _gauge(
    "treecache_exporter_collector_duration_seconds",
    "How long the collector's last collection took, in the scrape or in the background.",
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
LARGEST_NODE = _gauge(
    "zookeeper_cache_largest_node_bytes",
    "Size of the data of the tree's largest znode.",
    unit="bytes",
)
LARGEST_CHILDREN_COUNT = _gauge(
    "zookeeper_cache_largest_children_count",
    "Number of children of the znode that has most.",
)
LARGEST_CHILDREN_LIST = _gauge(
    "zookeeper_cache_largest_children_list_bytes",
    "Size of the largest list of children, as a server sends it in reply to getChildren; 0 if no znode has 128 "
    "children. Children outside the tree count as the average of the others.",
    unit="bytes",
)
SIZE_LIMIT = _gauge(
    "zookeeper_cache_limit_bytes",
    "The servers' jute.maxbuffer as configured: larger data is refused, and a larger list of children cannot be read.",
    unit="bytes",
)
NODES_NEAR_LIMIT = _gauge(
    "zookeeper_cache_nodes_near_limit",
    "Znodes whose data, or whose list of children, has more than 80 % of the limit. The page names them.",
    {"limit": ("data", "children_list")},
)
SUBTREE_NODES = _gauge(
    "zookeeper_cache_subtree_nodes",
    "Znodes at and below a child of the root; `other` are those of all children without a series of their own.",
    {"child": ()},
)
SUBTREE_BYTES = _gauge(
    "zookeeper_cache_subtree_bytes",
    "Size of the data of the znodes at and below a child of the root.",
    {"child": ()},
    unit="bytes",
)
QUOTA_NODES = _gauge(
    "zookeeper_quota_nodes",
    "Znodes that count against a quota, as the servers count them; read once a minute, of 100 quotas at most.",
)
QUOTA_BYTES = _gauge(
    "zookeeper_quota_bytes",
    "Bytes of data that count against a quota.",
    unit="bytes",
)
QUOTA_NODES_LIMIT = _gauge(
    "zookeeper_quota_nodes_limit",
    "How many znodes a quota allows. The servers log what exceeds a soft limit, and refuse what exceeds a hard one.",
    {"kind": ("soft", "hard")},
)
QUOTA_BYTES_LIMIT = _gauge(
    "zookeeper_quota_limit_bytes",
    "How many bytes of data a quota allows.",
    {"kind": ("soft", "hard")},
    unit="bytes",
)
RULE_DROPPED_SERIES = _gauge(
    "zookeeper_znode_rule_dropped_series",
    "Series that a rule leaves out because it has more than max_series: those of the youngest znodes.",
)
RULE_UNUSABLE = _gauge(
    "zookeeper_znode_rule_unusable",
    "Znodes that match a rule and that it cannot use. not_a_number: the data, or the value at the key, is no number; "
    "not_json: the data is no JSON; no_key: the JSON has nothing at the key; duplicate: several znodes share a series; "
    "too_large: the data is too long; unreadable: the client may not read the znode.",
    {"reason": UNUSABLE_REASONS},
)
SERVER_SOURCE = _info(
    "zookeeper_server_source_info",
    "Where the server's own numbers come from: AdminServer (admin), or the four-letter word mntr, srvr (few numbers) "
    "or ruok (none); absent if it does not answer.",
    {"source": ()},
)
SERVER_CLOCK_OFFSET = _gauge(
    "zookeeper_server_clock_offset_seconds",
    "The server's clock minus this machine's, by the header Date of AdminServer's answers, which has whole seconds: "
    "wrong by at most half a second and half of the time that an answer takes. Absent where AdminServer does not "
    "answer.",
    unit="seconds",
)
SERVER_POLL_FAILURES = _counter(
    "zookeeper_server_poll_failures_total",
    "Questions that a server did not answer with its numbers. not_allowed: its whitelist does not have the four-letter "
    "word; not_serving: it has no quorum, or hangs up; other: also an answer that is not ZooKeeper's.",
    {"reason": SERVER_FAILURES},
)
SERVER_MALFORMED_LINES = _counter(
    "zookeeper_server_malformed_lines_total",
    "Lines of a server's answers that cannot be read; all others are used.",
)
ENSEMBLE_CLIENT_CONNECTIONS = _gauge(
    "zookeeper_ensemble_client_connections",
    "Connections that one address has, over all servers, for the 10 addresses with most, as AdminServer or the "
    "four-letter word cons lists them. Absent while a server that answers does not list them.",
    {"client_address": ()},
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

#: The metrics that rules make are not here: their names are in the configuration.
LIMITS = Group(
    title="Sizes of a tree",
    labels=("ensemble", "tree"),
    metrics=(
        LARGEST_NODE,
        LARGEST_CHILDREN_COUNT,
        LARGEST_CHILDREN_LIST,
        SIZE_LIMIT,
        NODES_NEAR_LIMIT,
        SUBTREE_NODES,
        SUBTREE_BYTES,
    ),
)
QUOTAS = Group(
    title="Quotas",
    labels=("ensemble", "quota"),
    metrics=(QUOTA_NODES, QUOTA_BYTES, QUOTA_NODES_LIMIT, QUOTA_BYTES_LIMIT),
)
RULES = Group(
    title="Rules for znodes",
    labels=("ensemble", "tree", "rule"),
    metrics=(RULE_DROPPED_SERIES, RULE_UNUSABLE),
)

#: The servers' own numbers are not here: their names are ZooKeeper's. docs/servers.md has them.
SERVERS = Group(
    title="ZooKeeper server",
    labels=("ensemble", "zk_host"),
    metrics=(SERVER_SOURCE, SERVER_CLOCK_OFFSET, SERVER_POLL_FAILURES, SERVER_MALFORMED_LINES),
)

#: What the servers say together.
ENSEMBLES = Group(
    title="ZooKeeper ensemble",
    labels=("ensemble",),
    metrics=(ENSEMBLE_CLIENT_CONNECTIONS,),
)

GROUPS = (CACHE, LIMITS, CLIENT, QUOTAS, SERVERS, ENSEMBLES, RULES, EXPORTER, COLLECTORS)
