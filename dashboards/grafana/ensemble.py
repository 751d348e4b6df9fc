"""Ensemble: the servers of one ensemble side by side, and what its clients see of it."""

from __future__ import annotations

from collections.abc import Callable

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana import frame, states
from dashboards.grafana.limits import SOME, Limit, Limits
from dashboards.grafana.panels import Column, Panel, Query, graph, listing, timeline, value
from dashboards.grafana.promql import (
    COMMITS,
    READS,
    SESSION,
    by_server,
    in_range,
    lately,
    over,
    quantile,
    select,
    server_state,
    staleness_ratio,
)

SERVER = ("ensemble", "zk_host")
NAME = "{{zk_host}}"
DURATION = "zookeeper_client_request_duration_seconds"

#: For each alert, the panel that shows why it fires.
ALERTS = {
    "TreeCacheEnsembleNoLeader": "Leaders",
    "TreeCacheEnsembleTwoLeaders": "Leaders",
    "TreeCacheEnsembleQuorumAtRisk": "Servers down",
    "TreeCacheServerDown": "Servers down",
    "TreeCacheEnsembleFollowersBehind": "Followers in sync",
    "TreeCacheServerRequestsQueued": "Outstanding requests",
    "TreeCacheEnsembleVersionsDiffer": "Versions",
    "TreeCacheServerFilesNearLimit": "Servers side by side",
    "TreeCacheEnsembleConnectionsGrown": "Connections of clients",
    "TreeCacheEnsembleClientConnectionsGrown": "Clients with most connections",
    "TreeCacheServerFsyncSlow": "Writes of the log",
    "TreeCacheServerSnapshotSlow": "Snapshots",
    "TreeCacheEnsembleClocksDiffer": "Clocks",
    "TreeCacheServerDataDiffers": "Differences and errors",
    "TreeCacheServerUnrecoverableError": "Differences and errors",
    "TreeCacheEnsembleSizeAhead": "Size of the data",
}


def ensemble(limits: Limits) -> Dashboard:
    """The dashboard of the servers."""
    return frame.assemble(
        "Ensemble",
        "The servers of a ZooKeeper ensemble by their own numbers, and the same ensemble as its clients see it.",
        [
            frame.Row("Does the ensemble serve?", _service()),
            frame.Row("Which server is it?", _servers()),
            frame.Row("What happened?", _story()),
            frame.Row("Are the servers busy?", _load()),
            frame.Row("Are their disks and their JVMs slow, or their clocks wrong?", _machines()),
            frame.Row("What do they hold?", _contents()),
            frame.Row("What do the clients see?", _clients(limits)),
        ],
        one=("ensemble",),
        alerts=ALERTS,
        limits=limits,
    )


def _service() -> list[Panel]:
    leaders = over("sum", (), by_server("zk_server_leader"))
    followed = over("max", (), select("zk_server_state", 'state=~"follower|observer"'))
    return [
        value(
            "Leaders",
            "Servers that say they lead, or 1 if others follow one that does not say so; a standalone server counts. "
            "It must be 1: with 0 nothing can be written, and 2 for longer than a moment means that one of them is cut "
            "off from the others.",
            "short",
            f"{leaders} > 0 or {followed} or {leaders}",
            limit=Limit(1, 0.5),
            absent="no server answers",
        ),
        value(
            "Servers down",
            "Servers that do not answer, or do not serve: they have no quorum, or lead with leaderServes=no. One of "
            "three may be down, two of five; with one more the ensemble ends.",
            "short",
            f"sum(1 - ({by_server('zk_up')}))",
            limit=SOME,
            absent="not polled",
        ),
        value(
            "Followers in sync",
            "Followers that are in sync with the leader. It should be the number of servers minus one; a follower that "
            "stays out of sync is slow, or is loading a snapshot.",
            "short",
            f"{over('max', (), select('zk_synced_followers'))} or 0 * {over('max', (), select('zk_server_leader'))}",
            absent="no server answers",
        ),
        value(
            "Outstanding requests",
            "Requests that the busiest server has taken and not answered. Thousands mean that it does not keep up: "
            "look at its disk, its CPU and at who writes.",
            "short",
            over("max", (), _outstanding(by_server)),
            limit=Limit(10, 1000),
            absent="no server answers",
        ),
        value(
            "Znodes of the ensemble",
            "Znodes that the servers hold, those of ZooKeeper itself included. Servers that differ for long do not "
            "have the same data: compare them in the table.",
            "short",
            over("max", (), by_server("zk_znode_count")),
            absent="no server answers",
        ),
        value(
            "Versions",
            "How many versions the servers have. More than one is an upgrade that is under way, or one that was "
            "forgotten: the table shows which server is behind.",
            "short",
            f"count({over('count', ('version',), select('zk_version'))})",
            limit=Limit(1.5, 3),
            absent="no server answers",
        ),
    ]


def _servers() -> list[Panel]:
    return [
        listing(
            "Servers side by side",
            "One row for each server, as it describes itself. Compare a row with the others: one that is slower, has "
            "more outstanding requests or fewer znodes is the one to look at. Few numbers mean that the server allows "
            "only srvr: set 4lw.commands.whitelist=srvr,mntr.",
            [
                Column("Server", label="zk_host"),
                Column("Version", label="version"),
                Column("Role", server_state("zk_host", "version"), "none", states=states.SERVER_STATES),
                Column("Latency", _seconds(_versioned("zk_avg_latency")), "s", decimals=2),
                Column("Worst", _seconds(_versioned("zk_max_latency")), "s", decimals=2),
                Column("Outstanding", _outstanding(_versioned)),
                Column("Connections", _versioned("zk_num_alive_connections")),
                Column("Znodes", _versioned("zk_znode_count")),
                Column("Watches", _versioned("zk_watch_count")),
                Column(
                    "File descriptors",
                    f"{_versioned('zk_open_file_descriptor_count')} / {_versioned('zk_max_file_descriptor_count')}",
                    "percentunit",
                    limit=Limit(0.5, 0.8),
                    decimals=0,
                ),
            ],
            worst_first="Latency",
            height=6,
        ),
    ]


def _seconds(milliseconds: str) -> str:
    """ZooKeeper's times are in milliseconds."""
    return f"({milliseconds}) / 1000"


def _average(summary: str) -> str:
    """The average of a summary of each server around each point; no value without observations."""
    total, number = (f"rate({select(f'zk_{of}_{summary}')}[$__rate_interval])" for of in ("sum", "cnt"))
    return over("max", SERVER, f"{total} / ({number} > 0)")


def _outstanding(of_server: Callable[[str], str]) -> str:
    """Requests that each server has not answered. It counts them after passing them on, so it may say -1."""
    return f"clamp_min({of_server('zk_outstanding_requests')}, 0)"


def _versioned(name: str) -> str:
    """A number of each server, with its version as a label."""
    labels = ("zk_host", "version")
    return over(
        "max",
        labels,
        f"{select(name)} * on (job, instance, ensemble, zk_host) group_left (version) {select('zk_version')}",
    )


def _story() -> list[Panel]:
    return [
        timeline(
            "Roles",
            "Who leads and who follows. A change of the green lane is an election; red: the server does not answer or "
            "does not serve. All lanes red at once: the quorum is lost, or the exporter reaches none of them.",
            Query(server_state(*SERVER), NAME),
            states.SERVER_STATES,
        ),
        graph(
            "Elections and lost followers",
            "How often servers began to look for a leader, and followers that the leader synced again, with a whole "
            "snapshot or with what they lacked. They come with restarts; without one, look at the network and at "
            "pauses.",
            "short",
            Query(lately("zk_looking_count", "zk_host"), f"looking {NAME}"),
            Query(lately("zk_snap_count", "zk_host"), f"snapshot from {NAME}"),
            Query(lately("zk_diff_count", "zk_host"), f"diff from {NAME}"),
            bars=True,
            height=7,
        ),
    ]


def _load() -> list[Panel]:
    return [
        graph(
            "Latency of each server",
            "The average time to answer since the server's start, by its own clock; the clients' view is below. If one "
            "server rises, look at its machine; if all do, at the leader's disk.",
            "s",
            Query(_seconds(by_server("zk_avg_latency")), NAME),
            log_above=0.001,
            width=8,
        ),
        graph(
            "Outstanding requests of each server",
            "Requests taken and not answered. A spike is a burst; a plateau means that the server does not keep up.",
            "short",
            Query(_outstanding(by_server), NAME),
            log_above=10,
            width=8,
        ),
        graph(
            "Packets received a second",
            "What clients send to each server. If one has most, clients are spread badly: connection strings in "
            "another order, or clients that never move back after a restart.",
            "reqps",
            Query(over("max", SERVER, f"rate({select('zk_packets_received')}[$__rate_interval])"), NAME),
            width=8,
        ),
        graph(
            "Connections of clients",
            "Open connections of each server, the exporter's poll included. A sudden rise is a client that leaks, or a "
            "deployment; maxClientCnxns limits them by address.",
            "short",
            Query(by_server("zk_num_alive_connections"), NAME),
            width=6,
        ),
        graph(
            "Clients with most connections",
            "Connections that one address has, over all servers, for those with most. One that rises alone leaks "
            "sessions: look at what runs there. Nothing here: the servers allow neither cons nor AdminServer.",
            "short",
            Query(
                f"topk(5, {over('max', ('client_address',), select('zookeeper_ensemble_client_connections'))})",
                "{{client_address}}",
            ),
            width=6,
        ),
        graph(
            "Connections refused and dropped",
            "Connections that a server refused for a limit of their number, and those that ended. Refused ones look "
            "like a lost quorum to a client: raise maxClientCnxns, or find the client that leaks.",
            "short",
            Query(lately("zk_connection_rejected", "zk_host"), f"refused {NAME}"),
            Query(lately("zk_connection_drop_count", "zk_host"), f"ended {NAME}"),
            bars=True,
            width=6,
        ),
        graph(
            "Sessions",
            "Sessions of the ensemble, and those that servers expired. If many expire together, look at what their "
            "clients have in common, or at an election that took too long.",
            "short",
            Query(over("max", (), select("zk_global_sessions")), "sessions"),
            Query(lately("zk_stale_sessions_expired", "zk_host"), f"expired by {NAME}"),
            width=6,
        ),
    ]


def _machines() -> list[Panel]:
    return [
        graph(
            "Writes of the log",
            "How long a write of the transaction log takes on average, and the longest one since the server's start; "
            "every commit waits for a majority of them. Above 100 ms look at what else uses the disk: the log needs "
            "its own.",
            "s",
            Query(_seconds(_average("fsynctime")), NAME),
            Query(_seconds(by_server("zk_max_fsynctime")), f"longest {NAME}"),
            log_above=0.001,
            width=6,
        ),
        graph(
            "Snapshots",
            "How long the servers take to write a snapshot, at most. A server reads it when it starts, and a follower "
            "that fell behind gets it from the leader: tens of seconds make recovery slow.",
            "s",
            Query(_seconds(by_server("zk_max_snapshottime")), NAME),
            log_above=0.001,
            width=6,
        ),
        graph(
            "Pauses of the JVM",
            "The longest pause of each server's JVM so far. A pause longer than syncLimit ends the server's part in "
            "the quorum, and one longer than a session timeout its sessions: look at its heap.",
            "s",
            Query(_seconds(by_server("zk_max_jvm_pause_time_ms")), NAME),
            log_above=0.001,
            width=6,
        ),
        graph(
            "Clocks",
            "How far each server's clock is ahead of the exporter's, to half a second, as AdminServer says. One that "
            "is apart from the others is wrong: look at its NTP. If all are, it is the exporter's.",
            "s",
            Query(by_server("zookeeper_server_clock_offset_seconds"), NAME),
            either_side=2,
            width=6,
        ),
    ]


def _contents() -> list[Panel]:
    return [
        graph(
            "Znodes of each server",
            "Servers have the same znodes, but for the moment that a follower is behind. One that stays apart has "
            "other data than the rest: compare its digest with theirs.",
            "short",
            Query(by_server("zk_znode_count"), NAME),
            width=8,
        ),
        graph(
            "Size of the data",
            "Paths and data of all znodes, which each server holds in its heap and writes with each snapshot. If it "
            "only grows, find who fills it on the dashboard of znodes.",
            "bytes",
            Query(by_server("zk_approximate_data_size"), NAME),
            width=8,
        ),
        graph(
            "Watches and ephemeral znodes",
            "Watches that clients set at each server, and ephemeral znodes. Watches that only grow are a client that "
            "sets them again and again; ephemeral ones that vanish together belong to one session.",
            "short",
            Query(by_server("zk_watch_count"), f"watches {NAME}"),
            Query(over("max", ("ensemble",), select("zk_ephemerals_count")), "ephemeral znodes"),
            log_above=10,
            width=8,
        ),
        graph(
            "Differences and errors",
            "How often a server found that its tree differs from the leader's, and errors after which it cannot go on. "
            "Both must stay at 0: follow the runbook, and do not restart the servers before you have saved their logs.",
            "short",
            Query(lately("zk_digest_mismatches_count", "zk_host"), f"differs: {NAME}"),
            Query(lately("zk_unrecoverable_error_count", "zk_host"), f"error: {NAME}"),
            bars=True,
            width=24,
            height=5,
        ),
    ]


def _clients(limits: Limits) -> list[Panel]:
    reads = quantile(0.99, DURATION, "instance", where=READS)
    commits = quantile(0.5, DURATION, "instance", where=COMMITS)
    return [
        timeline(
            "Sessions of the exporters",
            "The state of each client of this ensemble. Servers that are fine while sessions are not: it is the "
            "network between them. Both bad: it is ZooKeeper.",
            Query(states.session(*SESSION), "{{instance}}"),
            states.SESSION_STATES,
            width=8,
        ),
        graph(
            "Reads and commits as clients see them",
            "The time within which 99 of 100 reads, and half of the commits, are answered, the network included. "
            "Slower than the servers say above: the network, or a starved client.",
            "s",
            Query(reads, "reads {{instance}}"),
            Query(commits, "commits {{instance}}"),
            log_above=0.001,
            width=8,
            height=7,
        ),
        graph(
            "Staleness of the caches",
            "How far behind ZooKeeper the caches of this ensemble may be, as a share of each tree's own limit. While "
            "the servers serve and this rises, checks fail: see the tree's dashboard.",
            "percentunit",
            Query(over("max", ("tree", "instance"), staleness_ratio()), "{{tree}} {{instance}}"),
            limit=limits.staleness,
            log_above=1,
            width=8,
            height=7,
        ),
        value(
            "Failed connection attempts",
            "Attempts of the exporters' clients in the time range that failed. While all servers are up, look at the "
            "network, at TLS and at maxClientCnxns.",
            "short",
            in_range("zookeeper_client_connection_failures_total"),
            limit=SOME,
            decimals=0,
            width=24,
        ),
    ]
