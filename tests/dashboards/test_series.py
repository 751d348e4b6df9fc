"""What panels show for known series: an application without exporters, whose tree is verified once a minute."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from exporter.treecache.stats import CACHE_STATES, ROOT_STATES
from tests.dashboards.grafana import ALL, Grafana, load

#: Seconds after which to query: between two scrapes.
AT = 610
CHOSEN = {"job": ALL, "instance": ALL, "ensemble": "main", "tree": "/"}
TREE = 'ensemble="main", tree="/"'
APP, OTHER = 'job="app", instance="a"', 'job="app", instance="b"'

#: An application in two processes, the second of which has not answered for a while. They have the library's metrics,
#: no exporter's; freshness is checked once a minute, and was verified 100 seconds before every scrape. Also an
#: unrelated target that does not answer.
APPLICATION = {
    f"up{{{APP}}}": "1+0x40",
    f"up{{{OTHER}}}": "1+0x20 0+0x20",
    'up{job="database", instance="c"}': "0+0x40",
    'process_resident_memory_bytes{job="database", instance="d"}': "5+0x40",
    f"process_resident_memory_bytes{{{APP}}}": "7+0x40",
    f'zookeeper_client_up{{{APP}, ensemble="main"}}': "1+0x40",
    f'zookeeper_client_up{{{OTHER}, ensemble="main"}}': "1+0x20 stale",
    # Scraped every 15 seconds, 3 seconds into a session timeout of 10.
    f'zookeeper_client_session_deadline_timestamp_seconds{{{APP}, ensemble="main"}}': "7+15x40",
    f'zookeeper_client_session_deadline_timestamp_seconds{{{OTHER}, ensemble="main"}}': "0+0x20 stale",
    f'zookeeper_cache_nodes{{{APP}, {TREE}, kind="persistent"}}': "5+0x40",
    f'zookeeper_cache_nodes{{{APP}, {TREE}, kind="ephemeral"}}': "3+0x40",
    f"zookeeper_cache_initialized{{{APP}, {TREE}}}": "1+0x40",
    f"zookeeper_cache_freshness_interval_seconds{{{APP}, {TREE}}}": "60+0x40",
    f"zookeeper_cache_stale_after_seconds{{{APP}, {TREE}}}": "200+0x40",
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
        ("overview", "Stale caches", {0}),
        ("tree", "Staleness", {0.5}),
        ("tree", "State", {FRESH}),
        ("tree", "Znodes of the tree", {8}),
        ("tree", "Znodes by kind", {5, 3}),
        ("tree", "Fresh in the time range", {1}),
        ("client", "Session may expire in", {7}),
    ],
)
def test_an_application(tmp_path: Path, board: str, title: str, shown: set[float]) -> None:
    # The rest are limits.
    target = next(panel for panel in load(board).panels if panel.title == title).targets[0]
    expression = Grafana("", 0, AT, CHOSEN, scrape_interval=15).filled(target.expression)
    check(tmp_path, expression, shown)


#: Everything that can be wrong with a cache that was just verified, by the name of its state.
WRONG: dict[str, dict[str, object]] = {
    "failed": {"state": "failed"},
    "closed": {"state": "closed"},
    "root unreadable": {"root": "unreadable", "unreadable": 1},
    "root missing": {"root": "missing"},
    "znodes unreadable": {"unreadable": 3},
    "disconnected": {"state": "disconnected"},
    "loading": {"state": "loading"},
    "catching up": {"state": "catching_up"},
    "fresh": {},
}


@pytest.mark.parametrize("text", WRONG)
def test_only_a_complete_copy_is_green(tmp_path: Path, text: str) -> None:
    given = {"state": "in_sync", "root": "readable", "unreadable": 0, **WRONG[text]}
    copies = {
        f"zookeeper_cache_unreadable_nodes{{{APP}, {TREE}}}": f"{given['unreadable']}+0x40",
        f"zookeeper_cache_freshness_interval_seconds{{{APP}, {TREE}}}": "60+0x40",
        f"zookeeper_cache_stale_after_seconds{{{APP}, {TREE}}}": "240+0x40",
        f"zookeeper_cache_verified_timestamp_seconds{{{APP}, {TREE}}}": "-1+15x40",
    }
    for of, states in (("state", CACHE_STATES), ("root", ROOT_STATES)):
        name = "zookeeper_cache_state" if of == "state" else "zookeeper_cache_root_state"
        for state in states:
            copies[f'{name}{{{APP}, {TREE}, state="{state}"}}'] = f"{int(state == given[of])}+0x40"
    panel = next(panel for panel in load("tree").panels if panel.title == "State")
    (mapping,) = panel.defaults["mappings"]
    number, shown = next((number, one) for number, one in mapping["options"].items() if one["text"] == text)
    assert (shown["color"] == "green") == (text == "fresh")
    expression = Grafana("", 0, AT, CHOSEN, scrape_interval=15).filled(panel.targets[0].expression)
    check(tmp_path, expression, {float(number)}, copies)
    alarms = {"failed": "Caches failed", "closed": "Caches failed", "loading": "Trees still loading"}
    alarms |= {"root unreadable": "Roots unreadable", "root missing": "Roots missing"}
    alarms |= {"znodes unreadable": "Unreadable znodes"}
    for title in {*alarms.values()}:
        (target,) = next(panel for panel in load("overview").panels if panel.title == title).targets
        expression = Grafana("", 0, AT, CHOSEN, scrape_interval=15).filled(target.expression)
        is_about_it = title == alarms.get(text) or (title == "Unreadable znodes" and text == "root unreadable")
        check(tmp_path, f"{expression} > bool 0", {float(is_about_it)}, copies)


def check(folder: Path, expression: str, values: set[float], given: Mapping[str, str] = APPLICATION) -> None:
    """Fails unless an expression has exactly these values for the application's series."""
    # With any labels.
    counted = f'count by (shown) (count_values("shown", {expression}))'
    samples = [{"labels": f'{{shown="{value:g}"}}', "value": 1} for value in values]
    case = {
        "interval": "15s",
        "input_series": [{"series": name, "values": values} for name, values in given.items()],
        "promql_expr_test": [{"expr": counted, "eval_time": f"{AT}s", "exp_samples": samples}],
    }
    path = folder / "case.yml"
    # JSON is YAML.
    path.write_text(json.dumps({"rule_files": [], "evaluation_interval": "15s", "tests": [case]}))
    ended = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True)
    assert ended.returncode == 0, f"{expression}: {ended.stdout}{ended.stderr}"
