"""The rules for Prometheus: valid, with a case for each, and consistent with runbooks, dashboards and metrics."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import promql_parser
import pytest
from ruamel.yaml import YAML

from dashboards.prometheus import document
from dashboards.prometheus.parameters import Parameters, documented, milliseconds
from dashboards.prometheus.render import NAMES, rule_files
from exporter.servers.names import LISTED, MADE
from exporter.telemetry.catalogue import GROUPS
from tests.rules.cases import FOLDER, UNIT_TESTS, Rule, load

ROOT = Path(__file__).parents[2]
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text("utf-8")
PARTS = ("Meaning", "Impact", "Confirm", "Do", "Usual causes")


def rules(kind: str, path: Path) -> list[Rule]:
    return [rule for group in load(path)["groups"] for rule in group["rules"] if kind in rule]


ALERTS = rules("alert", FOLDER / "treecache-alerts.yml")
#: Some are in the alerts' file: urgent alerts do not wait for another group's evaluation.
RECORDINGS = [rule for name in NAMES for rule in rules("record", FOLDER / name)]
ALERTMANAGER = ROOT / "dashboards" / "alertmanager" / "alertmanager.yml"
ALERT_NAMES = {rule["alert"] for rule in ALERTS}
#: The sections of the runbooks by heading.
SECTIONS = dict(zip(*[iter(re.split(r"^## (\w+)$", RUNBOOKS, flags=re.MULTILINE)[1:])] * 2, strict=True))
#: The cases that promtool runs.
CASES = [case for path in UNIT_TESTS for case in load(path)["tests"]]


def alert_id(rule: Rule) -> str:
    return "-".join([rule["alert"], *rule["labels"].values()])


#: The alerts with links to Grafana.
LINKED = [
    rule
    for group in YAML(typ="safe", pure=True).load(
        rule_files(Parameters(grafana="https://grafana.example"))["treecache-alerts.yml"]
    )["groups"]
    for rule in group["rules"]
    if "alert" in rule
]


def promtool(*arguments: str | Path) -> None:
    ended = subprocess.run(["promtool", *arguments], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


# The files


@pytest.mark.starts
def test_promtool_accepts_the_rules() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", *(FOLDER / name for name in NAMES))


# The alerts


@pytest.mark.parametrize("rule", ALERTS, ids=alert_id)
def test_each_alert_has_a_case_in_which_it_fires_stays_below_and_resolves(rule: Rule) -> None:
    """Each alert has a unit test with all three series."""
    [story] = [story for case in CASES if len(story := firing(rule, case)) > 1 and has_all_three_series(case)]
    assert story[0] == {"fires", "resolves"}
    assert story[1] == {"fires"}
    # Some resolve on their own.
    assert not any(story[2:])


def firing(rule: Rule, case: Any) -> list[set[str]]:
    """Which of the three series fire for this rule in a unit test, at each time from the first one on."""
    story = [
        {re.findall('"/?(.*?)"', sample["labels"])[0] for sample in check["exp_samples"]}
        & {"fires", "quiet", "resolves"}
        for check in case.get("promql_expr_test", ())
        if counts_firing(rule, check["expr"])
    ]
    return list(itertools.dropwhile(lambda firing: not firing, story))


def has_all_three_series(case: Any) -> bool:
    series = " ".join(series["series"] for series in case["input_series"])
    return all(re.search(f'"/?{name}"', series) for name in ("fires", "quiet", "resolves"))


def counts_firing(rule: Rule, expression: str) -> bool:
    """Whether an expression counts the firing alerts of this rule, and of no other."""
    others = [other for other in ALERTS if other["alert"] == rule["alert"] and other is not rule]
    if f'alertname="{rule["alert"]}", alertstate="firing"' not in expression:
        return False
    given = dict(re.findall(r'(\w+)="(.*?)"', expression))
    return all(given.get(label, value) == value for label, value in rule["labels"].items()) and not any(
        all(given.get(label, value) == value for label, value in other["labels"].items()) for other in others
    )


@pytest.mark.parametrize("name", sorted(ALERT_NAMES))
def test_the_annotations_of_each_alert_are_tested(name: str) -> None:
    shown = [
        alert["exp_annotations"]
        for case in CASES
        for check in case.get("alert_rule_test", ())
        if check["alertname"] == name
        for alert in check.get("exp_alerts", ())
    ]
    assert shown
    assert all(set(words) == {"summary", "description", "runbook_url"} for words in shown)


@pytest.mark.parametrize("rule", ALERTS, ids=alert_id)
def test_each_alert_says_what_an_on_call_needs(rule: Rule) -> None:
    assert re.fullmatch("TreeCache([A-Z][a-z]+)+", rule["alert"])
    assert rule["labels"]["severity"] in ("warning", "critical")
    words = rule["annotations"]
    # Its subject, in one sentence with a value; an absent exporter has no value but the wait.
    assert re.search(r"\$labels\.(tree|ensemble|instance|job) ", words["summary"])
    assert "$value" in words["summary"] or rule["alert"] == "TreeCacheExporterAbsent"
    assert re.search(r"\.(\{\{ end }})?$", words["summary"])
    assert re.search("[Ll]ook first at ", words["description"])
    # At an exporter that answers; in the repository if none does.
    assert words["runbook_url"].endswith(
        f"/docs/runbooks{{{{ else }}}}docs/runbooks.md{{{{ end }}}}#{rule['alert'].lower()}"
    )
    assert "dashboard" not in words


@pytest.mark.parametrize("rule", ALERTS, ids=alert_id)
def test_each_alert_outlasts_a_missed_scrape(rule: Rule) -> None:
    """Some require all scrapes of `absent_for`, so a missed scrape ends their condition for that long."""
    shipped = Parameters()
    assert rule["keep_firing_for"] == shipped.keep_firing_for
    assert milliseconds(shipped.keep_firing_for) > milliseconds(shipped.absent_for) + milliseconds(shipped.evaluation)


def test_each_window_of_a_few_minutes_says_how_many_scrapes_it_must_span() -> None:
    """It is too short for rare scrapes, unless its parameter is set."""
    of_polls = {"no_leader_for", "not_serving_window", "server_down_for"}
    short = {
        name: meaning
        for name, default, meaning in documented()
        if name in WAITS - of_polls and milliseconds(str(default)) < 4 * 60_000 and is_window(name)
    }
    assert {"absent_for", "memory_short", "slower_recently"} <= set(short)
    assert [name for name, meaning in short.items() if "four scrapes" not in meaning] == []


WAITS = {parameter.name for parameter in dataclasses.fields(Parameters) if parameter.metadata["kind"] == "time"}


def is_window(name: str) -> bool:
    """Whether rules look back over a range as long as this parameter."""
    return any("[123457ms" in text for text in rule_files(Parameters().with_changes([f"{name}=123457ms"])).values())


def test_each_window_is_a_parameter() -> None:
    for template in (FOLDER / "templates").glob("*.yml"):
        assert not re.findall(r"\[<< time\(\".*", template.read_text("utf-8"))


@pytest.mark.parametrize("rule", LINKED, ids=alert_id)
def test_each_alert_leads_to_a_dashboard(rule: Rule) -> None:
    link = urlsplit(rule["annotations"]["dashboard"])
    assert link.netloc == "grafana.example"
    boards = {board["uid"]: board for board in map(json.loads, read(ROOT / "dashboards" / "grafana", "*.json"))}
    board = boards[link.path.removeprefix("/d/")]
    variables = {variable["name"] for variable in board["templating"]["list"]}
    given = {name.removeprefix("var-"): value for name, [value] in parse_qs(link.query).items()}
    assert given
    assert given == {name: f"{{{{ urlquery $labels.{name} }}}}" for name in given}
    assert set(given) <= variables


# The runbooks


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    assert set(SECTIONS) == ALERT_NAMES


@pytest.mark.parametrize(("name", "text"), SECTIONS.items(), ids=SECTIONS)
def test_each_runbook_has_all_its_parts(name: str, text: str) -> None:
    assert re.findall(r"^\*\*(.+?)\.\*\*", text, flags=re.MULTILINE) == list(PARTS)
    anything = rf"{PARTS[2]}\.\*\*(.*?)\*\*{PARTS[3]}\."
    confirm = re.search(anything, text, flags=re.DOTALL)
    assert confirm
    queries, words = re.subn(r"```promql\n.*?```", "", confirm[1], flags=re.DOTALL)[::-1]
    assert queries
    # Without Prometheus: the exporter's page, or a command.
    assert re.search(r"[Tt]he page|`(zkCli|echo|curl|kubectl|py-spy|treecache-exporter) ", words)


def test_links_to_runbooks_lead_somewhere() -> None:
    anchors = {name.lower() for name in SECTIONS}
    texts = [RUNBOOKS, *read(ROOT / "docs", "*.md"), *read(ROOT / "dashboards" / "grafana", "*.json")]
    links = re.findall(r"(?:runbooks\.md|\]\()#([\w-]+)", "\n".join(texts))
    linked = {link for link in links if link.startswith("treecache")}
    assert linked
    assert linked <= anchors


@pytest.mark.parametrize("query", re.findall(r"```promql\n(.*?)```", RUNBOOKS, flags=re.DOTALL))
def test_the_queries_of_the_runbooks_are_valid(query: str) -> None:
    for line in query.splitlines():
        promql_parser.parse(line)


# Alertmanager


@pytest.mark.starts
def test_the_configuration_for_alertmanager_is_valid() -> None:
    ended = subprocess.run(["amtool", "check-config", ALERTMANAGER], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_inhibitions_name_alerts_that_exist() -> None:
    matchers = " ".join(
        matcher
        for inhibition in load(ALERTMANAGER)["inhibit_rules"]
        for matcher in (*inhibition["source_matchers"], *inhibition["target_matchers"])
    )
    named_there = set(re.findall(r'alertname!?="(\w+)"', matchers))
    for prefix, endings in re.findall(r'alertname=~"(\w+)\((.*?)\)"', matchers):
        named_there |= {prefix + ending for ending in endings.split("|")}
    assert named_there
    assert named_there <= ALERT_NAMES


@pytest.mark.starts
@pytest.mark.parametrize("rule", ALERTS, ids=alert_id)
def test_every_alert_takes_the_route_that_groups_it(rule: Rule) -> None:
    labels = [f"alertname={rule['alert']}", *(f"{name}={value}" for name, value in rule["labels"].items())]
    command = ["amtool", "config", "routes", "test", "--tree", f"--config.file={ALERTMANAGER}", *labels]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert 'alertname=~"TreeCache.+"' in ended.stdout


# The metrics


def known_names() -> set[str]:
    """The names that a query may use: metrics of the catalogue, series of histograms, and recorded series."""
    names = {rule["record"] for rule in RECORDINGS}
    for group in GROUPS:
        for metric in group.metrics:
            series = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
            names.update(metric.name + suffix for suffix in series)
    return names | set(servers_names())


def servers_names() -> Iterator[str]:
    """The names of the servers' numbers that are given by default."""
    yield from MADE
    for number in LISTED:
        if number.kind == "summary":
            yield from (f"zk_{number.name}_{suffix}" for suffix in ("count", "sum"))
        else:
            yield f"zk_{number.name}"


def named(text: str) -> set[str]:
    """Names of our metrics and recorded series in a text."""
    recorded = r"[a-z_]+:(?:zookeeper|treecache|zk)_[a-z_]+:\w+"
    return set(re.findall(rf"{recorded}|(?<![\w:])(?:zookeeper_(?:client|cache)|treecache_exporter)_\w+", text))


def numbers_of_servers(query: str) -> set[str]:
    """Names of the servers' numbers in a query."""
    return set(re.findall(r"(?<![\w:])zk_(?!host\b)\w+", query))


def read(folder: Path, pattern: str) -> Iterator[str]:
    return (path.read_text("utf-8") for path in sorted(folder.glob(pattern)))


def test_every_metric_of_the_rules_exists() -> None:
    expressions = "\n".join(rule["expr"] for rule in [*ALERTS, *RECORDINGS])
    used = named(expressions)
    assert used
    assert used <= known_names()
    numbers = numbers_of_servers(expressions)
    assert numbers
    assert numbers <= set(servers_names())


def test_the_rules_leave_out_servers_of_other_exporters() -> None:
    """Others have `zk_*` without the label `ensemble`, and a probe has no `zk_host`."""
    for rule in [*ALERTS, *RECORDINGS]:
        for name, labels in re.findall(r"(?<![\w:])(zk_(?!host\b)\w+)(\{[^}]*\})?", rule["expr"]):
            assert 'ensemble!="", zk_host!=""' in labels, name


def test_every_metric_of_the_runbooks_exists() -> None:
    used = named(RUNBOOKS + document.PATH.read_text("utf-8"))
    assert used
    assert used <= known_names()
    queries = "\n".join(re.findall(r"```promql\n(.*?)```", RUNBOOKS, flags=re.DOTALL))
    assert numbers_of_servers(queries) <= set(servers_names())


@pytest.mark.parametrize("rule", RECORDINGS, ids=lambda rule: rule["record"])
def test_recorded_series_are_named_by_level_metric_and_operations(rule: Rule) -> None:
    level, metric, operations = rule["record"].split(":")
    levels = {"instance", "client", "job", "tree", "shard", "operation", "event", "kind", "server", "ensemble"}
    assert set(level.split("_")) <= levels
    assert re.fullmatch("(zookeeper|treecache|zk)_[a-z_]+", metric)
    assert re.fullmatch(r"[a-z_]+\d*[smhd]?", operations)


# The parameters


def write_rules(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dashboards.prometheus", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_every_parameter_changes_the_rules() -> None:
    before = rule_files(Parameters())
    for name, default, _ in documented():
        other = "7s" if isinstance(default, str) and re.fullmatch(r"\d+[smhd]", default) else "0.25"
        if default == "warning":
            other = "critical"
        assert rule_files(Parameters().with_changes([f"{name}={other}"])) != before, name


def test_shortening_divides_waits_and_windows_and_nothing_else() -> None:
    # Also in arithmetic, in seconds.
    times = r"(?<=for: |val: )\d+(?:ms|[smhd])(?=\n)|(?<=\[)[^\]]+(?=\])|(?<=offset )\w+|(?<=\n {12})\d+(?=\n)"
    times += r"|\d+(?= \* deriv)|(?<=start_time_seconds > )\d+|(?<=\], )\d+(?=\))"
    shipped, short = ("".join(rule_files(Parameters(shorten=shorten)).values()) for shorten in (1, 60))
    assert re.sub(times, "TIME", shipped) == re.sub(times, "TIME", short)
    minutes = dict(zip(re.findall(times, shipped), re.findall(times, short), strict=True))
    assert minutes["5m"] == "5s"
    assert minutes["1h"] == "1m"
    assert minutes["3d"] == "72m"
    assert minutes["1h:1m"] == "1m:1s"
    assert minutes["3600"] == "60"


@pytest.mark.starts
def test_thresholds_are_changed_from_the_command_line(tmp_path: Path) -> None:
    ended = write_rules(f"--folder={tmp_path}", "lag_warning_ratio=45", "runbooks=https://wiki.example/treecache")
    assert (ended.returncode, ended.stderr) == (0, "")
    [warning, _] = [
        rule for rule in rules("alert", tmp_path / "treecache-alerts.yml") if rule["alert"] == "TreeCacheLag"
    ]
    assert "tree:zookeeper_cache_verified_timestamp_seconds:age_ratio > 45" in warning["expr"]
    assert "45 * zookeeper_cache_stale_after_seconds" in warning["annotations"]["summary"]
    assert warning["annotations"]["runbook_url"] == "https://wiki.example/treecache#treecachelag"
    promtool("check", "rules", *(tmp_path / name for name in NAMES))


def test_windows_that_are_changed_are_recorded_under_their_names(tmp_path: Path) -> None:
    changes = ["rate_window=10m", "burn_1_long=2h", "burn_4_short=12h"]
    for name, text in rule_files(Parameters().with_changes(changes)).items():
        (tmp_path / name).write_text(text)
    recorded = {rule["record"] for name in NAMES for rule in rules("record", tmp_path / name)}
    everything = "\n".join(rule["expr"] for rule in rules("alert", tmp_path / "treecache-alerts.yml"))
    used = {name for name in named(everything) if ":" in name}
    assert {name for name in used if name.endswith(("ratio2h", "ratio12h", "10m"))}
    assert used <= recorded


@pytest.mark.starts
@pytest.mark.parametrize(
    "argument",
    [
        "lag=45",
        "lag_warning_ratio",
        "lag_warning_ratio=soon",
        "lag_warning_ratio=-1",
        "lag_for=1m30s",
        "session_lost_severity=page",
    ],
)
def test_an_invalid_parameter_leads_to_a_one_line_error(tmp_path: Path, argument: str) -> None:
    ended = write_rules(f"--folder={tmp_path}", argument)
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert argument.partition("=")[2] in line
    assert "accepted: " in line
    assert not list(tmp_path.iterdir())
