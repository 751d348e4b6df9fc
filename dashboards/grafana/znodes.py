"""Znodes: what the rules say about what is in the trees, whether it is true, and what fills the trees."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana import frame
from dashboards.grafana.limits import ANY, SOME, Limits
from dashboards.grafana.panels import BAD, GOOD, Panel, Query, State, graph, timeline, value
from dashboards.grafana.promql import (
    OWNERS,
    made,
    near_limit,
    over,
    select,
    staleness_ratio,
    used_quota,
    whole,
)

TREE = ("ensemble", "tree")
NAME = "{{ensemble}} {{tree}}"
#: Names that are no counts or numbers: texts, counters and points in time, and owners.
_NO_NUMBERS = "(.+_info|.+_total|.+_timestamp_seconds|.+_candidates|rule_.+)"

#: For each alert, the panel that shows why it fires.
ALERTS = {
    "TreeCacheRuleUnusable": "Unusable znodes",
    "TreeCacheRuleSeriesDropped": "Series above the limit of their rule",
    "TreeCacheNearSizeLimit": "Znodes near the size limit",
    "TreeCacheSizeLimitAhead": "Largest znodes and lists of children",
    "TreeCacheSubtreeVanished": "Znodes by subtree",
    "TreeCacheQuotaNearlyUsed": "Quotas used",
}


def znodes(limits: Limits) -> Dashboard:
    """The dashboard of what is in the znodes."""
    return frame.assemble(
        "Znodes",
        "What is in the trees: the metrics that rules make from znodes, how old they are, and what fills the trees.",
        [
            frame.Row("Are these numbers true now?", _truth(limits)),
            frame.Row("How many, and how much?", _numbers()),
            frame.Row("Who holds what?", _owners()),
            frame.Row("What do the rules leave out?", _left_out()),
            frame.Row("What fills the trees?", _sizes(limits)),
        ],
        one=(),
        alerts=ALERTS,
        limits=limits,
    )


def _truth(limits: Limits) -> list[Panel]:
    return [
        value(
            "Age of the numbers",
            "How far behind ZooKeeper the stalest cache may be, as a share of its tree's own limit. All numbers below "
            "are as old: if this is red, open the tree's dashboard before you trust them.",
            "percentunit",
            over("max", (), staleness_ratio()),
            limit=limits.staleness,
            decimals=0,
            absent="never verified",
            width=6,
        ),
        value(
            "Znodes that rules cannot use",
            "Znodes that match a rule and have no number, no JSON or no value where the rule looks. They are missing "
            "from the metric of the rule; the page of an exporter names some of them.",
            "short",
            over("sum", (), over("max", (*TREE, "rule", "reason"), select("zookeeper_znode_rule_unusable"))),
            limit=ANY,
            absent="no rules",
            width=6,
        ),
        value(
            "Series left out",
            "Series above the max_series of their rule. They are missing: find the label that has so many values, or "
            "raise the limit.",
            "short",
            over("sum", (), over("max", (*TREE, "rule"), select("zookeeper_znode_rule_dropped_series"))),
            limit=ANY,
            absent="no rules",
            width=6,
        ),
        value(
            "Znodes near the size limit",
            "Znodes whose data or list of children has more than 80 % of jute.maxbuffer. The page of an exporter names "
            "them: act before a write is refused, or before nobody can list the children.",
            "short",
            over("sum", (), over("max", (*TREE, "limit"), select("zookeeper_cache_nodes_near_limit"))),
            limit=SOME,
            absent="no tree",
            width=6,
        ),
    ]


def _numbers() -> list[Panel]:
    return [
        graph(
            "Counts and numbers",
            "The gauges of the rules, such as the live instances of each service, on a logarithmic scale: the maximum "
            "of replicas, the sum of shards. Compare with the age of the numbers before you act on a change.",
            "short",
            Query(made(".+", but=_NO_NUMBERS)),
            log_above=1,
            absent="no rules with numbers",
            height=10,
        ),
        graph(
            "Changes a second",
            "The counters of the rules: writes of znodes, and children that came and went, such as the tasks of a "
            "queue. A queue whose length grows while its changes do not has lost its consumers.",
            "cps",
            Query(made(".+_total", but=".+_owner_changes_total", rate=True)),
            absent="no rules with counters",
            height=10,
        ),
    ]


def _owners() -> list[Panel]:
    return [
        timeline(
            "Owners",
            "Who holds each lock, leads each election or is active. A gap: nobody does, or nobody knows, because the "
            "exporter has had no connection for longer than the session timeout. Look at the candidates beside it.",
            Query(made(".+_info", where=OWNERS)),
            {1: State("holds", GOOD)},
            height=9,
        ),
        graph(
            "Candidates",
            "How many wait for a lock, or stand for an election, the owner included. Candidates without an owner for "
            "longer than a moment are stuck: look at the first one, whose session may be hung.",
            "short",
            Query(made(".+_candidates")),
            absent="no elections",
            width=6,
            height=9,
        ),
        graph(
            "Changes of owners",
            "How often an owner changed around each point. A lock changes all the time; a leader that changes more "
            "than once in a while loses its session: look at its garbage collection and its network.",
            "short",
            Query(made(".+_owner_changes_total", increase=True)),
            bars=True,
            absent="no owners",
            width=6,
            height=9,
        ),
    ]


def _left_out() -> list[Panel]:
    unusable, dropped = "zookeeper_znode_rule_unusable", "zookeeper_znode_rule_dropped_series"
    return [
        graph(
            "Unusable znodes",
            "Znodes that a rule cannot use, by rule and reason. If the number rises after a deployment, its data has "
            "another form than the rule expects.",
            "short",
            Query(over("max", ("rule", "reason"), select(unusable)), "{{rule}}: {{reason}}"),
            absent="no rules",
        ),
        graph(
            "Series above the limit of their rule",
            "Series that a rule leaves out, because it has more than its max_series. If this grows with time, a label "
            "is unique for each znode: leave it out of `by`.",
            "short",
            Query(over("max", ("rule",), select(dropped)), "{{rule}}"),
            absent="no rules",
        ),
    ]


def _sizes(limits: Limits) -> list[Panel]:
    subtree = ("child",)
    return [
        graph(
            "Largest znodes and lists of children",
            "The data of each tree's largest znode, and its longest list of children, as a share of jute.maxbuffer. At "
            "the dashed line the alert fires; at 100 % writes are refused, and the list cannot be read any more.",
            "percentunit",
            Query(near_limit("zookeeper_cache_largest_node_bytes", *TREE), f"data {NAME}"),
            Query(near_limit("zookeeper_cache_largest_children_list_bytes", *TREE), f"children {NAME}"),
            Query(f"vector({limits.near:g}) < 4 * max({near_limit('zookeeper_cache_largest_node_bytes')})", "alert"),
            lines={"alert": BAD},
        ),
        graph(
            "Most children of one znode",
            "The number of children of the znode that has most. One that only grows is a queue without a consumer, or "
            "a leak of sequential znodes; an exporter's list of znodes sorts by children.",
            "short",
            Query(over("max", TREE, select("zookeeper_cache_largest_children_count")), NAME),
            log_above=10,
        ),
        graph(
            "Znodes by subtree",
            "Znodes at and below the children of the root, for trees with limits.subtrees. A band that vanishes is a "
            "subtree that somebody deleted; one that grows is who fills the tree.",
            "short",
            Query(whole(subtree, select("zookeeper_cache_subtree_nodes")), "{{child}}"),
            stacked=True,
            absent="no tree has limits.subtrees",
        ),
        graph(
            "Data by subtree",
            "Bytes of data at and below the children of the root. If one band grows while its znodes do not, an "
            "application stores more in each of them.",
            "bytes",
            Query(whole(subtree, select("zookeeper_cache_subtree_bytes")), "{{child}}"),
            stacked=True,
            absent="no tree has limits.subtrees",
        ),
        graph(
            "Quotas used",
            "The share of each quota's limits that is used, as the servers count. At the dashed line the alert fires. "
            "Above 100 % of a soft limit the servers log a warning; what exceeds a hard limit they refuse.",
            "percentunit",
            Query(used_quota("nodes", "nodes_limit"), "znodes {{ensemble}} {{quota}} ({{kind}})"),
            Query(used_quota("bytes", "limit_bytes"), "bytes {{ensemble}} {{quota}} ({{kind}})"),
            Query(
                f"vector({limits.parameters.quota_ratio:g}) < 4 * max({used_quota('nodes', 'nodes_limit')})", "alert"
            ),
            lines={"alert": BAD},
            absent="no quotas",
            width=24,
        ),
    ]
