"""Tree: one tree of one ensemble; whether its caches can be trusted, and what keeps them from it."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana import frame, states
from dashboards.grafana.limits import NEVER, Limits
from dashboards.grafana.panels import BAD, LAG_LINES, Panel, Query, graph, spread, timeline, value, words
from dashboards.grafana.promql import (
    allowed,
    beyond,
    changes,
    in_range,
    in_timeouts,
    lately,
    near,
    over,
    per_second,
    quantile,
    select,
    share_beyond,
    staleness,
    staleness_ratio,
    whole,
)

ONE = ("instance",)
NAME = "{{instance}}"
KINDS = {"persistent": "blue", "ephemeral": "orange", "container": "purple", "ttl": "yellow"}
CHANGE_COLORS = {"node_added": "green", "node_updated": "blue", "node_removed": "red"}

#: The panel that shows why an alert fires, by the alert.
ALERTS = {
    "TreeCacheLag": "Staleness",
    "TreeCacheFreshnessBudgetBurn": "Fresh in the time range",
    "TreeCacheNeverVerified": "Failed freshness checks",
    "TreeCacheAuditMismatch": "Audit mismatches",
    "TreeCacheFailed": "State",
    "TreeCacheNotInitialized": "State",
    "TreeCacheRootMissing": "State",
    "TreeCacheStuck": "Oldest read",
    "TreeCacheNodesDropped": "Znodes of each cache",
    "TreeCacheNodesGrown": "Znodes of each cache",
    "TreeCacheUnreadableNodes": "Unreadable znodes and faults",
    "TreeCacheListenerSlow": "Listeners busy",
}


def tree(limits: Limits) -> Dashboard:
    """The dashboard of one tree."""
    return frame.assemble(
        "Tree",
        "One tree: whether its caches are complete, how far behind ZooKeeper they are, and what keeps them there.",
        [
            frame.Row("Can this tree be trusted now?", _trust(limits)),
            frame.Row("How fresh has it been?", _freshness(limits)),
            frame.Row("Is it complete and right?", _completeness()),
            frame.Row("What is changing?", _changes(limits)),
            frame.Row("How quickly do changes arrive?", _speed()),
            frame.Row("What did interruptions cost?", _syncs()),
            frame.Row("Do an application's listeners keep up?", _listeners(limits)),
        ],
        one=("ensemble", "tree"),
        alerts=ALERTS,
        limits=limits,
    )


def _trust(limits: Limits) -> list[Panel]:
    return [
        value(
            "Staleness",
            "How old what readers get may be at most, as a share of the tree's own limit; the next row has it in "
            "seconds. When it grows, see there whether freshness checks fail or reads wait, then look at the "
            "session.",
            "percentunit",
            over("max", ONE, staleness_ratio()),
            legend=NAME,
            limit=limits.staleness,
            decimals=0,
            absent="never verified",
            width=6,
        ),
        value(
            "State",
            f"Fresh is complete and at most {limits.stale} old, very stale more than {limits.very_stale}. While a "
            "cache is loading, readers see too little: if it stays, look at reads waiting and at faults below.",
            "none",
            states.cache(limits, *ONE),
            legend=NAME,
            states=states.CACHE_STATES,
            width=6,
        ),
        value(
            "Fresh in the time range",
            f"The share of the time range that caches were at most {limits.fresh} old: of all replicas of a shard "
            "together, and of shards that of the worst, as the alerts count. The objective is "
            f"{limits.parameters.slo_objective:.4%}: below it, find the interval in the graph of freshness.",
            "percentunit",
            f"1 - avg_over_time(({share_beyond(limits.fresh)})[$__range:15s])",
            limit=limits.freshness,
            decimals=2,
            absent="never verified",
            width=3,
        ),
        value(
            "Znodes of the tree",
            "Znodes of the whole tree: of the replicas of a shard the most, and the sum over shards, each of which "
            "has the tree's root. Compare with zkCli: what is missing may be unreadable, or in a shard that nobody "
            "holds.",
            "short",
            over("sum", (), whole(("kind",), select("zookeeper_cache_nodes"))),
            width=3,
        ),
        value(
            "Audit mismatches",
            "Znodes in the time range whose cached copy differed from ZooKeeper, found twice in a row. It must be 0 "
            "for ever. They have been read again by themselves: secure the log and a scrape first, as the runbook "
            "says.",
            "short",
            in_range("zookeeper_cache_audit_mismatches_total"),
            limit=NEVER,
            decimals=0,
            width=3,
        ),
        words(
            "Root and mode",
            "The tree's root and how the cache keeps up: recursive is one watch for the whole tree; classic is one "
            "for each znode, for servers that know no other, and slower. Classic with a new server deserves a look "
            "at the log.",
            over("max", ("path", "mode"), select("zookeeper_cache_info")),
            "{{path}} {{mode}}",
            absent="no such tree",
            width=3,
        ),
    ]


def _freshness(limits: Limits) -> list[Panel]:
    return [
        graph(
            "Staleness over time",
            "Teeth up to the time between two freshness checks are normal. A slope of one second a second means "
            "that checks have stopped. The dashed lines are where the alerts begin. The scale is logarithmic.",
            "s",
            Query(over("max", ONE, staleness()), NAME),
            Query(over("min", (), allowed(limits.stale)), "warns"),
            Query(over("min", (), allowed(limits.very_stale)), "pages"),
            lines=LAG_LINES,
            log_above=1,
        ),
        graph(
            "Freshness of each cache",
            f"The share of the time that the cache was at most {limits.fresh} old; the line is the objective, for all "
            "caches together. Dips that coincide with resyncs are interruptions, dips without one are load or a slow "
            "quorum.",
            "percentunit",
            Query(
                over("min", ONE, f"1 - avg_over_time({beyond(limits.fresh)}[$__rate_interval:$__interval])"),
                NAME,
            ),
            limit=limits.freshness,
            maximum=1,
        ),
        timeline(
            "State of the caches",
            f"Fresh is complete and at most {limits.stale} old, very stale more than {limits.very_stale}; loading "
            "has no complete state yet, unverified no freshness check yet. A gap is an exporter that was not "
            "scraped.",
            Query(states.cache(limits, *ONE), NAME),
            states.CACHE_STATES,
            width=8,
            height=6,
        ),
        graph(
            "Freshness check duration",
            "From the barrier that is sent to the end of all reads that it has to wait for. The dashed line is the "
            "timeout, where a check fails. Long checks keep staleness high: look at the quorum's disks and at the "
            "number of changes. The scale is logarithmic.",
            "s",
            Query(quantile(0.5, "zookeeper_cache_verification_duration_seconds"), "half within"),
            Query(quantile(0.99, "zookeeper_cache_verification_duration_seconds"), "99 % within", exemplars=True),
            Query(over("min", (), select("zookeeper_cache_freshness_timeout_seconds")), "timeout"),
            lines={"timeout": BAD},
            log_above=0.01,
            width=8,
            height=6,
        ),
        graph(
            "Failed freshness checks",
            "A check fails when the connection is gone, when the barrier is refused or when it takes too long. "
            "Timeouts with a living connection mean that ZooKeeper has no quorum or cannot keep up.",
            "short",
            Query(lately("zookeeper_cache_verification_failures_total", "reason"), "{{reason}}"),
            bars=True,
            width=8,
            height=6,
        ),
    ]


def _completeness() -> list[Panel]:
    return [
        graph(
            "Znodes by kind",
            "What the whole tree consists of: of replicas the most, of shards the sum. Ephemeral znodes that vanish "
            "together are a session of an application that ended; persistent ones that only grow are a leak.",
            "short",
            Query(whole(("kind",), select("zookeeper_cache_nodes")), "{{kind}}"),
            stacked=True,
            colors=KINDS,
            width=6,
        ),
        graph(
            "Znodes of each cache",
            "Replicas have as many, shards different parts. A sudden drop means that someone deleted a subtree, or "
            "that the exporter may no longer read it: compare with zkCli before blaming the cache.",
            "short",
            Query(over("sum", ONE, select("zookeeper_cache_nodes")), NAME),
            width=6,
        ),
        graph(
            "Data",
            "Bytes of data in the tree's znodes. Growth without more znodes is an application that keeps too much "
            "in one of them; ZooKeeper refuses more than about a megabyte in one.",
            "bytes",
            Query(over("max", ONE, select("zookeeper_cache_data_bytes")), NAME),
            width=6,
        ),
        graph(
            "Unreadable znodes and faults",
            "Znodes that the exporter may not read are not in the cache: give its user the right to read them, or "
            "exclude them. Unsettled are those about which ZooKeeper contradicts itself. The log names the znode, and "
            "the listener, behind a fault.",
            "short",
            Query(whole((), select("zookeeper_cache_unreadable_nodes")), "unreadable znodes"),
            Query(whole((), select("zookeeper_cache_unsettled_nodes")), "unsettled znodes"),
            Query(lately("zookeeper_cache_faults_total", "kind"), "fault: {{kind}}"),
            Query(lately("zookeeper_cache_engine_restarts_total"), "engine restarts"),
            width=6,
        ),
        graph(
            "Audits",
            "How often a tree was compared with ZooKeeper. If there are none, audits are off or stuck, and a wrong "
            "cache would not be noticed.",
            "short",
            Query(lately("zookeeper_cache_audits_total", *ONE), NAME),
            bars=True,
            width=8,
            height=6,
        ),
        graph(
            "Znodes audited",
            "Znodes a second that were read again and compared, and those that could not be, by reason. With a sample "
            "(audit.sample) every audit looks at others; divide the tree by this to see how long it takes to have seen "
            "all. Znodes that are skipped for ever are never compared.",
            "cps",
            Query(per_second("zookeeper_cache_audited_nodes_total", *ONE), NAME),
            Query(per_second("zookeeper_cache_audit_skipped_nodes_total", "reason"), "skipped: {{reason}}"),
            width=8,
            height=6,
        ),
        graph(
            "Audit mismatches by kind",
            "Missing: ZooKeeper has it, the cache does not. Extra: the other way round. Stale: both have it and "
            "differ. None of it may ever happen: follow the runbook.",
            "short",
            Query(lately("zookeeper_cache_audit_mismatches_total", "kind"), "{{kind}}"),
            bars=True,
            limit=NEVER,
            width=8,
            height=6,
        ),
    ]


def _changes(limits: Limits) -> list[Panel]:
    oldest = select("zookeeper_cache_oldest_operation_age_seconds")
    return [
        graph(
            "Changes by kind",
            "Tree events a second: of replicas the most, of shards the sum. A burst that coincides with staleness is "
            "load: find the application that writes. Added and removed in step is something that restarts over and "
            "over.",
            "cps",
            Query(changes("event"), "{{event}}"),
            colors=CHANGE_COLORS,
        ),
        graph(
            "Waiting now",
            "Znodes that changed and are to be read, reads not yet answered, and events not yet delivered to "
            "listeners. The first two growing is ZooKeeper not keeping up, the third a slow listener.",
            "short",
            Query(over("max", (), select("zookeeper_cache_pending_paths")), "znodes to read"),
            Query(over("max", (), select("zookeeper_cache_outstanding_operations")), "unanswered reads"),
            Query(over("max", (), select("zookeeper_cache_undelivered_events")), "undelivered events"),
            width=6,
        ),
        graph(
            "Oldest read",
            "How long the oldest read has been waiting for its reply. It must return to 0; a slope of one second a "
            "second is a stuck server or a cut connection that is not noticed yet. The dashed line is the alert's.",
            "s",
            Query(over("max", ONE, oldest), NAME),
            Query(near(in_timeouts(limits.parameters.stuck_timeouts), oldest), "alert"),
            lines={"alert": BAD},
            width=6,
        ),
    ]


def _speed() -> list[Panel]:
    refresh = "zookeeper_cache_refresh_duration_seconds"
    propagation = "zookeeper_cache_propagation_delay_seconds"
    return [
        spread(
            "Refresh duration",
            "From the watch event to the change in the cache. A second band above the first is reads that wait; a "
            "click on a mark leads to its trace, which shows for what.",
            refresh,
            width=8,
        ),
        spread(
            "Propagation delay",
            "From the write in ZooKeeper to the change in the cache, by two clocks: a band that is shifted as a "
            "whole is clocks that differ. Otherwise what is more than the refresh duration was spent before the "
            "watch event came.",
            propagation,
            width=8,
        ),
        graph(
            "Change latency",
            "Half of the changes, and 99 of 100, were in the cache within this time. When only the second grows, "
            "bursts queue up; when both grow, every read is slow.",
            "s",
            Query(quantile(0.5, refresh), "refresh, half"),
            Query(quantile(0.99, refresh), "refresh, 99 %", exemplars=True),
            Query(quantile(0.5, propagation), "propagation, half"),
            Query(quantile(0.99, propagation), "propagation, 99 %", exemplars=True),
            log_above=0.001,
            width=8,
        ),
    ]


def _syncs() -> list[Panel]:
    duration = "zookeeper_cache_sync_duration_seconds"
    return [
        graph(
            "Syncs",
            "How often the whole tree was read, and why. After a reconnect and after a lost session that is "
            "necessary; more than a few an hour is a connection that flaps.",
            "short",
            Query(lately("zookeeper_cache_syncs_total", "reason"), "{{reason}}"),
            bars=True,
            colors={"start": "green", "reconnect": "orange", "session_lost": "red"},
            width=8,
        ),
        graph(
            "Duration of a sync",
            "How long it took until the cache was complete again. It follows the number of znodes; longer than "
            "before for the same tree is a slow server, or the rate limit (max_nodes_per_second).",
            "s",
            Query(
                f"{per_second(f'{duration}_sum', 'reason')} / ({per_second(f'{duration}_count', 'reason')} > 0)",
                "mean: {{reason}}",
            ),
            dots=True,
            width=8,
        ),
        spread(
            "Syncs by duration",
            "All syncs in the time range, by how long they took. Those far above the rest are worth a trace.",
            duration,
            width=8,
        ),
    ]


def _listeners(limits: Limits) -> list[Panel]:
    listener = "zookeeper_cache_listener_duration_seconds"
    return [
        spread(
            "Time in listeners",
            "How long calls of an application's listeners take. Slow ones delay events, not the cache: move their work "
            "to a thread of its own. An exporter has no listeners, and nothing here.",
            listener,
            traced=False,
            absent="no listener was called: exporters have none, applications may",
        ),
        graph(
            "Listeners busy",
            "The share of the time that an application's listeners take. At 100 % events queue up without end. An "
            "exporter has no listeners, and stays at 0.",
            "percentunit",
            Query(per_second(f"{listener}_sum", *ONE), NAME),
            limit=limits.listeners,
        ),
    ]
