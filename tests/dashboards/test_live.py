"""Every query of every panel gets an answer from a real Prometheus that scraped the real daemon through faults."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.dashboards.grafana import NAMES, Dashboard, Grafana, Panel, load
from tests.dashboards.scene import Scene

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
        assert any(series.values for series in grafana(name).ask(target)), target.expression


@pytest.mark.parametrize("board", DASHBOARDS)
def test_annotations_tell_of_what_happened(grafana: Asking, board: Dashboard) -> None:
    texts = {"Session lost": {"expired"}, "Resync": {"reconnect", "session_lost"}}
    for annotation in board.annotations:
        found = grafana(board.name).ask_range(annotation["expr"])
        assert {series.labels["reason"] for series in found} == texts[annotation["name"]]


@pytest.mark.parametrize("board", DASHBOARDS)
def test_each_variable_has_values(scene: Scene, board: Dashboard) -> None:
    everything = {"job": ".+", "instance": ".+", "ensemble": ".+"}
    expected = {
        "job": {"treecache"},
        "instance": {scene.exporter.url.removeprefix("http://"), scene.replica.url.removeprefix("http://")},
        "ensemble": {"shop", "jobs"},
        "tree": {"services", "config", "tasks", "locks"},
    }
    for name, values in expected.items():
        assert label_values(scene, board, name, everything) == values


def label_values(scene: Scene, board: Dashboard, variable: str, chosen: dict[str, str]) -> set[str]:
    """What Grafana offers for a variable: `label_values(selector, label)`."""
    query = next(each["query"] for each in board.variables if each["name"] == variable)
    selector, label = query.removeprefix("label_values(").removesuffix(")").rsplit(", ", 1)
    asking = Grafana(scene.prometheus.url, 0, 0, chosen)
    return set(asking.label_values(selector, label))
