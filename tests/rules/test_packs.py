"""Alerts about znodes, of packs and of an example: with the series of a story they fire, just do not, and resolve."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest

from dashboards.prometheus.parameters import milliseconds
from exporter.packs.alerts import expression, summary
from exporter.packs.library import NAMES, load
from exporter.packs.pack import Alert
from tests.rules.cases import FOLDER, Rule
from tests.rules.cases import load as read
from tests.rules.stories import STORIES, Story

EXAMPLE = FOLDER.parents[1] / "examples" / "znode-alerts.yml"
FILES = [*sorted((FOLDER / "packs").glob("*.yml")), EXAMPLE]
#: The alerts of each file.
RULES = {path: [rule for group in read(path)["groups"] for rule in group["rules"]] for path in FILES}
ALERTS = {alert.name: alert for name in NAMES for alert in load(name).alerts}
#: Labels of the series of each of two exporters that hold the same trees.
EXPORTERS = ('job="treecache",instance="a:19141",ensemble="main"', 'job="treecache",instance="b:19141",ensemble="main"')


def test_each_alert_has_a_story_and_each_name_is_of_one_alert() -> None:
    names = [rule["alert"] for rules in RULES.values() for rule in rules]
    assert sorted(names) == sorted(STORIES)
    assert [path.stem for path in FILES] == [*NAMES, EXAMPLE.stem]


@pytest.mark.parametrize("alert", ALERTS.values(), ids=lambda alert: alert.name)
def test_each_alert_says_what_is_wrong_and_what_to_look_at_first(alert: Alert) -> None:
    promql_parser.parse(expression(alert))
    assert "{tree}" in alert.summary
    assert summary(alert).endswith(".")
    assert re.match("Look first (at|for) .*\\.$", alert.look)
    # A lost connection leaves no owner after the session's timeout, and the copy is old after a minute.
    assert "_info" not in alert.expr or milliseconds(alert.wait) >= 60_000


@pytest.mark.starts
def test_promtool_accepts_the_rules() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", *map(str, FILES))


@pytest.mark.starts
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_alerts_fire_hold_still_and_resolve(path: Path, tmp_path: Path) -> None:
    tests = [case(rule, STORIES[rule["alert"]]) for rule in RULES[path]]
    (tmp_path / "case.yml").write_text(
        json.dumps({"rule_files": [str(path)], "evaluation_interval": "1m", "tests": tests})
    )
    promtool("test", "rules", str(tmp_path / "case.yml"))


@pytest.mark.starts
def test_without_the_metrics_of_a_pack_no_alert_of_any_fires(tmp_path: Path) -> None:
    verified = "zookeeper_cache_verified_timestamp_seconds"
    fresh = [{"series": f'{verified}{{{exporter},tree="/"}}', "values": "0+60x180"} for exporter in EXPORTERS]
    silent = {"expr": "ALERTS", "eval_time": "3h", "exp_samples": []}
    tests = [{"interval": "1m", "input_series": fresh, "promql_expr_test": [silent]}]
    files = [str(path) for path in FILES]
    (tmp_path / "case.yml").write_text(json.dumps({"rule_files": files, "tests": tests}))
    promtool("test", "rules", str(tmp_path / "case.yml"))


def promtool(*arguments: str) -> None:
    ended = subprocess.run(["promtool", *arguments], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def case(rule: Rule, story: Story) -> dict[str, Any]:
    """A case of promtool's with a story, and with one more tree, like the one that fires but with an old copy."""
    name = rule["alert"]
    firing = f'count by (tree) (ALERTS{{alertname="{name}", alertstate="firing"}})'
    return {
        "name": name,
        "interval": "1m",
        "input_series": list(series(story)),
        "promql_expr_test": [
            {"expr": firing, "eval_time": f"{minute}m", "exp_samples": [sample(tree) for tree in trees]}
            for minute, trees in ((story.at, ("fires", "resolves")), (story.after, ("fires",)))
        ],
        "alert_rule_test": [
            {
                "alertname": name,
                "eval_time": f"{story.after}m",
                "exp_alerts": [
                    {
                        "exp_labels": {"job": "treecache", "ensemble": "main", "tree": "fires"}
                        | {**rule["labels"], **story.labels},
                        "exp_annotations": {**rule["annotations"], "summary": story.summary},
                    }
                ],
            }
        ],
    }


def sample(tree: str) -> dict[str, Any]:
    return {"labels": f'{{tree="{tree}"}}', "value": 1}


def series(story: Story) -> Iterator[dict[str, str]]:
    length = str(story.after + 2)
    of_trees = {"fires": story.fires, "quiet": story.quiet, "resolves": story.resolves, "old": story.fires}
    for exporter in EXPORTERS:
        for tree, of_tree in of_trees.items():
            labels = f'{exporter},tree="{tree}"'
            verified = f"{0 if tree == 'old' else '0+60'}x{length}"
            yield {"series": f"zookeeper_cache_verified_timestamp_seconds{{{labels}}}", "values": verified}
            for metric, values in of_tree.items():
                name, _, own = metric.rstrip("}").partition("{")
                whole = f"zookeeper_znode_{name}{{{labels}{',' if own else ''}{own}}}"
                yield {"series": whole, "values": values.replace("*", length)}
