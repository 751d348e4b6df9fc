"""Each rule separately: alerts fire, do not fire just below their limits, and resolve."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rules import cases

pytestmark = pytest.mark.long

#: Cases with their own test file, so that parallel test processes can share the work.
APART = {"normal-life", "scenes"}


@pytest.mark.parametrize(("path", "number"), cases.cases(*{path.stem for path in cases.UNIT_TESTS} - APART))
def test_alerts_fire_hold_still_and_resolve(path: Path, number: int, tmp_path: Path) -> None:
    cases.run(path, number, tmp_path)


#: Alerts about one replica while another does the same job: it matters which, and how many.
OF_ONE_REPLICA = {"TreeCacheExporterAbsent", "TreeCacheClientDown", "TreeCacheSessionMaybeExpired"}


def firing_cases() -> Iterator[Any]:
    """For each alert the case, and the time in it, at which the alert is known to fire."""
    for parameters in cases.cases(*{path.stem for path in cases.UNIT_TESTS} - APART):
        path, number = parameters.values
        for check in cases.load(path)["tests"][number].get("alert_rule_test", ()):
            if check.get("exp_alerts") and check["alertname"] not in OF_ONE_REPLICA:
                yield pytest.param(path, number, check, id=f"{parameters.id}-{check['alertname']}-{check['eval_time']}")


@pytest.mark.parametrize(("path", "number", "check"), list(firing_cases()))
def test_replicas_that_have_the_same_trouble_share_an_alert(
    path: Path, number: int, check: dict[str, Any], tmp_path: Path
) -> None:
    """An alert for each would join a group that was sent when the second fires, and Alertmanager sends it again."""
    case = cases.load(path)["tests"][number]
    replicas = [
        {**series, "series": re.sub(r'instance="([^"]*)"', rf'instance="\1{suffix}"', series["series"])}
        for series in case["input_series"]
        for suffix in ("", "-too")
        if not suffix or "instance=" in series["series"]
    ]
    alerts = f'ALERTS{{alertname="{check["alertname"]}", alertstate="firing"}}'
    shared = [
        {"expr": f"count without (instance, pod) ({alerts}) > 1", "eval_time": check["eval_time"], "exp_samples": []},
        {
            "expr": f"group({alerts})",
            "eval_time": check["eval_time"],
            "exp_samples": [{"labels": "{}", "value": 1}],
        },
    ]
    cases.run_case(
        path, {**case, "input_series": replicas, "alert_rule_test": [], "promql_expr_test": shared}, tmp_path
    )
