"""PromQL: how the dashboards ask. Every selector is bound to the dashboard's variables; no recording rule is needed."""

from __future__ import annotations

#: What tells one copy of a tree from another, and one session.
COPY = ("ensemble", "tree", "instance")
SESSION = ("ensemble", "instance")
#: Handshakes take as long as it takes to connect, or to say goodbye.
MEASURED = 'operation!~"createSession|closeSession"'
#: Some errors are answers: applications ask for znodes that are not there, create what is, and lose races on purpose.
FAILED = 'error!~"NONODE|NODEEXISTS|BADVERSION"'
#: Tree events that are about znodes, not about the connection.
CHANGES = 'event=~"node_.+"'

_LABELS = {
    "zookeeper_cache_": ("job", "instance", "ensemble", "tree"),
    "zookeeper_client_": ("job", "instance", "ensemble"),
}


def select(name: str, *matchers: str) -> str:
    """A selector of the metric, narrowed by the variables whose labels it has: `select("x_total", 'kind="a"')`."""
    labels = next((labels for prefix, labels in _LABELS.items() if name.startswith(prefix)), ("job", "instance"))
    narrowed = [f'{label}=~"${label}"' for label in labels]
    return f"{name}{{{', '.join([*narrowed, *matchers])}}}"


def over(operation: str, labels: tuple[str, ...], expression: str) -> str:
    """An aggregation: `over("sum", ("tree",), x)` is `sum by (tree) (x)`."""
    return f"{operation} by ({', '.join(labels)}) ({expression})" if labels else f"{operation}({expression})"


def per_second(name: str, *labels: str, where: str = "") -> str:
    """How fast a counter grows, by these labels."""
    return over("sum", labels, f"rate({select(name, *_given(where))}[$__rate_interval])")


def lately(name: str, *labels: str, where: str = "") -> str:
    """How much a counter grew around each point of a graph, by these labels."""
    return over("sum", labels, f"increase({select(name, *_given(where))}[$__rate_interval])")


def in_range(name: str, *labels: str, where: str = "") -> str:
    """How much a counter grew in the dashboard's time range, by these labels."""
    return over("sum", labels, f"increase({select(name, *_given(where))}[$__range])")


def quantile(q: float, histogram: str, *labels: str, where: str = "") -> str:
    """A quantile of a histogram of durations, by these labels; no value where nothing was observed."""
    return f"histogram_quantile({q:g}, {per_second(f'{histogram}_bucket', *labels, 'le', where=where)}) >= 0"


def error_ratio(*labels: str) -> str:
    """The share of requests that failed, by these labels; 0 where all were answered."""
    requests = per_second("zookeeper_client_request_duration_seconds_count", *labels)
    errors = per_second("zookeeper_client_request_errors_total", *labels, where=FAILED)
    return f"({errors} or 0 * {requests}) / ({requests} > 0)"


def staleness() -> str:
    """Seconds since the state that a copy is proven to hold; no value before the first proof.

    As of the scrape, so that the time between two scrapes is no staleness. The copy of an exporter that does not answer
    ages on, for an hour.
    """
    verified = select("zookeeper_cache_verified_timestamp_seconds")
    gone = f"(time() - (last_over_time({verified}[1h]) > 0)) and on (job, instance) ({select('up')} == 0)"
    return f"clamp_min(timestamp({verified}) - ({verified} > 0) or {gone}, 0)"


def silence() -> str:
    """The share of the session timeout that passed without a word from the server, as of the scrape."""
    heard = select("zookeeper_client_last_heard_timestamp_seconds")
    timeout = select("zookeeper_client_session_timeout_seconds")
    return f"clamp_min(timestamp({heard}) - ({heard} > 0), 0) / ({timeout} > 0)"


def position(name: str, label: str, values: tuple[str, ...]) -> str:
    """Of 0/1 series with this label, the position (from 1) of the value that is 1, for a `max` to pick."""
    selectors = [select(name, f'{label}="{value}"') for value in values]
    return " or ".join(f"{number} * {selector}" for number, selector in enumerate(selectors, 1))


def _given(where: str) -> tuple[str, ...]:
    return (where,) if where else ()
