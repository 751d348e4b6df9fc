"""PromQL: the queries of the dashboards, bound to their variables. They need no recording rules."""

from __future__ import annotations

from dashboards.grafana.limits import Bound

#: The labels that identify a cache, and a session.
CACHE = ("ensemble", "tree", "instance")
SESSION = ("ensemble", "instance")
#: Operations that wait for a majority of the servers, freshness checks among them, as in the rules. A server answers
#: the others from memory, except those that open and close a session, and sync.
_COMMITS = "create|create2|delete|multi|setACL|setData"
COMMITS = f'operation=~"{_COMMITS}"'
READS = f'operation!~"createSession|closeSession|sync|{_COMMITS}"'
#: Some errors are answers: applications read znodes that do not exist, create ones that do, and lose races on purpose.
FAILED = 'error!~"NONODE|NODEEXISTS|BADVERSION"'
#: The states of a server, in ZooKeeper's words.
SERVER_STATES = ("leader", "standalone", "follower", "observer", "read-only")
#: The series that say who leads or holds a lock: only they have the label `owner`.
OWNERS = 'owner!=""'
#: Tree events that are about znodes, not about the connection.
CHANGES = 'event=~"node_.+"'

_INTERVAL = "zookeeper_cache_freshness_interval_seconds"
_LIMIT = "zookeeper_cache_stale_after_seconds"
_TIMEOUT = "zookeeper_client_session_timeout_seconds"
_ORDINAL = "treecache_exporter_shard_ordinal"
_LABELS = {
    "zookeeper_cache_": ("job", "instance", "ensemble", "tree"),
    "zookeeper_znode_": ("job", "instance", "ensemble", "tree"),
    "zookeeper_client_": ("job", "instance", "ensemble"),
    "zookeeper_quota_": ("job", "instance", "ensemble"),
    "zookeeper_server_": ("job", "instance", "ensemble"),
    "zookeeper_ensemble_": ("job", "instance", "ensemble"),
    "zk_": ("job", "instance", "ensemble"),
}


def select(name: str, *matchers: str) -> str:
    """A selector of the metric, narrowed by the variables that match its labels: `select("x_total", 'kind="a"')`."""
    labels = next((labels for prefix, labels in _LABELS.items() if name.startswith(prefix)), ("job", "instance"))
    narrowed = [f'{label}=~"${label}"' for label in labels]
    return f"{name}{{{', '.join([*narrowed, *matchers])}}}"


def over(operation: str, labels: tuple[str, ...], expression: str) -> str:
    """An aggregation: `over("sum", ("tree",), x)` is `sum by (tree) (x)`."""
    return f"{operation} by ({', '.join(labels)}) ({expression})" if labels else f"{operation}({expression})"


def per_second(name: str, *labels: str, where: str = "", ago: str = "") -> str:
    """The rate of a counter by these labels, now or `ago`."""
    then = f" offset {ago}" if ago else ""
    return over("sum", labels, f"rate({select(name, *_given(where))}[$__rate_interval]{then})")


def lately(name: str, *labels: str, where: str = "") -> str:
    """The increase of a counter around each point of a graph, by these labels."""
    return over("sum", labels, f"increase({select(name, *_given(where))}[$__rate_interval])")


def in_range(name: str, *labels: str, where: str = "") -> str:
    """The increase of a counter in the dashboard's time range, by these labels."""
    return over("sum", labels, f"increase({select(name, *_given(where))}[$__range])")


def quantile(q: float, histogram: str, *labels: str, where: str = "", ago: str = "") -> str:
    """A quantile of a histogram of durations by these labels, now or `ago`; no value without observations."""
    return f"histogram_quantile({q:g}, {per_second(f'{histogram}_bucket', *labels, 'le', where=where, ago=ago)}) >= 0"


def error_ratio(*labels: str) -> str:
    """The share of requests that failed, by these labels; 0 if none did."""
    requests = per_second("zookeeper_client_request_duration_seconds_count", *labels)
    errors = per_second("zookeeper_client_request_errors_total", *labels, where=FAILED)
    return f"({errors} or 0 * {requests}) / ({requests} > 0)"


def staleness() -> str:
    """The staleness of each cache in seconds; no value before the first freshness check.

    As of the scrape, so that the time between two scrapes does not count. While an exporter does not answer, the
    staleness of its caches keeps growing, for an hour. A cache that is checked on demand only has no staleness.
    """
    verified = select("zookeeper_cache_verified_timestamp_seconds")
    known = f"timestamp({verified}) - ({verified} > 0) unless {select(_INTERVAL)} == 0"
    gone = f"(time() - (last_over_time({verified}[1h]) > 0)) and on (job, instance) ({select('up')} == 0)"
    return f"clamp_min(({known}) or {gone}, 0)"


def allowed(bound: Bound) -> str:
    """The highest allowed staleness of each cache, in seconds."""
    return f"{bound.ratio:g} * last_over_time({select(_LIMIT)}[1h])"


def staleness_ratio() -> str:
    """The staleness of each cache, as a share of its own limit."""
    return f"({staleness()}) / (last_over_time({select(_LIMIT)}[1h]) > 0)"


def beyond(bound: Bound) -> str:
    """1 for each cache whose staleness is above its bound, 0 for the others."""
    return f"({staleness()} > bool {allowed(bound)})"


def share_beyond(bound: Bound) -> str:
    """The share of a tree's replicas whose staleness is above the bound, in its worst shard."""
    return over("max", (), over("avg", ("job", "ensemble", "tree", "shard"), _by_shard(beyond(bound))))


def whole(labels: tuple[str, ...], expression: str) -> str:
    """A value of whole trees by these labels: the maximum of a shard's replicas, summed over a job's shards."""
    shards = over("max", ("job", *labels, "shard"), _by_shard(expression))
    return over("max", labels, over("sum", ("job", *labels), shards))


def made(names: str, *, but: str = "", where: str = "", rate: bool = False, increase: bool = False) -> str:
    """The metrics of rules whose names match, but for `zookeeper_znode_`, in whole trees, by all labels of the rules.

    The name becomes the label `metric`, since a rate, an increase and an aggregation drop it.
    """
    excluded = [f'__name__!~"zookeeper_znode_{but}"'] if but else []
    narrowed = [f'{label}=~"${label}"' for label in _LABELS["zookeeper_znode_"]]
    matchers = ", ".join([f'__name__=~"zookeeper_znode_{names}"', *excluded, *narrowed, *_given(where)])
    named = f'label_replace({{{matchers}}}, "metric", "$1", "__name__", "zookeeper_znode_(.+)")'
    if rate or increase:
        named = f"{'rate' if rate else 'increase'}({named}[$__rate_interval:])"
    return f"sum without (job, shard) (max without (instance, pod) ({_by_shard(named)}))"


def near_limit(size: str, *labels: str) -> str:
    """The largest size by these labels, as a share of the limit."""
    return over("max", labels, f"{select(size)} / {select('zookeeper_cache_limit_bytes')}")


def by_server(name: str) -> str:
    """A server's own number; several exporters may poll it."""
    return over("max", ("ensemble", "zk_host"), select(name))


def server_state(*labels: str) -> str:
    """The state of each server as the position of its name in `SERVER_STATES`, 0 if it is down."""
    selectors = [select("zk_server_state", f'state="{name}"') for name in SERVER_STATES]
    known = " or ignoring (state) ".join(f"{number} * {selector}" for number, selector in enumerate(selectors, 1))
    if "version" in labels:
        version = select("zk_version")
        known = f"({known}) * on (job, instance, ensemble, zk_host) group_left (version) {version}"
    return over("max", labels, f"{known} or {select('zk_up')} == 0")


def used_quota(used: str, limit: str) -> str:
    """The share of each limit of each quota that is used."""
    share = f"{select(f'zookeeper_quota_{used}')} / on (job, instance, ensemble, quota) group_right () "
    return over("max", ("ensemble", "quota", "kind"), f"{share}({select(f'zookeeper_quota_{limit}')} > 0)")


def missing_shards() -> str:
    """The number of shards that no exporter holds, over all jobs."""
    there = f'count by (job) (count_values by (job) ("shard", {select(_ORDINAL)}))'
    return f"sum(clamp_min(max by (job) ({select('treecache_exporter_shards')}) - {there}, 0))"


def scraped() -> str:
    """Whether each exporter, and each application with its metrics, answers Prometheus.

    A target that never answered counts as an exporter if all targets of its job that answer are exporters.
    """
    up, known = select("up"), f"last_over_time({select('zookeeper_client_up')}[1d])"
    others = f"{up} == 1 unless on (job, instance) {known}"
    never = f"{up} == 0 and on (job) {known} unless on (job) ({others})"
    return f"{up} and on (job, instance) {known} or ({never})"


def of_exporters(expression: str) -> str:
    """Series of exporters and of applications with the library's metrics; other targets have these names too."""
    return f"{expression} and on (job, instance) {select('zookeeper_client_up')}"


def changes(*labels: str) -> str:
    """Znodes of whole trees added, updated and removed a second, by these labels."""
    return whole(labels, f"rate({select('zookeeper_cache_events_total', CHANGES)}[$__rate_interval])")


def in_timeouts(times: float) -> str:
    """A multiple of the shortest session timeout, in seconds."""
    return f"{times:g} * min({select(_TIMEOUT)} > 0)"


def near(limit: str, value: str) -> str:
    """A limit for all series, shown once one exceeds a quarter of it, so that it does not flatten the graph."""
    return f"{limit} < 4 * max({value})"


def firing() -> str:
    """When each firing alert of ours became active, in Unix time, by its own labels.

    Alerts about a whole ensemble or a job lack some of the labels of the variables.
    """
    labels = ", ".join(f'{label}=~"${label}|"' for label in ("job", "instance", "ensemble", "tree"))
    ours = f'{{alertname=~"TreeCache.+", {labels}'
    fires = f'ALERTS{ours}, alertstate="firing"}}'
    # Only one of the two has the label alertstate.
    return f"{fires} * ignoring (alertstate) group_left () ALERTS_FOR_STATE{ours}}}"


def of_server(expression: str) -> str:
    """A value of each session, with its server as a label; "none" while it is not connected."""
    info = select("zookeeper_client_session_info")
    joined = f"({expression}) * on (job, instance, ensemble) group_left (server) {info}"
    without = f"({expression}) unless on (job, instance, ensemble) {info}"
    return f'{joined} or label_replace({without}, "server", "none", "", "")'


def waiting() -> str:
    """The age of each session's oldest request, in session timeouts."""
    return f"{select('zookeeper_client_oldest_request_age_seconds')} / ({select(_TIMEOUT)} > 0)"


def silence() -> str:
    """The time since the server was last heard, as a share of the session timeout, as of the scrape."""
    heard = select("zookeeper_client_last_heard_timestamp_seconds")
    return f"clamp_min(timestamp({heard}) - ({heard} > 0), 0) / ({select(_TIMEOUT)} > 0)"


def position(name: str, label: str, values: tuple[str, ...]) -> str:
    """The position (from 1) of the label's value whose 0/1 series is 1, for a `max` to pick."""
    selectors = [select(name, f'{label}="{value}"') for value in values]
    return " or ".join(f"{number} * {selector}" for number, selector in enumerate(selectors, 1))


def in_state(of: str, name: str) -> str:
    """1 for each cache or other object in this state, no value for the rest: `in_state("cache", "catching up")`."""
    return "({} == 1)".format(select(f"zookeeper_{of}_state", f'state="{name.replace(" ", "_")}"'))


def _by_shard(expression: str) -> str:
    """A value of caches, with their shard as a label; an application's caches have no shard."""
    shards = f'count_values by (job, instance) ("shard", last_over_time({select(_ORDINAL)}[1h]))'
    return (
        f"{expression} * on (job, instance) group_left (shard) {shards} "
        f"or {expression} unless on (job, instance) {shards}"
    )


def _given(where: str) -> tuple[str, ...]:
    return (where,) if where else ()
