"""Cases: runs each unit test of the rules separately, with only the rules that it needs.

`promtool test rules` evaluates every rule at every step; most cases need one in twenty. A rule is needed if a case, or
a needed rule, uses its recorded series, or its alert in `ALERTS`. `make soak` runs each case with all rules.
"""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from dashboards.prometheus.parameters import Parameters
from dashboards.prometheus.render import NAMES, rule_files
from exporter.config.settings import parse_duration

FOLDER = Path(__file__).parents[2] / "dashboards" / "prometheus"
UNIT_TESTS = sorted((FOLDER / "tests").glob("*.yml"))

Rule = Mapping[str, Any]
Group = Mapping[str, Any]


@functools.cache
def load(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path)


def cases(*stems: str) -> list[Any]:
    """The cases of these files, as pytest's parameters."""
    return [
        pytest.param(path, number, id=f"{path.stem}-{case['name']}")
        for path in UNIT_TESTS
        if path.stem in stems
        for number, case in enumerate(load(path)["tests"])
    ]


def run(path: Path, number: int, folder: Path) -> None:
    """Runs promtool with one case of a file, in its own folder."""
    run_case(path, load(path)["tests"][number], folder)


def run_case(path: Path, case: Any, folder: Path, parameters: Parameters | None = None) -> None:
    """Runs promtool with a case that is evaluated as those of a file are, in its own folder.

    The rules have these parameters, by default those that are shipped.
    """
    document = load(path)
    rules = groups(parameters)
    evaluated = rules if os.environ.get("SOAK") else needed(rules, case)
    (folder / "rules.yml").write_text(json.dumps({"groups": evaluated}))
    # As often as there are samples: between two of them, hardly anything changes.
    every = max(document["evaluation_interval"], case["interval"], key=parse_duration)
    (folder / "case.yml").write_text(
        json.dumps({**document, "evaluation_interval": every, "rule_files": ["rules.yml"], "tests": [case]})
    )
    ended = subprocess.run(
        ["promtool", "test", "rules", folder / "case.yml"],
        # Collecting garbage less often saves a tenth of the time.
        env={**os.environ, "GOGC": "400"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def groups(parameters: Parameters | None = None) -> list[Group]:
    if parameters is None:
        files = [load(FOLDER / name) for name in NAMES]
    else:
        files = [YAML(typ="safe", pure=True).load(text) for text in rule_files(parameters).values()]
    return [group for file in files for group in file["groups"]]


def needed(groups: list[Group], case: Any) -> list[Group]:
    """The groups of rules, with only the rules that this case needs."""
    wanted: list[Rule] = []
    texts = [check["expr"] for check in case.get("promql_expr_test", ())]
    texts += [f'ALERTS{{alertname="{check["alertname"]}"}}' for check in case.get("alert_rule_test", ())]
    rules = [rule for group in groups for rule in group["rules"]]
    while texts:
        text = texts.pop()
        for rule in rules:
            if rule not in wanted and names(text, rule):
                wanted.append(rule)
                texts += strings(rule)
    kept = [{**group, "rules": [rule for rule in group["rules"] if rule in wanted]} for group in groups]
    return [group for group in kept if group["rules"]]


def names(text: str, rule: Rule) -> bool:
    """Whether a query, or a template with queries, uses this rule's series or alert."""
    if "record" in rule:
        return re.search(rf"(?<![\w:]){re.escape(rule['record'])}(?![\w:])", text) is not None
    return any(
        all(re.fullmatch(wanted, labels[name]) for name, wanted in matchers if name in labels)
        for labels in [{"alertname": rule["alert"], **rule["labels"]}]
        for selector in re.findall(r"(?<!\w)ALERTS(?:\{(.*?)\})?", text)
        for matchers in [re.findall(r'(\w+)=~?"(.*?)"', selector)]
    )


def strings(rule: Rule) -> Iterator[str]:
    yield rule["expr"]
    yield from rule.get("annotations", {}).values()
