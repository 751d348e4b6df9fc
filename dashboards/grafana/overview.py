"""Overview: every ensemble and every cache of every tree on one screen, the worst first."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana import frame, states
from dashboards.grafana.limits import ANY, NEVER, SOME, Limits
from dashboards.grafana.panels import BAD, Column, Panel, Query, graph, listing, timeline, value
from dashboards.grafana.promql import (
    CACHE,
    COMMITS,
    READS,
    SESSION,
    beyond,
    changes,
    error_ratio,
    in_range,
    in_timeouts,
    lately,
    missing_shards,
    near,
    of_exporters,
    over,
    quantile,
    scraped,
    select,
    silence,
    staleness,
    staleness_ratio,
    waiting,
)

CACHE_NAME = "{{ensemble}} {{tree}} · {{instance}}"
SESSION_NAME = "{{ensemble}} · {{instance}}"
TREE_OF_SERIES = frame.to_tree("${__field.labels.ensemble}", "${__field.labels.tree}")
TREE_OF_ROW = frame.to_tree("${__data.fields.Ensemble}", "${__data.fields.Tree}")
SESSION_OF_SERIES = frame.to_client("${__field.labels.ensemble}")
SESSION_OF_ROW = frame.to_client("${__data.fields.Ensemble}")

DURATION = "zookeeper_client_request_duration_seconds"

#: The panel that shows why an alert fires, by the alert.
ALERTS = {
    "TreeCacheExporterAbsent": "Exporters down",
    "TreeCacheConfigReloadFailed": "Versions and configuration",
    "TreeCacheMemoryNearLimit": "Memory",
    "TreeCacheShardMissing": "Shards missing",
    "TreeCacheShardDouble": "Versions and configuration",
    "TreeCacheClientDown": "Sessions down",
    "TreeCacheSessionLost": "Sessions lost",
    "TreeCacheLag": "Stale caches",
    "TreeCacheNotInitialized": "Trees still loading",
    "TreeCacheAuditMismatch": "Audit mismatches",
    "TreeCacheRequestErrors": "Requests that fail",
    "TreeCacheRequestLatency": "Reads, 99th percentile",
    "TreeCacheCommitsSlow": "Commits, median",
    "TreeCacheFailed": "Caches failed",
    "TreeCacheUnreadableNodes": "Unreadable znodes",
}


def overview(limits: Limits) -> Dashboard:
    """The dashboard to open first."""
    return frame.assemble(
        "Overview",
        "Every ZooKeeper ensemble and every cache of a tree that the exporters hold: what is wrong, since when, and "
        "why.",
        [
            frame.Row("Is anything wrong now?", _alarms(limits)),
            frame.Row("Which caches and which sessions?", _worst(limits)),
            frame.Row("Since when?", _history(limits)),
            frame.Row("Is it ZooKeeper, the network or the load?", _causes(limits)),
            frame.Row("Are the exporters themselves well?", _exporters()),
        ],
        one=(),
        alerts=ALERTS,
        limits=limits,
    )


def _alarms(limits: Limits) -> list[Panel]:
    return [
        value(
            "Exporters down",
            "Exporters, and applications with their metrics, that Prometheus cannot scrape. Their trees are unknown, "
            "not well. Look at the process and its log, then at the network between it and Prometheus.",
            "short",
            f"sum(1 - ({scraped()}))",
            limit=NEVER,
            width=4,
        ),
        value(
            "Shards missing",
            "Shards that no exporter holds, of the jobs and instances that are chosen: nobody watches that part of "
            "each tree. The table of versions shows which shards there are; start the exporter of the one that is "
            "not.",
            "short",
            missing_shards(),
            limit=NEVER,
            absent="no shards",
            width=4,
        ),
        value(
            "Sessions down",
            "Clients without a connection. If all instances of one ensemble are affected, look at ZooKeeper; if one "
            "is, at its network. The table of sessions shows which.",
            "short",
            f"sum(1 - {select('zookeeper_client_up')})",
            limit=NEVER,
            width=4,
        ),
        value(
            "Sessions lost",
            "Sessions that ended against the client's will in the time range. Each forces a resync. Look for long "
            "pauses of the exporter, for elections in ZooKeeper, and for a session timeout that is too short.",
            "short",
            in_range("zookeeper_client_sessions_lost_total"),
            limit=SOME,
            decimals=0,
            width=4,
        ),
        value(
            "Caches failed",
            "Caches whose engine ended by an error, or that were closed: they are not kept up to date. The exporter "
            "starts a failed one again by itself; when it stays, the log has the reason and a traceback.",
            "short",
            over("sum", (), select("zookeeper_cache_state", 'state=~"failed|closed"')),
            limit=NEVER,
            width=4,
        ),
        value(
            "Audit mismatches",
            "Znodes in the time range whose cached copy differed from ZooKeeper, found twice in a row. This must be "
            "0 for ever. They have been read again by themselves: secure the log and a scrape first, as the runbook "
            "says.",
            "short",
            in_range("zookeeper_cache_audit_mismatches_total"),
            limit=NEVER,
            decimals=0,
            width=4,
        ),
        value(
            "Stale caches",
            f"Caches whose staleness is above {limits.stale}. The table shows which they are: open the tree, and see "
            "whether its session, its reads or its quorum is the reason.",
            "short",
            over("sum", (), beyond(limits.stale)),
            limit=SOME,
            absent="none verified",
            width=4,
        ),
        value(
            "Trees still loading",
            "Caches whose first load of the session is not complete. Applications that read them see too little. "
            "Large trees take a while; when it stays, look at reads waiting and at faults on the tree's dashboard.",
            "short",
            over("sum", (), select("zookeeper_cache_state", 'state="loading"')),
            limit=SOME,
            width=4,
        ),
        value(
            "Roots missing",
            "Caches whose root does not exist in ZooKeeper: they are empty, and come alive when it is created. Look "
            "for a deletion, a misspelt path, or a chroot that is given twice.",
            "short",
            over("sum", (), select("zookeeper_cache_root_state", 'state="missing"')),
            limit=SOME,
            width=4,
        ),
        value(
            "Roots unreadable",
            "Caches whose root the exporter may not read: they know nothing of the tree. Give its user the right to "
            "read (setAcl), or the exporter the credentials of one that has it.",
            "short",
            over("sum", (), select("zookeeper_cache_root_state", 'state="unreadable"')),
            limit=NEVER,
            width=4,
        ),
        value(
            "Unreadable znodes",
            "Znodes that the exporter may not read: their data and what is below them is missing in the caches. The "
            "table shows in which; give the exporter the right to read them, or exclude them.",
            "short",
            over("sum", (), select("zookeeper_cache_unreadable_nodes")),
            limit=ANY,
            width=4,
        ),
        value(
            "Unsettled znodes",
            "Znodes about which ZooKeeper contradicts itself, as a listed child that does not exist. The log names "
            "them. It settles by itself where it is a matter of moments; what stays is a damaged server.",
            "short",
            over("sum", (), select("zookeeper_cache_unsettled_nodes")),
            limit=SOME,
            width=4,
        ),
    ]


def _worst(limits: Limits) -> list[Panel]:
    return [
        listing(
            "Caches, the stalest first",
            "One row for each cache of a tree. Of limit is the staleness as a share of the cache's own limit. "
            "Start with the first row: a click on the tree's name shows why. Rows of one ensemble that are bad "
            "together point at its session, a single bad row at the tree.",
            [
                Column("Ensemble", label="ensemble", link=SESSION_OF_ROW),
                Column("Tree", label="tree", link=TREE_OF_ROW),
                Column("Instance", label="instance"),
                Column("Staleness", over("max", CACHE, staleness()), "s", decimals=1),
                Column(
                    "Of limit",
                    over("max", CACHE, staleness_ratio()),
                    "percentunit",
                    limit=limits.staleness,
                    decimals=0,
                ),
                Column("State", states.cache(limits, *CACHE), "none", states=states.CACHE_STATES),
                Column("Znodes", over("sum", CACHE, select("zookeeper_cache_nodes")), "short"),
                Column("Data", over("sum", CACHE, select("zookeeper_cache_data_bytes")), "bytes"),
                Column("Unreadable", over("sum", CACHE, select("zookeeper_cache_unreadable_nodes")), limit=ANY),
                Column("Unread changes", over("sum", CACHE, select("zookeeper_cache_pending_paths"))),
                Column("Undelivered events", over("sum", CACHE, select("zookeeper_cache_undelivered_events"))),
                Column("Resyncs", in_range("zookeeper_cache_syncs_total", *CACHE, where='reason!="start"'), decimals=0),
                Column("Faults", in_range("zookeeper_cache_faults_total", *CACHE), limit=SOME, decimals=0),
            ],
            worst_first="Of limit",
            height=11,
        ),
        listing(
            "Sessions, the most silent first",
            "One row for each session with an ensemble. Last heard is the time since a word from the server, as a "
            "share of the session timeout; at 100 % the ensemble may expire the session. The age of the oldest "
            "request is such a share, too. A click on the ensemble shows its requests.",
            [
                Column("Ensemble", label="ensemble", link=SESSION_OF_ROW),
                Column("Instance", label="instance"),
                Column("State", states.session(*SESSION), "none", states=states.SESSION_STATES),
                Column("Last heard", over("max", SESSION, silence()), "percentunit", limit=limits.silence, decimals=0),
                Column("Timeout", over("max", SESSION, select("zookeeper_client_session_timeout_seconds")), "s"),
                Column("Lost", in_range("zookeeper_client_sessions_lost_total", *SESSION), limit=SOME, decimals=0),
                Column(
                    "Attempts",
                    in_range("zookeeper_client_connection_attempts_total", *SESSION),
                    decimals=0,
                ),
                Column(
                    "Failed attempts",
                    in_range("zookeeper_client_connection_failures_total", *SESSION),
                    limit=SOME,
                    decimals=0,
                ),
                Column("Unanswered requests", over("sum", SESSION, select("zookeeper_client_requests_outstanding"))),
                Column(
                    "Oldest request",
                    over("max", SESSION, waiting()),
                    "percentunit",
                    limit=limits.waiting,
                    decimals=0,
                ),
            ],
            worst_first="Last heard",
            height=7,
        ),
    ]


def _history(limits: Limits) -> list[Panel]:
    return [
        timeline(
            "Sessions",
            "The state of each session. Orange is a connection that is gone and may come back, red a session that "
            "is lost, a gap an exporter that was not scraped. Several sessions that turn at the same time point at "
            "ZooKeeper.",
            Query(states.session(*SESSION), SESSION_NAME),
            states.SESSION_STATES,
            link=SESSION_OF_SERIES,
        ),
        timeline(
            "Caches",
            f"Fresh is complete and at most {limits.stale} old, very stale more than {limits.very_stale}; loading "
            "has no complete state yet, unverified no freshness check yet. A cache that is stale while its session "
            "is connected points at slow reads or at a quorum that does not answer.",
            Query(states.cache(limits, *CACHE), CACHE_NAME),
            states.CACHE_STATES,
            link=TREE_OF_SERIES,
        ),
        graph(
            "Staleness of the five stalest",
            "Staleness as a share of each cache's own limit, which the dashed lines are at: there the alerts begin. "
            "Teeth up to the time between two freshness checks are normal; a steady rise means that checks have "
            "stopped. The scale is logarithmic.",
            "percentunit",
            Query(f"topk(5, {over('max', CACHE, staleness_ratio())})", CACHE_NAME),
            limit=limits.staleness,
            log_above=0.1,
            link=TREE_OF_SERIES,
        ),
        graph(
            "Sessions lost and resyncs",
            "Every lost session and every lost connection forces a resync: the tree is read again and compared. "
            "More than a few an hour is flapping; look at the reasons on the client's dashboard.",
            "short",
            Query(lately("zookeeper_client_sessions_lost_total", "reason"), "session lost: {{reason}}"),
            Query(lately("zookeeper_cache_syncs_total", "reason"), "sync: {{reason}}"),
            bars=True,
        ),
    ]


def _causes(limits: Limits) -> list[Panel]:
    reads = quantile(0.99, DURATION, "ensemble", where=READS)
    commits = quantile(0.5, DURATION, "ensemble", where=COMMITS)
    return [
        graph(
            "Changes",
            "Znodes added, updated and removed a second, by tree: of replicas the most, of shards the sum. A burst "
            "that coincides with staleness is load: find the application that writes. Silence of a tree that is never "
            "silent is as suspicious.",
            "cps",
            Query(f"topk(5, {changes('ensemble', 'tree')})", "{{ensemble}} {{tree}}"),
            link=TREE_OF_SERIES,
            width=6,
        ),
        graph(
            "Reads, 99th percentile",
            "How long ZooKeeper takes to answer 99 of 100 reads from its memory. All ensembles at once points at the "
            "network or at starved exporters, one ensemble at its servers' processors and heaps. The dashed line is "
            "where the alert begins for the shortest session timeout.",
            "s",
            Query(reads, "{{ensemble}}", exemplars=True),
            Query(near(in_timeouts(limits.parameters.request_latency_ratio), reads), "alert"),
            lines={"alert": BAD},
            link=SESSION_OF_SERIES,
            width=6,
        ),
        graph(
            "Commits, median",
            "How long half of the requests take that wait for a majority of the servers, freshness checks among them. "
            "Slow commits beside quick reads are the servers' disks, or the network between them. The dashed line is "
            "where the alert begins.",
            "s",
            Query(commits, "{{ensemble}}", exemplars=True),
            Query(near(f"vector({limits.parameters.commits_slow_seconds:g})", commits), "alert"),
            lines={"alert": BAD},
            link=SESSION_OF_SERIES,
            width=6,
        ),
        graph(
            "Requests that fail",
            "The share of requests that ended in an error, answers such as NONODE left out. Connection losses come "
            "in bursts with suspended sessions; anything else is on the client's dashboard, by error.",
            "percentunit",
            Query(error_ratio("ensemble"), "{{ensemble}}"),
            limit=limits.errors,
            link=SESSION_OF_SERIES,
            width=6,
        ),
    ]


def _exporters() -> list[Panel]:
    memory = of_exporters(select("process_resident_memory_bytes"))
    limit = f"(min({select('treecache_exporter_memory_limit_bytes')} > 0) or vector(Inf))"
    return [
        timeline(
            "Scrapes",
            "Whether Prometheus could scrape each exporter. A gap before red is a target that was not known yet; "
            "red means that it does not answer: look at the process, and at what else uses its processor.",
            Query(over("max", ("instance",), scraped()), "{{instance}}"),
            states.UP,
            width=8,
            height=8,
        ),
        graph(
            "Memory",
            "What each exporter holds in memory; znodes are the bulk of it. When it nears the lowest limit, the dashed "
            "line, shard the trees or keep sizes only (keep_data: false); the alert begins before.",
            "bytes",
            Query(over("max", ("instance",), memory), "{{instance}}"),
            Query(near(limit, memory), "limit"),
            lines={"limit": BAD},
            width=8,
        ),
        graph(
            "Processor",
            "Processor seconds that each exporter uses a second. Near 1 it falls behind: its caches are stale although "
            "ZooKeeper answers. Give it a processor of its own, or shard the trees.",
            "percentunit",
            Query(
                over(
                    "max", ("instance",), of_exporters(f"rate({select('process_cpu_seconds_total')}[$__rate_interval])")
                ),
                "{{instance}}",
            ),
            width=8,
        ),
        listing(
            "Versions and configuration",
            'One row for each exporter. All replicas of a job say the same after "of", and hold each shard equally '
            "often. A configuration that was not accepted leaves the last good one in force: the log names the line. "
            "Spans are dropped when the collector of traces does not keep up. A memory limit of 0 is none.",
            [
                Column("Instance", label="instance"),
                Column("Version", label="version"),
                Column("Python", label="python_version"),
                Column("Shard", _build("treecache_exporter_shard_ordinal")),
                Column("of", _build("treecache_exporter_shards")),
                Column(
                    "Configuration",
                    _build("treecache_exporter_config_last_reload_successful"),
                    "none",
                    states={0: states.UP[0]._replace(text="refused"), 1: states.UP[1]._replace(text="accepted")},
                ),
                Column(
                    "Read",
                    f"1000 * ({_build('treecache_exporter_config_last_reload_success_timestamp_seconds')})",
                    "dateTimeFromNow",
                ),
                Column("Started", f"1000 * ({_build('process_start_time_seconds')})", "dateTimeFromNow"),
                Column("Memory limit", _build("treecache_exporter_memory_limit_bytes"), "bytes"),
                Column(
                    "Spans dropped",
                    _build(in_range("treecache_exporter_spans_dropped_total", "job", "instance"), bare=True),
                    limit=SOME,
                    decimals=0,
                ),
            ],
            worst_first="Configuration",
            descending=False,
            height=6,
        ),
    ]


def _build(expression: str, *, bare: bool = False) -> str:
    """A number of each exporter, with the versions that it runs as labels."""
    number = expression if bare else select(expression)
    info = select("treecache_exporter_build_info")
    joined = f"({number}) * on (job, instance) group_left (version, python_version) {info}"
    return over("max", ("instance", "version", "python_version"), joined)
