"""Overview: every ensemble and every cache on one screen, the worst first."""

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

#: For each alert, the panel that shows why it fires.
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
    "TreeCacheRequestErrors": "Failed requests",
    "TreeCacheRequestLatency": "Reads, 99th percentile",
    "TreeCacheCommitsSlow": "Commits, median",
    "TreeCacheFailed": "Caches failed",
    "TreeCacheUnreadableNodes": "Unreadable znodes",
}


def overview(limits: Limits) -> Dashboard:
    """The dashboard to open first."""
    return frame.assemble(
        "Overview",
        "Every ZooKeeper ensemble and every tree cache of the exporters: what is wrong, since when, and why.",
        [
            frame.Row("Is anything wrong now?", _alarms(limits)),
            frame.Row("Which caches and which sessions?", _worst(limits)),
            frame.Row("Since when?", _history(limits)),
            frame.Row("Is it ZooKeeper, the network or the load?", _causes(limits)),
            frame.Row("Are the exporters healthy?", _exporters()),
        ],
        one=(),
        alerts=ALERTS,
        limits=limits,
    )


def _alarms(limits: Limits) -> list[Panel]:
    return [
        value(
            "Exporters down",
            "Exporters, and applications with the library's metrics, that Prometheus cannot scrape. The state of their "
            "trees is unknown. Look at the process and its log, then at the network between it and Prometheus.",
            "short",
            f"sum(1 - ({scraped()}))",
            limit=NEVER,
            width=4,
        ),
        value(
            "Shards missing",
            "Shards of the selected jobs that no exporter holds: that part of each tree is not watched. The table of "
            "versions shows which shards are held; start the exporter of the missing one.",
            "short",
            missing_shards(),
            limit=NEVER,
            absent="no shards",
            width=4,
        ),
        value(
            "Sessions down",
            "Clients without a connection; the table of sessions shows which. If all instances of one ensemble are "
            "affected, look at ZooKeeper; if only one is, at its network.",
            "short",
            f"sum(1 - {select('zookeeper_client_up')})",
            limit=NEVER,
            width=4,
        ),
        value(
            "Sessions lost",
            "Sessions lost in the time range, each of which forces a resync. Look for long pauses of the exporter, "
            "elections in ZooKeeper, and a session timeout that is too short.",
            "short",
            in_range("zookeeper_client_sessions_lost_total"),
            limit=SOME,
            decimals=0,
            width=4,
        ),
        value(
            "Caches failed",
            "Caches whose engine stopped with an error, or that were closed: they are not kept up to date. The "
            "exporter restarts a failed engine; if this persists, the log has the reason and a traceback.",
            "short",
            over("sum", (), select("zookeeper_cache_state", 'state=~"failed|closed"')),
            limit=NEVER,
            width=4,
        ),
        value(
            "Audit mismatches",
            "Znodes in the time range whose cached copy differed from ZooKeeper in two comparisons in a row. This must "
            "always be 0. The cache has corrected them; save the log and a scrape first, as the runbook says.",
            "short",
            in_range("zookeeper_cache_audit_mismatches_total"),
            limit=NEVER,
            decimals=0,
            width=4,
        ),
        value(
            "Stale caches",
            f"Caches whose staleness is above {limits.stale}. The table shows which: open the tree to see whether "
            "the session, the reads or the quorum is the cause.",
            "short",
            over("sum", (), beyond(limits.stale)),
            limit=SOME,
            absent="none verified",
            width=4,
        ),
        value(
            "Trees still loading",
            "Caches whose first sync is not complete, so that readers see only a part of the tree. Large trees take a "
            "while; if this persists, look at unanswered reads and faults on the tree's dashboard.",
            "short",
            over("sum", (), select("zookeeper_cache_state", 'state="loading"')),
            limit=SOME,
            width=4,
        ),
        value(
            "Roots missing",
            "Caches whose root does not exist in ZooKeeper: they are empty, and fill when it is created. Look "
            "for a deletion, a misspelled path, or a chroot that is given twice.",
            "short",
            over("sum", (), select("zookeeper_cache_root_state", 'state="missing"')),
            limit=SOME,
            width=4,
        ),
        value(
            "Roots unreadable",
            "Caches whose root the exporter may not read: they hold nothing of the tree. Grant its user read "
            "permission (setAcl), or give the exporter the credentials of a user that has it.",
            "short",
            over("sum", (), select("zookeeper_cache_root_state", 'state="unreadable"')),
            limit=NEVER,
            width=4,
        ),
        value(
            "Unreadable znodes",
            "Znodes that the exporter may not read: they and everything below them are missing from the caches. The "
            "table shows from which; grant the exporter read permission, or exclude them.",
            "short",
            over("sum", (), select("zookeeper_cache_unreadable_nodes")),
            limit=ANY,
            width=4,
        ),
        value(
            "Unsettled znodes",
            "Znodes about which ZooKeeper gives contradictory answers, such as a listed child that does not exist. The "
            "log names them. Some resolve within moments; if one persists, a server is damaged.",
            "short",
            over("sum", (), select("zookeeper_cache_unsettled_nodes")),
            limit=SOME,
            width=4,
        ),
    ]


def _worst(limits: Limits) -> list[Panel]:
    return [
        listing(
            "Caches, stalest first",
            'One row for each cache. "Of limit" is the staleness as a share of the cache\'s own limit. Start with the '
            "first row: click the tree's name to see why it is stale. If all rows of one ensemble are bad, look at its "
            "session; if only one is, at the tree.",
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
            "Sessions, longest unheard first",
            'One row for each session. "Last heard" is the time since the client last heard from the server, and '
            '"Oldest request" the age of its oldest request, both as a share of the session timeout; after 100 % '
            "without a message the ensemble may expire the session. Click the ensemble to see its requests.",
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
            "The state of each session. Orange: the connection is cut, the session may survive. Red: the session is "
            "lost. A gap: the exporter was not scraped. If several sessions change together, look at ZooKeeper.",
            Query(states.session(*SESSION), SESSION_NAME),
            states.SESSION_STATES,
            link=SESSION_OF_SERIES,
        ),
        timeline(
            "Caches",
            f"Fresh: complete, with a staleness of at most {limits.stale}. Very stale: more than "
            f"{limits.very_stale}. Loading: not complete yet. Unverified: no freshness check has succeeded yet. If a "
            "cache is stale while its session is connected, reads are slow or the quorum does not answer.",
            Query(states.cache(limits, *CACHE), CACHE_NAME),
            states.CACHE_STATES,
            link=TREE_OF_SERIES,
        ),
        graph(
            "Staleness of the five stalest caches",
            "Staleness as a share of each cache's own limit, on a logarithmic scale; above the dashed lines, alerts "
            "fire. A sawtooth as high as the time between two freshness checks is normal; a steady rise means that "
            "checks have stopped.",
            "percentunit",
            Query(f"topk(5, {over('max', CACHE, staleness_ratio())})", CACHE_NAME),
            limit=limits.staleness,
            log_above=0.1,
            link=TREE_OF_SERIES,
        ),
        graph(
            "Sessions lost and resyncs",
            "Every lost session and every lost connection forces a resync: the cache reads the whole tree again. "
            "More than a few an hour is flapping; see the reasons on the client's dashboard.",
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
            "Znodes added, updated and removed a second, by tree: the maximum of replicas, the sum of shards. A burst "
            "that coincides with staleness is load: find the application that writes. No changes in a tree that "
            "normally changes are suspicious too.",
            "cps",
            Query(f"topk(5, {changes('ensemble', 'tree')})", "{{ensemble}} {{tree}}"),
            link=TREE_OF_SERIES,
            width=6,
        ),
        graph(
            "Reads, 99th percentile",
            "The time within which ZooKeeper answers 99 of 100 reads from its memory. If all ensembles are slow, look "
            "at the network and at starved exporters; if one is, at its servers' CPUs and heaps. The dashed line is "
            "the alert's limit for the shortest session timeout.",
            "s",
            Query(reads, "{{ensemble}}", exemplars=True),
            Query(near(in_timeouts(limits.parameters.request_latency_ratio), reads), "alert"),
            lines={"alert": BAD},
            link=SESSION_OF_SERIES,
            width=6,
        ),
        graph(
            "Commits, median",
            "The time within which half of the requests that wait for a majority of the servers are answered, "
            "freshness checks included. If commits are slow and reads are not, look at the servers' disks and the "
            "network between them. The dashed line is the alert's limit.",
            "s",
            Query(commits, "{{ensemble}}", exemplars=True),
            Query(near(f"vector({limits.parameters.commits_slow_seconds:g})", commits), "alert"),
            lines={"alert": BAD},
            link=SESSION_OF_SERIES,
            width=6,
        ),
        graph(
            "Failed requests",
            "The share of requests that failed; answers such as NONODE do not count. Connection losses come in bursts "
            "when sessions are suspended; see other errors on the client's dashboard.",
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
            "Whether Prometheus could scrape each exporter. Red: it does not answer; look at the process, and at what "
            "else uses its CPU. A gap before red: Prometheus did not know the target yet.",
            Query(over("max", ("instance",), scraped()), "{{instance}}"),
            states.UP,
            width=8,
            height=8,
        ),
        graph(
            "Memory",
            "The memory of each exporter, mostly znodes. When it nears the lowest limit, the dashed line, shard the "
            "trees or keep sizes only (keep_data: false). The alert fires before that.",
            "bytes",
            Query(over("max", ("instance",), memory), "{{instance}}"),
            Query(near(limit, memory), "limit"),
            lines={"limit": BAD},
            width=8,
        ),
        graph(
            "CPU",
            "CPU usage of each exporter, in cores. Near 100 % it falls behind, and its caches become stale although "
            "ZooKeeper answers. Give it more CPU time, or shard the trees.",
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
            'One row for each exporter. All exporters of a job must have the same number of shards ("of"), and each '
            "shard as many exporters as the others. After a refused configuration the last good one stays in use; the "
            "log names the error. Spans are dropped when the trace collector does not keep up. A memory limit of 0 "
            "means no limit.",
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
    """A number of each exporter, with its versions as labels."""
    number = expression if bare else select(expression)
    info = select("treecache_exporter_build_info")
    joined = f"({number}) * on (job, instance) group_left (version, python_version) {info}"
    return over("max", ("instance", "version", "python_version"), joined)
