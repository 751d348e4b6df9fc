"""Tree: one tree of one ensemble; whether its caches can be trusted, and if not, why."""

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

#: For each alert, the panel that shows why it fires.
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
        "One tree: whether its caches are complete, how far behind ZooKeeper they are, and why.",
        [
            frame.Row("Can this tree be trusted now?", _trust(limits)),
            frame.Row("How fresh has it been?", _freshness(limits)),
            frame.Row("Is it complete and correct?", _completeness()),
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
            "How far behind ZooKeeper the cache may be, as a share of the tree's own limit; the next row shows it in "
            "seconds. If it grows, check there whether freshness checks fail, then look at waiting reads and at the "
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
            f"Fresh: complete, with a staleness of at most {limits.stale}. Very stale: more than "
            f"{limits.very_stale}. Loading: readers see only a part of the tree; if this persists, look at unanswered "
            "reads and faults below.",
            "none",
            states.cache(limits, *ONE),
            legend=NAME,
            states=states.CACHE_STATES,
            width=6,
        ),
        value(
            "Fresh in the time range",
            f"The share of the time range in which staleness was at most {limits.fresh}: averaged over the replicas of "
            "a shard, for the worst shard. The objective is "
            f"{limits.parameters.slo_objective:.4%}; if it is missed, the graph of freshness shows when.",
            "percentunit",
            f"1 - avg_over_time(({share_beyond(limits.fresh)})[$__range:15s])",
            limit=limits.freshness,
            decimals=2,
            absent="never verified",
            width=3,
        ),
        value(
            "Znodes of the tree",
            "Znodes of the whole tree: the maximum of a shard's replicas, summed over shards, each of which has the "
            "tree's root. Compare with zkCli: missing znodes may be unreadable, or in a shard that no exporter holds.",
            "short",
            over("sum", (), whole(("kind",), select("zookeeper_cache_nodes"))),
            width=3,
        ),
        value(
            "Audit mismatches",
            "Znodes in the time range whose cached copy differed from ZooKeeper in two comparisons in a row. This must "
            "always be 0. The cache has corrected them; save the log and a scrape first, as the runbook says.",
            "short",
            in_range("zookeeper_cache_audit_mismatches_total"),
            limit=NEVER,
            decimals=0,
            width=3,
        ),
        words(
            "Root and mode",
            "The tree's root and strategy. recursive: one watch for the whole tree. classic: watches on each znode, "
            "slower, for servers without recursive watches. If it is classic with a new server, look at the log.",
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
            "A sawtooth as high as the time between two freshness checks is normal. A rise of one second a second "
            "means that checks have stopped. The dashed lines are the alerts' limits. The scale is logarithmic.",
            "s",
            Query(over("max", ONE, staleness()), NAME),
            Query(over("min", (), allowed(limits.stale)), "warns"),
            Query(over("min", (), allowed(limits.very_stale)), "pages"),
            lines=LAG_LINES,
            log_above=1,
        ),
        graph(
            "Freshness of each cache",
            f"The share of the time in which the cache's staleness was at most {limits.fresh}; the line is the "
            "objective, for all caches together. Dips with a resync are interruptions; dips without one are load or a "
            "slow quorum.",
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
            f"Fresh: complete, with a staleness of at most {limits.stale}. Very stale: more than "
            f"{limits.very_stale}. Loading: not complete yet. Unverified: no freshness check has succeeded yet. A gap: "
            "the exporter was not scraped.",
            Query(states.cache(limits, *ONE), NAME),
            states.CACHE_STATES,
            width=8,
            height=6,
        ),
        graph(
            "Freshness check duration",
            "From sending the barrier to the end of all reads that the check waits for, on a logarithmic scale. At the "
            "dashed line, the timeout, a check fails. Long checks keep staleness high: look at the quorum's disks and "
            "at the number of changes.",
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
            "A check fails when the connection is cut, the barrier is refused, or the check takes too long. "
            "Timeouts while connected mean that ZooKeeper has no quorum or cannot keep up.",
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
            "Znodes of the whole tree: the maximum of replicas, the sum of shards. Ephemeral znodes that vanish "
            "together belong to a session of an application that ended; persistent ones that only grow are a leak.",
            "short",
            Query(whole(("kind",), select("zookeeper_cache_nodes")), "{{kind}}"),
            stacked=True,
            colors=KINDS,
            width=6,
        ),
        graph(
            "Znodes of each cache",
            "Replicas have the same number, shards have different parts. A sudden drop means that someone deleted a "
            "subtree, or that the exporter may no longer read it: compare with zkCli before blaming the cache.",
            "short",
            Query(over("sum", ONE, select("zookeeper_cache_nodes")), NAME),
            width=6,
        ),
        graph(
            "Data",
            "Bytes of data in the tree's znodes. If it grows while the number of znodes does not, an application "
            "stores too much in one of them; ZooKeeper refuses more than about a megabyte per znode.",
            "bytes",
            Query(over("max", ONE, select("zookeeper_cache_data_bytes")), NAME),
            width=6,
        ),
        graph(
            "Unreadable znodes and faults",
            "Znodes that the exporter may not read are not in the cache: grant its user read permission, or exclude "
            "them. Unsettled: ZooKeeper's answers about the znode contradict each other. The log names the znode or "
            "the listener of each fault.",
            "short",
            Query(whole((), select("zookeeper_cache_unreadable_nodes")), "unreadable znodes"),
            Query(whole((), select("zookeeper_cache_unsettled_nodes")), "unsettled znodes"),
            Query(lately("zookeeper_cache_faults_total", "kind"), "fault: {{kind}}"),
            Query(lately("zookeeper_cache_engine_restarts_total"), "engine restarts"),
            width=6,
        ),
        graph(
            "Audits",
            "How often the cache was compared with ZooKeeper. Without audits, because they are off or stuck, a wrong "
            "cache goes unnoticed.",
            "short",
            Query(lately("zookeeper_cache_audits_total", *ONE), NAME),
            bars=True,
            width=8,
            height=6,
        ),
        graph(
            "Znodes audited",
            "Znodes a second that audits read and compared, and those that they skipped, by reason. With a sample "
            "(audit.sample) each audit compares other znodes; the size of the tree divided by this rate is the time "
            "until all are compared. Znodes that are always skipped are never compared.",
            "cps",
            Query(per_second("zookeeper_cache_audited_nodes_total", *ONE), NAME),
            Query(per_second("zookeeper_cache_audit_skipped_nodes_total", "reason"), "skipped: {{reason}}"),
            width=8,
            height=6,
        ),
        graph(
            "Audit mismatches by kind",
            "missing: ZooKeeper has the znode, the cache does not. extra: the other way round. stale: both have it, "
            "but differ. None of these may ever happen: follow the runbook.",
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
            "Tree events a second: the maximum of replicas, the sum of shards. A burst that coincides with staleness "
            "is load: find the application that writes. If added and removed rise together, something keeps "
            "restarting.",
            "cps",
            Query(changes("event"), "{{event}}"),
            colors=CHANGE_COLORS,
        ),
        graph(
            "Waiting now",
            "Changed znodes still to be read, reads not yet answered, and events not yet delivered to listeners. If "
            "the first two grow, ZooKeeper does not keep up; if the third grows, a listener is slow.",
            "short",
            Query(over("max", (), select("zookeeper_cache_pending_paths")), "znodes to read"),
            Query(over("max", (), select("zookeeper_cache_outstanding_operations")), "unanswered reads"),
            Query(over("max", (), select("zookeeper_cache_undelivered_events")), "undelivered events"),
            width=6,
        ),
        graph(
            "Oldest read",
            "How long the oldest read has waited for its reply. It must return to 0; a rise of one second a second is "
            "a stuck server or a dead connection that is not noticed yet. The dashed line is the alert's limit.",
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
            "From the watch event until the change is in the cache. A second band above the first is reads that wait; "
            "click a mark to open its trace, which shows what they wait for.",
            refresh,
            width=8,
        ),
        spread(
            "Propagation delay",
            "From the write in ZooKeeper until the change is in the cache, by the clocks of both: if the whole band is "
            "shifted, the clocks differ. The part beyond the refresh duration passed before the watch event arrived.",
            propagation,
            width=8,
        ),
        graph(
            "Change latency",
            "The time within which half of the changes, and 99 of 100, were in the cache. If only the second grows, "
            "bursts queue up; if both grow, every read is slow.",
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
            "How often the cache read the whole tree, and why. It must after a reconnection and after a lost "
            "session; more than a few an hour mean that the connection flaps.",
            "short",
            Query(lately("zookeeper_cache_syncs_total", "reason"), "{{reason}}"),
            bars=True,
            colors={"start": "green", "reconnect": "orange", "session_lost": "red"},
            width=8,
        ),
        graph(
            "Sync duration",
            "How long it took until the cache was complete again, in proportion to the number of znodes. If it grows "
            "for the same tree, the server is slow, or the rate limit (max_nodes_per_second) applies.",
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
            "All syncs in the time range, by duration. For those far above the rest, open the trace.",
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
            "to another thread. An exporter has no listeners and shows nothing here.",
            listener,
            traced=False,
            absent="no listener was called; exporters have none",
        ),
        graph(
            "Listeners busy",
            "The share of the time in which an application's listeners are busy. At 100 % events queue up without "
            "end. An exporter has no listeners and stays at 0.",
            "percentunit",
            Query(per_second(f"{listener}_sum", *ONE), NAME),
            limit=limits.listeners,
        ),
    ]
