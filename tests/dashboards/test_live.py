"""Every query of every panel has data in a real Prometheus that scraped the real daemon during faults.

The pictures show these data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from kazoo.client import KazooClient
from matplotlib import image

from tests.conftest import connected
from tests.dashboards.grafana import NAMES, Dashboard, Grafana, Panel, Target, load
from tests.dashboards.pictures import theme
from tests.dashboards.pictures.answers import table
from tests.dashboards.pictures.draw import draw
from tests.dashboards.pictures.theme import NAMED
from tests.dashboards.scene import Scene

pytestmark = pytest.mark.long

DASHBOARDS = [pytest.param(load(name), id=name) for name in NAMES]
PANELS = [
    pytest.param(board.name, panel, id=f"{board.name}: {panel.title}")
    for board in map(load, NAMES)
    for panel in board.panels
]

Asking = Callable[[str], Grafana]


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_each_query_has_data(grafana: Asking, name: str, panel: Panel) -> None:
    for target in panel.targets:
        # A limit is shown only near a value; both have data. There is no data from yesterday.
        for expression in target.expression.replace(" offset 1d", "").split(" < 4 * "):
            found = grafana(name).ask(replace(target, expression=expression))
            assert any(series.values for series in found), expression
            if panel.kind == "timeseries" and (least := panel.defaults.get("min")) is not None:
                assert min(value for series in found for value in series.values) >= least, "Grafana does not show it"


TRACED = [
    pytest.param(board.name, target, id=f"{board.name}: {panel.title} {target.ref}")
    for board in map(load, NAMES)
    for panel in board.panels
    for target in panel.targets
    if target.exemplars
]


@pytest.mark.parametrize(("name", "target"), TRACED)
def test_each_query_that_promises_traces_has_some(grafana: Asking, name: str, target: Target) -> None:
    assert grafana(name).exemplars(target)


def test_only_exporters_count(grafana: Asking, scene: Scene) -> None:
    """An unrelated job has a target that is down, and one with process metrics."""
    assert one_value(grafana("overview"), "Exporters down") == 0
    instances = {exporter.url.removeprefix("http://") for exporter in scene.exporters}
    for title in ("Scrapes", "Memory", "CPU"):
        target = panel_of("overview", title).targets[0]
        assert {series.labels["instance"] for series in grafana("overview").ask(target)} == instances


def test_whole_trees_are_the_sum_of_shards_and_the_most_of_replicas(grafana: Asking, scene: Scene) -> None:
    with connected(scene.server.hosts) as client:
        znodes = count(client, "/config")
    asking = grafana("tree")
    config = replace(asking, variables={**asking.variables, "tree": "config"})
    # Both shards have the root.
    assert one_value(config, "Znodes of the tree") == znodes + 1
    # The rules agree.
    assert asking.ask_now('job_tree:zookeeper_cache_nodes:sum{tree="config"}') == [znodes + 1]
    assert asking.ask_now("job_shard:treecache_exporter_shard_ordinal:count") == [2, 2]


def test_no_shard_is_missing_but_where_only_one_is_chosen(grafana: Asking, scene: Scene) -> None:
    assert one_value(grafana("overview"), "Shards missing") == 0
    alone = {**grafana("overview").variables, "instance": scene.exporters[0].url.removeprefix("http://")}
    assert one_value(replace(grafana("overview"), variables=alone), "Shards missing") == 1


@pytest.mark.parametrize("board", DASHBOARDS)
def test_annotations_mark_events(grafana: Asking, board: Dashboard) -> None:
    texts = {"Session lost": {"expired"}, "Resync": {"reconnect", "session_lost"}}
    for annotation in board.annotations:
        found = grafana(board.name).ask_range(annotation["expr"])
        assert {series.labels["reason"] for series in found} == texts[annotation["name"]]


@pytest.mark.parametrize("board", DASHBOARDS)
def test_each_variable_has_values(scene: Scene, board: Dashboard) -> None:
    everything = {"job": ".+", "instance": ".+", "ensemble": ".+"}
    expected = {
        "job": {"treecache"},
        "instance": {exporter.url.removeprefix("http://") for exporter in scene.exporters},
        "ensemble": {"shop", "jobs"},
        "tree": {"services", "config", "tasks", "locks"},
    }
    for name, values in expected.items():
        assert label_values(scene, board, name, everything) == values


# Pictures


def test_the_table_has_a_row_for_each_cache_the_stalest_first(grafana: Asking) -> None:
    copies = panel_of("overview", "Caches, stalest first")
    headings, rows = table(copies, grafana("overview"))
    assert headings[:6] == ["Ensemble", "Tree", "Instance", "Staleness", "Of limit", "State"]
    trees = [(row["Ensemble"].text, row["Tree"].text) for row in rows]
    assert sorted(trees) == sorted(
        [("shop", "services"), ("shop", "config")] * 4 + [("jobs", "tasks"), ("jobs", "locks")] * 2
    )
    found = grafana("overview").ask(copies.targets[0])
    worst = max(found, key=lambda series: series.points[-1][1])
    assert trees[0] == (worst.labels["ensemble"], worst.labels["tree"])


def test_alerts_are_sorted_by_their_words(grafana: Asking) -> None:
    headings, rows = table(panel_of("overview", "Firing alerts"), grafana("overview"))
    assert headings == ["Alert", "Severity", "Ensemble", "Tree", "Instance", "Since"]
    severities = [row["Severity"].text for row in rows]
    assert severities == sorted(severities)
    for row in rows:
        assert row["Alert"].text.startswith("TreeCache")
        assert row["Severity"].color == NAMED[{"critical": "red", "warning": "orange"}[row["Severity"].text]]
        assert row["Since"].text.endswith("ago")


def test_each_exporter_has_its_server(grafana: Asking, scene: Scene) -> None:
    headings, rows = table(panel_of("client", "Server of each exporter"), grafana("client"))
    assert headings == ["Instance", "Server", "State", "Session began", "Timeout"]
    instances = [exporter.url.removeprefix("http://") for exporter in scene.exporters]
    assert sorted(row["Instance"].text for row in rows) == sorted(instances)
    assert {row["Server"].text for row in rows} == {scene.server.hosts, scene.proxy.hosts}


def test_a_picture_is_as_large_as_its_grid(grafana: Asking, tmp_path: Path) -> None:
    # One panel of each kind: a whole dashboard takes half a minute.
    panels = list({panel.kind: panel.json for panel in load("client").everything}.values())
    part = Dashboard("client", {**load("client").json, "panels": panels})
    draw(part, grafana("client"), tmp_path / "client.png")
    height, width, _ = image.imread(tmp_path / "client.png").shape
    rows = max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in panels)
    assert width == theme.WIDTH
    assert abs(height - rows * theme.UNIT) < 200


# Help


def count(client: KazooClient, root: str) -> int:
    """The number of znodes of a tree, read level by level."""
    level, found = [root], 0
    while level:
        found += len(level)
        asked = [(path, client.get_children_async(path)) for path in level]
        level = [f"{path}/{child}" for path, answer in asked for child in answer.get()]
    return found


def one_value(grafana: Grafana, title: str) -> float:
    """The value of a panel with a single number; its title is unique among the dashboards."""
    (target,) = next(panel for board in map(load, NAMES) for panel in board.panels if panel.title == title).targets
    (series,) = grafana.ask(target)
    return series.values[-1]


def panel_of(name: str, title: str) -> Panel:
    return next(panel for panel in load(name).panels if panel.title == title)


def label_values(scene: Scene, board: Dashboard, variable: str, chosen: dict[str, str]) -> set[str]:
    """The values that Grafana offers for a variable: `label_values(selector, label)`."""
    query = next(each["query"] for each in board.variables if each["name"] == variable)
    selector, label = query.removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
    asking = Grafana(scene.prometheus.url, 0, 0, chosen)
    return set(asking.label_values(selector, label))
