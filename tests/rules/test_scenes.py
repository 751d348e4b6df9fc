"""The scenes: the series of two replicas for a cause, and which alerts fire when."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboards.prometheus.parameters import Parameters, documented, milliseconds
from tests.rules import cases

pytestmark = pytest.mark.long


@pytest.mark.parametrize(("path", "number"), cases.cases("scenes"))
def test_a_cause_fires_its_own_alerts_and_no_others(path: Path, number: int, tmp_path: Path) -> None:
    cases.run(path, number, tmp_path)


def test_clients_that_connect_one_by_one_after_a_lost_quorum_fire_nothing_if_scrapes_are_rare(tmp_path: Path) -> None:
    """The second client is seen two scrapes after the first."""
    replicas = {"a": ("0+0x7", "1+0x12"), "b": ("0+0x9", "1+0x10")}
    series = {}
    for instance, (lost, back) in replicas.items():
        labels = f'job="treecache", instance="{instance}"'
        of_client = f'{labels}, ensemble="main"'
        down = int(lost.removeprefix("0+0x"))
        series[f"up{{{labels}}}"] = "1+0x30"
        series[f"treecache_exporter_build_info{{{labels}}}"] = "1+0x30"
        series[f"zookeeper_client_up{{{of_client}}}"] = f"1+0x8 {lost} {back}"
        series[f"zookeeper_client_last_heard_timestamp_seconds{{{of_client}}}"] = (
            f"0+60x8 490+0x{down} {(10 + down) * 60}+60x20"
        )
        series[f'zookeeper_client_connection_failures_total{{{of_client}, reason="hung_up"}}'] = (
            f"0+0x8 9+9x{down} 90+0x20"
        )
    case = {
        "name": "rare scrapes",
        "interval": "60s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": 'group by (alertname) (max_over_time(ALERTS{alertstate="firing"}[30m]))',
                "eval_time": "30m",
                "exp_samples": [{"labels": '{alertname="TreeCacheQuorumLost"}', "value": 1}],
            }
        ],
    }
    cases.run_case(cases.FOLDER / "tests" / "sessions.yml", case, tmp_path, for_scrapes_every(60_000))


def for_scrapes_every(interval: float) -> Parameters:
    """The parameters for a scrape interval in milliseconds, set as the documentation of each asks."""
    changes = {
        name: max(milliseconds(str(default)), 4 * interval)
        for name, default, meaning in documented()
        if "four scrapes" in meaning
    }
    changes |= {"evaluation": interval, "keep_firing_for": 5 * interval + 30_000}
    return Parameters().with_changes([f"{name}={value:.0f}ms" for name, value in changes.items()])
