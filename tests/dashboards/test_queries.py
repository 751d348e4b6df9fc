"""The dashboards' PromQL: valid, bound to the variables, and with existing metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import pytest

from exporter.servers.names import MADE, is_listed
from exporter.telemetry.catalogue import GROUPS, Metric
from tests.dashboards.grafana import NAMES, load
from tests.dashboards.queries import INTERVALS, metrics, nodes, parsed, selectors

EXPRESSIONS = [pytest.param([expression for _, expression in load(name).expressions()], id=name) for name in NAMES]
RULES = Path(__file__).parents[2] / "dashboards" / "prometheus"
DOCS = Path(__file__).parents[2] / "docs"
CATALOGUE = {metric.name: metric for group in GROUPS for metric in group.metrics}

#: Metrics of prometheus_client and Prometheus itself.
PROVIDED = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total", "process_start_time_seconds"}
#: Metrics that neither a dashboard nor a rule uses, and why.
UNUSED: dict[str, str] = {
    "zookeeper_server_source_info": "the status page shows it; it explains why numbers are missing",
    "zookeeper_server_malformed_lines_total": "only a server of another release makes them, and all other lines count",
    "treecache_exporter_collector_success": "the log has the error; only a bug makes a collector fail",
    "treecache_exporter_collector_duration_seconds": "scrape_duration_seconds of Prometheus is the sum",
}
#: Prometheus' own series of alerts; they have only the labels of their alert.
ALERTS = {"ALERTS", "ALERTS_FOR_STATE"}
RANGES = {text: promql_parser.parse_duration(text) for text in INTERVALS.values()}


def series(metric: Metric) -> set[str]:
    """The names under which a metric is queried."""
    if metric.kind == "histogram":
        return {f"{metric.name}_{suffix}" for suffix in ("bucket", "sum", "count")}
    return {metric.name}


QUERIED = {name: metric for metric in CATALOGUE.values() for name in series(metric)}


# Rules of Grafana's dashboard-linter


@pytest.mark.parametrize("expressions", EXPRESSIONS)
def test_target_promql_rule(expressions: list[str]) -> None:
    for expression in expressions:
        assert parsed(expression) is not None


@pytest.mark.parametrize("expressions", EXPRESSIONS)
def test_target_job_and_instance_rules(expressions: list[str]) -> None:
    for expression in expressions:
        for selector, _ in selectors(expression):
            matched = {matcher.name: (matcher.op, matcher.value) for matcher in selector.matchers.matchers}
            for name in ("job", "instance"):
                chosen = f"${name}|" if selector.name in ALERTS else f"${name}"
                assert matched[name] == (promql_parser.MatchOp.Re, chosen)


@pytest.mark.parametrize("expressions", EXPRESSIONS)
def test_target_rate_interval_rule(expressions: list[str]) -> None:
    for expression in expressions:
        for node, above in nodes(parsed(expression)):
            if isinstance(node, promql_parser.MatrixSelector) and above[-1].func.name in ("rate", "irate"):
                assert node.range == RANGES[INTERVALS["__rate_interval"]]


@pytest.mark.parametrize("expressions", EXPRESSIONS)
def test_target_counter_agg_rule(expressions: list[str]) -> None:
    for expression in expressions:
        for selector, above in selectors(expression):
            metric = QUERIED.get(str(selector.name))
            if str(selector.name).endswith("_total") or (metric and metric.kind in ("counter", "histogram")):
                assert isinstance(above[-1], promql_parser.MatrixSelector)
                assert above[-2].func.name in ("rate", "irate", "increase")


@pytest.mark.parametrize("name", NAMES)
def test_template_label_promql_rule(name: str) -> None:
    for variable in load(name).variables:
        if variable["type"] == "query":
            match = re.fullmatch(r"label_values\((.+), ([a-z]+)\)", variable["query"])
            assert match is not None
            assert metrics(match[1]) <= set(QUERIED)
            assert match[2] == ("instance" if variable["name"] == "exporter" else variable["name"])


# Ours


@pytest.mark.parametrize("expressions", EXPRESSIONS)
def test_a_gauge_is_under_no_rate(expressions: list[str]) -> None:
    for expression in expressions:
        for selector, above in selectors(expression):
            metric = QUERIED.get(str(selector.name))
            if metric and metric.kind in ("gauge", "info"):
                assert not {getattr(each.func, "name", "") for each in above if hasattr(each, "func")} & {
                    "rate",
                    "increase",
                }


@pytest.mark.parametrize("expressions", EXPRESSIONS)
def test_selectors_match_labels_and_values_that_exist(expressions: list[str]) -> None:
    for expression in expressions:
        for selector, _ in selectors(expression):
            if is_made_by_rules(selector):
                continue
            name = str(selector.name)
            if name.startswith("zk_"):
                check_server_number(name, selector)
                continue
            assert name in QUERIED or name in PROVIDED or name in ALERTS
            if name not in QUERIED:
                continue
            metric = QUERIED[name]
            (group,) = (group for group in GROUPS if metric in group.metrics)
            for matcher in selector.matchers.matchers:
                assert matcher.name in {"job", "instance", *group.labels, *metric.labels}
                known = metric.labels.get(matcher.name)
                if known:
                    assert any(re.fullmatch(matcher.value, value) for value in known), (
                        f"no {matcher.name} {matcher.value}"
                    )
            variables = {matcher.name for matcher in selector.matchers.matchers if matcher.value.startswith("$")}
            # Rules and quotas are no variables: there may be hundreds. Servers are shown side by side.
            assert variables == {"job", "instance", *group.labels} - {"rule", "quota", "zk_host"}


def check_server_number(name: str, selector: promql_parser.VectorSelector) -> None:
    """A number of servers that the exporter has by default, or makes itself, by the variables."""
    statistic = re.fullmatch("zk_(?:avg|min|max|cnt|sum|p50|p95|p99|p999)_(.+)", name)
    bare = name.removeprefix("zk_")
    assert name in MADE or is_listed(bare) or (statistic and is_listed(statistic[1])), name
    variables = {matcher.name for matcher in selector.matchers.matchers if matcher.value.startswith("$")}
    assert variables == {"job", "instance", "ensemble"}


def is_made_by_rules(selector: promql_parser.VectorSelector) -> bool:
    """Whether it asks for metrics of rules, whose names and labels the configuration says; by the variables."""
    matchers = {matcher.name: matcher.value for matcher in selector.matchers.matchers if matcher.name != "owner"}
    if selector.name is not None or not matchers.pop("__name__", "").startswith("zookeeper_znode_"):
        return False
    assert matchers == {name: f"${name}" for name in ("job", "instance", "ensemble", "tree")}
    return True


@pytest.mark.parametrize("name", NAMES)
def test_each_variable_is_used(name: str) -> None:
    texts = " ".join(expression for _, expression in load(name).expressions())
    assert all(f'{variable}=~"${variable}"' in texts for variable in ("job", "instance", "ensemble", "tree"))


def test_each_metric_is_used_or_deliberately_not() -> None:
    asked = set(asked_by_dashboards()) | set(asked_by_rules())
    unused = {metric.name for metric in CATALOGUE.values() if not series(metric) & asked}
    assert unused == set(UNUSED)
    assert all(UNUSED.values())


@pytest.mark.parametrize(
    "path", sorted([*RULES.glob("*.yml"), *DOCS.glob("*.md"), DOCS.parent / "README.md"]), ids=lambda path: path.name
)
def test_each_metric_that_is_named_exists(path: Path) -> None:
    # A name next to a colon belongs to a recording rule; one with a star is a prefix.
    named = re.findall(r"(?<![\w:/.-])(?:zookeeper_c|treecache_exporter_)\w+(?![\w:*])", path.read_text("utf-8"))
    assert set(named) <= {*QUERIED, *CATALOGUE}


def asked_by_dashboards() -> Iterator[str]:
    for name in NAMES:
        for _, expression in load(name).expressions():
            yield from metrics(expression)


def asked_by_rules() -> Iterator[str]:
    """Every name of the catalogue in the rules; a label or a word in a text does not look like one."""
    for path in sorted(RULES.glob("*.yml")):
        yield from set(re.findall(r"(?:zookeeper|treecache_exporter)_\w+", path.read_text("utf-8"))) & set(QUERIED)
