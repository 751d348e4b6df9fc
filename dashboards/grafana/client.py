"""Client: one session with an ensemble; whether it is alive, what it requests, and what is stuck."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana import frame, states
from dashboards.grafana.limits import SOME, Limits
from dashboards.grafana.panels import BAD, NOTED, Column, Panel, Query, graph, listing, spread, timeline, value
from dashboards.grafana.promql import (
    COMMITS,
    FAILED,
    READS,
    SESSION,
    in_range,
    in_timeouts,
    lately,
    near,
    of_server,
    over,
    per_second,
    quantile,
    select,
    silence,
    staleness_ratio,
)

ONE = ("instance",)
NAME = "{{instance}}"
DURATION = "zookeeper_client_request_duration_seconds"
CONNECTING = "zookeeper_client_connect_duration_seconds"
STATES = {"connecting": "blue", "connected": "green", "connected_ro": "yellow", "suspended": "orange", "lost": "red"}

#: For each alert, the panel that shows why it fires.
ALERTS = {
    "TreeCacheQuorumLost": "State",
    "TreeCacheClientDown": "State",
    "TreeCacheSessionLost": "Sessions lost",
    "TreeCacheSessionMaybeExpired": "Session may expire in",
    "TreeCacheSessionFlapping": "Transitions",
    "TreeCacheSessionNearTimeout": "Time since last heard",
    "TreeCacheRequestErrors": "Errors",
    "TreeCacheRequestLatency": "Reads, 99th percentile",
    "TreeCacheCommitsSlow": "Commits, median",
    "TreeCacheConnectsSlow": "Connecting, median",
    "TreeCacheSlowerThanUsual": "Commits, median",
}


def client(limits: Limits) -> Dashboard:
    """The dashboard of one session."""
    return frame.assemble(
        "Client",
        "One session with a ZooKeeper ensemble: whether it is alive, how its requests are answered, and what is stuck.",
        [
            frame.Row("Is the session alive?", _life(limits)),
            frame.Row("What happened to it?", _story()),
            frame.Row("How are its requests answered?", _requests(limits)),
            frame.Row("Is anything stuck?", _stuck(limits)),
            frame.Row("How much goes over the wire?", _traffic()),
            frame.Row("Which trees depend on it?", _trees(limits)),
        ],
        one=("ensemble",),
        alerts=ALERTS,
        limits=limits,
    )


def _life(limits: Limits) -> list[Panel]:
    deadline = select("zookeeper_client_session_deadline_timestamp_seconds")
    return [
        value(
            "State",
            "Suspended: the connection is cut, the session may survive. Lost: the session is over. If it stays "
            "orange, no server can be reached: see why attempts fail in the next row.",
            "none",
            states.session(*ONE),
            legend=NAME,
            states=states.SESSION_STATES,
            width=6,
        ),
        value(
            "Time since last heard",
            "Time since the client last heard from the server, as a share of the session timeout. A healthy client "
            "pings every third of it; at 100 % the ensemble may expire the session.",
            "percentunit",
            over("max", ONE, silence()),
            legend=NAME,
            limit=limits.silence,
            decimals=0,
            absent="no session",
            width=6,
        ),
        value(
            "Session may expire in",
            "Time left, as of the scrape, until the ensemble may expire the session unless it hears from the client. "
            "Below 0 the session may have expired without the client knowing. Without a quorum nothing expires.",
            "s",
            over("min", ONE, f"({deadline} > 0) - timestamp({deadline})"),
            legend=NAME,
            decimals=1,
            absent="no session",
            width=6,
        ),
        value(
            "Sessions lost",
            "Sessions lost in the time range. Look for pauses of the exporter, elections in ZooKeeper, and a session "
            "timeout that is too short for the network.",
            "short",
            in_range("zookeeper_client_sessions_lost_total"),
            limit=SOME,
            decimals=0,
            width=6,
        ),
        listing(
            "Server of each exporter",
            "The server that each session is connected to. If every exporter on one server has problems, look at that "
            "server. If a session began recently without a deployment, the one before it was lost.",
            [
                Column("Instance", label="instance"),
                Column("Server", label="server"),
                Column("State", _with_server(states.session("job", *SESSION)), "none", states=states.SESSION_STATES),
                Column(
                    "Session began",
                    _with_server(f"1000 * ({select('zookeeper_client_session_start_timestamp_seconds')} > 0)"),
                    "dateTimeFromNow",
                ),
                Column("Timeout", _with_server(select("zookeeper_client_session_timeout_seconds")), "s"),
            ],
            worst_first="State",
            height=6,
        ),
    ]


def _with_server(expression: str) -> str:
    return over("max", ("instance", "server"), of_server(expression))


def _story() -> list[Panel]:
    return [
        timeline(
            "State over time",
            "Orange: the connection is cut. Red: the session is lost. A gap: the exporter was not scraped. Short "
            "orange marks at regular intervals come from a proxy or firewall that cuts idle connections.",
            Query(states.session(*ONE), NAME),
            states.SESSION_STATES,
            width=24,
            height=5,
        ),
        graph(
            "Transitions",
            "How often the session entered each state. Suspended and connected in turns is flapping: look at the "
            "network first, then at ZooKeeper.",
            "short",
            Query(lately("zookeeper_client_state_transitions_total", "state"), "{{state}}"),
            bars=True,
            colors=STATES,
            width=6,
        ),
        graph(
            "Sessions lost by reason",
            "expired: the ensemble heard nothing for the session timeout. auth_failed: it refused the credentials, "
            "and will until they are changed.",
            "short",
            Query(lately("zookeeper_client_sessions_lost_total", "reason"), "{{reason}}"),
            bars=True,
            colors={"expired": "red", "auth_failed": "purple"},
            width=6,
        ),
        graph(
            "Connection attempts",
            "refused: no server listens at the address. timeout: the network, or a stalled server. hung_up: the server "
            "closed the connection. Attempts without failures: it hangs up after the handshake.",
            "short",
            Query(lately("zookeeper_client_connection_attempts_total"), "attempts"),
            Query(lately("zookeeper_client_connection_failures_total", "reason"), "failed: {{reason}}"),
            width=6,
        ),
        graph(
            "Inquiries and protocol errors",
            "Inquiries find out, on a separate connection, whether a server supports recursive watches; a few after "
            "connecting to a new server are normal. Protocol errors are replies that no ZooKeeper sends: find out "
            "what answers at that address.",
            "short",
            Query(lately("zookeeper_client_inquiries_total", "result"), "inquiry: {{result}}"),
            Query(lately("zookeeper_client_protocol_errors_total", "reason"), "protocol error: {{reason}}"),
            bars=True,
            width=6,
        ),
    ]


def _requests(limits: Limits) -> list[Panel]:
    reads = quantile(0.99, DURATION, "operation", where=READS)
    commits = quantile(0.5, DURATION, "operation", where=COMMITS)
    return [
        graph(
            "Rate",
            "Requests a second by operation. Caches read in bulk, thousands of znodes with a few requests. Many "
            "getData and exists come from another user of this client, or from the classic strategy.",
            "reqps",
            Query(f"{per_second(f'{DURATION}_count', 'operation')} > 0", "{{operation}}"),
            stacked=True,
            width=8,
        ),
        graph(
            "Errors",
            "Errors a second, by operation and kind; answers such as NONODE do not count. CONNECTIONLOSS: the "
            "connection was cut. NOAUTH: a permission is missing. Timeouts: servers without a quorum.",
            "cps",
            Query(_errors(), "{{operation}} {{error}}"),
            width=8,
        ),
        graph(
            "Connecting, median",
            "How long connecting takes, from opening the socket until the server grants or resumes the session; one "
            "dot for each interval with a connection. The dashed lines are the alerts' limits; the lower one applies "
            "if connecting is also slower than usual.",
            "s",
            Query(quantile(0.5, CONNECTING, *ONE), NAME, exemplars=True),
            limit=limits.connecting,
            dots=True,
            absent="no connection was made",
            width=8,
        ),
        graph(
            "Reads, 99th percentile",
            "The time within which 99 of 100 reads were answered, by operation. Click a mark to open its trace. If all "
            "operations are slow, look at the server and the network; if one is, at what it reads. The red dashed line "
            "is the alert's limit for all reads together, the blue one all reads a day ago.",
            "s",
            Query(reads, "{{operation}}", exemplars=True),
            Query(quantile(0.99, DURATION, where=READS, ago="1d"), "a day ago"),
            Query(near(in_timeouts(limits.parameters.request_latency_ratio), reads), "alert"),
            lines={"alert": BAD, "a day ago": NOTED},
            width=12,
        ),
        graph(
            "Commits, median",
            "The time within which half of the requests that wait for a majority of the servers were answered, by "
            "operation; a freshness check is a multi. If commits are slow and reads are not, look at the servers' "
            "disks. The red dashed line is the alert's limit, the blue one all commits a day ago; being much slower "
            "than usual alerts too.",
            "s",
            Query(commits, "{{operation}}", exemplars=True),
            Query(quantile(0.5, DURATION, where=COMMITS, ago="1d"), "a day ago"),
            Query(near(f"vector({limits.parameters.commits_slow_seconds:g})", commits), "alert"),
            lines={"alert": BAD, "a day ago": NOTED},
            width=12,
        ),
        spread(
            "Requests by duration",
            "All requests by duration, with a mark for each traced one. Two bands are two kinds of requests, or a fast "
            "and a slow server.",
            DURATION,
            width=24,
        ),
    ]


def _stuck(limits: Limits) -> list[Panel]:
    oldest = select("zookeeper_client_oldest_request_age_seconds")
    return [
        graph(
            "Unanswered requests",
            "Requests that are queued or not yet answered. It must return to 0 between bursts; if it only grows, the "
            "server does not answer.",
            "short",
            Query(over("max", ONE, select("zookeeper_client_requests_outstanding")), NAME),
            width=8,
        ),
        graph(
            "Oldest request",
            "How long the oldest request has waited. A rise of one second a second is a stuck server or a dead "
            "connection that is not noticed yet; it ends after the session timeout at the latest. The dashed line is "
            "the alert's limit for reads of a tree.",
            "s",
            Query(over("max", ONE, oldest), NAME),
            Query(near(in_timeouts(limits.parameters.stuck_timeouts), oldest), "alert"),
            lines={"alert": BAD},
            width=8,
        ),
        graph(
            "Time since last heard, over time",
            "Time since the client last heard from the server, as a share of the session timeout, on a logarithmic "
            "scale. Up to a third is healthy. If it repeatedly nears 100 %, the process pauses, or the timeout is too "
            "short.",
            "percentunit",
            Query(over("max", ONE, silence()), NAME),
            limit=limits.silence,
            log_above=0.1,
            width=8,
        ),
    ]


def _traffic() -> list[Panel]:
    return [
        graph(
            "Bytes",
            "Bytes sent and received a second. A peak of received bytes is a sync, which reads a whole tree.",
            "Bps",
            Query(per_second("zookeeper_client_received_bytes_total"), "received"),
            Query(per_second("zookeeper_client_sent_bytes_total"), "sent"),
            width=6,
        ),
        graph(
            "Watch events",
            "Watch events received a second. Child events come from one-shot watches only.",
            "cps",
            Query(per_second("zookeeper_client_watch_events_total", "event"), "{{event}}"),
            colors={"created": "green", "changed": "blue", "deleted": "red", "child": "purple"},
            width=6,
        ),
        graph(
            "Watches",
            "Watches that the client holds. Normal is one recursive watch for each tree, or with shards one for each "
            "first-level znode. Thousands of data and child watches come from the classic strategy, which loads the "
            "ensemble.",
            "short",
            Query(over("max", ("kind",), select("zookeeper_client_watches")), "{{kind}}"),
            width=6,
        ),
        graph(
            "Transactions behind the newest",
            "How many transactions each exporter's latest reply is behind the most recent one of all, on a "
            "logarithmic scale. Exporters on a lagging server stay behind; an election adds a jump.",
            "short",
            Query(_behind(), NAME),
            log_above=10,
            width=6,
        ),
    ]


def _trees(limits: Limits) -> list[Panel]:
    link = frame.to_tree("${ensemble}", "${__field.labels.tree}")
    return [
        graph(
            "Staleness of its trees",
            "Staleness as a share of the tree's own limit, on a logarithmic scale; the dashed lines are the alerts' "
            "limits. If all trees of a session become stale together, the session is the cause; if one does, look at "
            "that tree. Click a line to open the tree.",
            "percentunit",
            Query(over("max", ("tree",), staleness_ratio()), "{{tree}}"),
            limit=limits.staleness,
            log_above=0.1,
            link=link,
        ),
        graph(
            "Unanswered reads of its trees",
            "Which tree uses the session. A tree with many reads delays the others: give it a rate limit "
            "(max_nodes_per_second) or a session of its own.",
            "short",
            Query(over("max", ("tree",), select("zookeeper_cache_outstanding_operations")), "{{tree}}"),
            link=link,
        ),
    ]


def _errors() -> str:
    """Errors a second; 0 for the session while there are no errors."""
    errors = per_second("zookeeper_client_request_errors_total", "operation", "error", where=FAILED)
    none = f"0 * {per_second(f'{DURATION}_count')}"
    return f'{errors} or label_replace({none}, "error", "none", "", "")'


def _behind() -> str:
    zxid = select("zookeeper_client_last_zxid")
    return over("max", ONE, f"scalar(max({zxid})) - {zxid}")
