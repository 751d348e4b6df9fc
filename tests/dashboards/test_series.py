"""What panels show of known series: of an application without exporters, whose tree is proven once a minute."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.dashboards.grafana import ALL, Grafana, load

#: Seconds after which is asked: between two scrapes.
AT = 610
CHOSEN = {"job": ALL, "instance": ALL, "ensemble": "main", "tree": "/"}
TREE = 'ensemble="main", tree="/"'
APP, OTHER = 'job="app", instance="a"', 'job="app", instance="b"'

#: An application in two processes, of which the second has not answered for a while. They have the library's metrics
#: and no exporter's; the tree is proven once a minute, and was so 100 seconds ago at every scrape. Beside it something
#: else that does not answer.
APPLICATION = {
    f"up{{{APP}}}": "1+0x40",
    f"up{{{OTHER}}}": "1+0x20 0+0x20",
    'up{job="database", instance="c"}': "0+0x40",
    'process_resident_memory_bytes{job="database", instance="d"}': "5+0x40",
    f"process_resident_memory_bytes{{{APP}}}": "7+0x40",
    f'zookeeper_client_up{{{APP}, ensemble="main"}}': "1+0x40",
    f'zookeeper_client_up{{{OTHER}, ensemble="main"}}': "1+0x20 stale",
    # Scraped every 15 seconds, with a timeout of 10 of which 3 have passed at each scrape.
    f'zookeeper_client_session_deadline_timestamp_seconds{{{APP}, ensemble="main"}}': "7+15x40",
    f'zookeeper_client_session_deadline_timestamp_seconds{{{OTHER}, ensemble="main"}}': "0+0x20 stale",
    f'zookeeper_cache_nodes{{{APP}, {TREE}, kind="persistent"}}': "5+0x40",
    f'zookeeper_cache_nodes{{{APP}, {TREE}, kind="ephemeral"}}': "3+0x40",
    f"zookeeper_cache_initialized{{{APP}, {TREE}}}": "1+0x40",
    f"zookeeper_cache_freshness_interval_seconds{{{APP}, {TREE}}}": "60+0x40",
    f"zookeeper_cache_stale_after_seconds{{{APP}, {TREE}}}": "240+0x40",
    f"zookeeper_cache_verified_timestamp_seconds{{{APP}, {TREE}}}": "-100+15x40",
}
FRESH = 1


@pytest.mark.parametrize(
    ("board", "title", "shown"),
    [
        ("overview", "Exporters down", {1}),
        ("overview", "Shards missing", set()),
        ("overview", "Scrapes", {1, 0}),
        ("overview", "Memory", {7}),
        ("overview", "Copies late", {0}),
        ("overview", "Stalest copy", {100}),
        ("tree", "State", {FRESH}),
        ("tree", "Znodes of the tree", {8}),
        ("tree", "Znodes by kind", {5, 3}),
        ("tree", "Fresh in the time range", {1}),
        ("client", "Session may expire in", {7}),
    ],
)
def test_an_application(tmp_path: Path, board: str, title: str, shown: set[float]) -> None:
    (target,) = next(panel for panel in load(board).panels if panel.title == title).targets
    expression = Grafana("", 0, AT, CHOSEN, scrape_interval=15).filled(target.expression)
    check(tmp_path, expression, shown)


def check(folder: Path, expression: str, values: set[float]) -> None:
    """Fails unless an expression has these values, and no others, of the application's series."""
    # Whatever the labels are.
    counted = f'count by (shown) (count_values("shown", {expression}))'
    samples = [{"labels": f'{{shown="{value:g}"}}', "value": 1} for value in values]
    case = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in APPLICATION.items()],
        "promql_expr_test": [{"expr": counted, "eval_time": f"{AT}s", "exp_samples": samples}],
    }
    path = folder / "case.yml"
    # JSON is YAML.
    path.write_text(json.dumps({"rule_files": [], "evaluation_interval": "15s", "tests": [case]}))
    ended = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True)
    assert ended.returncode == 0, f"{expression}: {ended.stdout}{ended.stderr}"
