"""Names: what is known of ZooKeeper's numbers: their type, unit and meaning, and which are given by default.

Sources: ``ServerMetrics``, ``ZooKeeperServer.registerMetrics``, ``LeaderZooKeeperServer`` and ``QuorumPeer`` of
ZooKeeper 3.9; the names of 3.4 and of `srvr` are among them.
"""

from __future__ import annotations

import functools
from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "summary"]


class Number(NamedTuple):
    """A number of `mntr` that is given by default, by its name without `zk_`."""

    name: str
    kind: Kind
    meaning: str
    unit: str = ""

    @property
    def help(self) -> str:
        """Its help text, with unit and source."""
        return _help(self.meaning, self.unit, f"ZooKeeper's {self.name}")


def _help(meaning: str, unit: str, source: str) -> str:
    return f"{meaning}{f', in {unit}' if unit else ''}; {source}."


_SINCE = "since the server's start or the last srst"

#: The numbers that are given by default.
LISTED: tuple[Number, ...] = (
    # Of 3.4 and later.
    Number("avg_latency", "gauge", f"Average time to answer a request {_SINCE}", "milliseconds"),
    Number("min_latency", "gauge", f"Shortest time to answer a request {_SINCE}", "milliseconds"),
    Number("max_latency", "gauge", f"Longest time to answer a request {_SINCE}", "milliseconds"),
    Number("packets_received", "counter", "Packets received from clients"),
    Number("packets_sent", "counter", "Packets sent to clients"),
    Number("num_alive_connections", "gauge", "Connections of clients, this poll's included"),
    Number("outstanding_requests", "gauge", "Requests that are queued or being processed"),
    Number("znode_count", "gauge", "Znodes in the server's copy of the tree"),
    Number("watch_count", "gauge", "Watches that clients have set at this server"),
    Number("ephemerals_count", "gauge", "Ephemeral znodes"),
    Number("approximate_data_size", "gauge", "Size of all paths and data", "bytes"),
    Number("open_file_descriptor_count", "gauge", "Open file descriptors of the server"),
    Number("max_file_descriptor_count", "gauge", "Limit of open file descriptors of the server"),
    Number(
        "fsync_threshold_exceed_count", "counter", "Writes of the log that took longer than fsync.warningthresholdms"
    ),
    Number("followers", "gauge", "Followers and observers that are connected to this leader; as learners"),
    Number("learners", "gauge", "Followers and observers that are connected to this leader"),
    Number("synced_followers", "gauge", "Followers that are in sync with this leader"),
    Number("pending_syncs", "gauge", "Syncs of clients that wait at this leader"),
    Number("last_proposal_size", "gauge", "Size of the leader's last proposal; -1 before the first", "bytes"),
    Number("min_proposal_size", "gauge", "Size of the leader's smallest proposal; -1 before the first", "bytes"),
    Number("max_proposal_size", "gauge", "Size of the leader's largest proposal; -1 before the first", "bytes"),
    # Of 3.6 and later.
    Number("synced_observers", "gauge", "Observers that are in sync with this server"),
    Number("synced_non_voting_followers", "gauge", "Followers without a vote that are in sync with this leader"),
    Number("quorum_size", "gauge", "Voting members of the ensemble, as this server is configured"),
    Number("global_sessions", "gauge", "Sessions of the ensemble"),
    Number("local_sessions", "gauge", "Sessions that only this server knows"),
    Number("uptime", "gauge", "Time since the server began to serve", "milliseconds"),
    Number("leader_uptime", "gauge", "Time since this leader began to lead", "milliseconds"),
    Number("connection_drop_probability", "gauge", "Probability that the connection throttle drops a new connection"),
    Number("outstanding_tls_handshake", "gauge", "TLS handshakes in progress"),
    Number("auth_failed_count", "counter", "Failed authentications of clients"),
    Number("bytes_received_count", "counter", "Size of the requests received", "bytes"),
    Number("response_bytes", "counter", "Size of the answers sent", "bytes"),
    Number("commit_count", "counter", "Transactions that this server committed as a leader"),
    Number("proposal_count", "counter", "Proposals of this leader"),
    Number("looking_count", "counter", "Times that this server began to look for a leader"),
    Number("snap_count", "counter", "Followers that this leader synced with a whole snapshot"),
    Number("diff_count", "counter", "Followers that this leader synced with the transactions that they lacked"),
    Number("connection_request_count", "counter", "Connections that clients opened"),
    Number("connection_drop_count", "counter", "Connections that ended"),
    Number("connection_rejected", "counter", "Connections that were refused for a limit of their number"),
    Number("connection_revalidate_count", "counter", "Clients that resumed a session at this server"),
    Number("revalidate_count", "counter", "Sessions that this leader confirmed to a follower"),
    Number("stale_sessions_expired", "counter", "Sessions that this server expired"),
    Number("sessionless_connections_expired", "counter", "Connections that were closed since they opened no session"),
    Number("stale_requests", "counter", "Requests whose client was gone before they were processed"),
    Number("throttled_ops", "counter", "Requests that were refused since they had waited too long"),
    Number("request_throttle_wait_count", "counter", "Requests that had to wait for the request throttle"),
    Number("large_requests_rejected", "counter", "Requests that were refused for their size"),
    Number(
        "digest_mismatches_count", "counter", "Times that the tree's digest differed from the leader's: data differs"
    ),
    Number("unrecoverable_error_count", "counter", "Errors after which the server cannot go on"),
    Number("ensemble_auth_fail", "counter", "Connections from clients that named another ensemble"),
    Number("tls_handshake_exceeded", "counter", "TLS handshakes that were refused for their number"),
    Number("fsynctime", "summary", "Time to write the log to disk", "milliseconds"),
    Number("snapshottime", "summary", "Time to write a snapshot", "milliseconds"),
    Number("readlatency", "summary", "Time to answer a read", "milliseconds"),
    Number("updatelatency", "summary", "Time to answer a write", "milliseconds"),
    Number(
        "propagation_latency",
        "summary",
        "Time from a leader's proposal until this server applied it, by both clocks",
        "milliseconds",
    ),
    Number(
        "quorum_ack_latency", "summary", "Time from a leader's proposal until a quorum had it on disk", "milliseconds"
    ),
    Number("election_time", "summary", "Time that an election took", "milliseconds"),
    Number(
        "leader_unavailable_time",
        "summary",
        "Time without service until this server served as a leader",
        "milliseconds",
    ),
    Number("jvm_pause_time_ms", "summary", "Pauses of the Java virtual machine", "milliseconds"),
)
BY_NAME = {number.name: number for number in LISTED}

#: All other counters of ZooKeeper 3.9; other numbers, and those of later releases, are taken for gauges.
_COUNTERS = frozenset(
    (
        "add_dead_watcher_stall_time",
        "cnxn_closed_without_zk_server_running",
        "dead_watchers_cleared",
        "dead_watchers_queued",
        "ensemble_auth_skip",
        "ensemble_auth_success",
        "insecure_admin_count",
        "learner_commit_received_count",
        "learner_proposal_received_count",
        "outstanding_changes_queued",
        "outstanding_changes_removed",
        "prep_processor_request_queued",
        "quit_leading_due_to_disloyal_voter",
        "quota_exceeded_error_per_namespace",
        "request_commit_queued",
        "requests_not_forwarded_to_commit_processor",
        "response_packet_cache_hits",
        "response_packet_cache_misses",
        "response_packet_get_children_cache_hits",
        "response_packet_get_children_cache_misses",
        "restore_error_count",
        "restore_rate_limited_count",
        "skip_learner_request_to_next_processor_count",
        "snapshot_error_count",
        "snapshot_rate_limited_count",
        "stale_replies",
        "stale_requests_dropped",
        "sync_processor_request_queued",
        "watch_bytes",
    )
)

#: What `mntr` puts before the name of a summary, with the quantile if it is one.
STATISTICS = {
    "avg": "Average",
    "min": "Minimum",
    "max": "Maximum",
    "cnt": "Number of values",
    "sum": "Sum",
    "p50": "Median",
    "p95": "95th percentile",
    "p99": "99th percentile",
    "p999": "99.9th percentile",
}
QUANTILES = {"p50": "0.5", "p95": "0.95", "p99": "0.99", "p999": "0.999"}

#: The names that are made here of what a server says, and their help.
MADE = {
    "zk_up": "Whether the server answered the last poll, and serves; if not, there is nothing else of it.",
    "zk_ruok": "1 if the server answers as one whose ruok is imok; absent if it says nothing.",
    "zk_server_leader": "1 if the server leads, or serves alone (standalone); 0 for followers and observers.",
    "zk_server_state": "1 for the server's state: leader, follower, observer, standalone or read-only.",
    "zk_peer_state": "1 for the state of the server's part in the quorum, in ZooKeeper's words.",
    "zk_version": "1 for the version and the revision (a commit) that the server says it has.",
}


class Described(NamedTuple):
    """The family of a name: its type and its help text."""

    name: str
    kind: Kind
    help: str


# The names of servers are few and the same at each scrape; a limit, in case a server invents some.
@functools.lru_cache(maxsize=4096)
def described(name: str) -> Described:
    """The family of a plain number, by its name without `zk_`."""
    number = BY_NAME.get(name)
    if number is not None and number.kind != "summary":
        return Described(f"zk_{name}", number.kind, number.help)
    return Described(f"zk_{name}", "counter" if name in _COUNTERS else "gauge", f"ZooKeeper's {name}.")


@functools.lru_cache(maxsize=4096)
def described_statistic(statistic: str, base: str) -> Described:
    """The family of a summary's statistic, such as `avg`, under the name that `mntr` gives it."""
    of = described_summary(base).help
    if statistic == "cnt":
        # A number has no unit.
        of = of.replace(", in milliseconds;", ";")
    kind: Kind = "counter" if statistic in ("cnt", "sum") else "gauge"
    return Described(f"zk_{statistic}_{base}", kind, f"{STATISTICS[statistic]}: {of}")


@functools.lru_cache(maxsize=4096)
def described_summary(base: str) -> Described:
    """The family of a summary."""
    number = BY_NAME.get(base)
    unit = "In milliseconds; " if base.endswith("_ms") else ""
    return Described(f"zk_{base}", "summary", number.help if number else f"{unit}ZooKeeper's {base}.")


def is_listed(name: str) -> bool:
    """Whether a number or a summary is given by default, by its name without `zk_`."""
    return name in BY_NAME


#: All names in the answer to `mntr` of what is given by default.
LISTED_IN_MNTR = frozenset(
    f"zk_{prefix}{number.name}"
    for number in LISTED
    for prefix in ([f"{statistic}_" for statistic in STATISTICS] if number.kind == "summary" else [""])
)
