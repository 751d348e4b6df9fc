"""The pictures show Prometheus' answers, in the units and colours of the JSON."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from matplotlib import image

from tests.dashboards.grafana import NAMES, Grafana, Panel, load
from tests.dashboards.pictures import theme
from tests.dashboards.pictures.answers import cell, table
from tests.dashboards.pictures.draw import draw
from tests.dashboards.pictures.theme import NAMED
from tests.dashboards.pictures.units import written
from tests.dashboards.scene import Scene

pytestmark = pytest.mark.long

Asking = Callable[[str], Grafana]


@pytest.mark.parametrize(
    ("value", "unit", "decimals", "text"),
    [
        (0.0, "short", None, "0"),
        (1234.0, "short", None, "1.23 K"),
        (2.0, "short", 0, "2"),
        (0.00042, "s", None, "420 µs"),
        (24.84, "s", 1, "24.8 s"),
        (5400.0, "s", None, "1.5 h"),
        (0.9991, "percentunit", 2, "99.91%"),
        (64 * 1024**2, "bytes", None, "64 MiB"),
        (1500.0, "Bps", None, "1.5 kB/s"),
        (12.0, "reqps", None, "12 req/s"),
        (940_000.0, "dateTimeFromNow", None, "1 min ago"),
        (math.nan, "s", None, "NaN"),
    ],
)
def test_units(value: float, unit: str, decimals: int | None, text: str) -> None:
    assert written(value, unit, decimals, now=1000.0) == text


@pytest.mark.parametrize(
    ("share", "color"), [(0.49, "green"), (0.5, "orange"), (0.89, "orange"), (0.9, "red"), (math.inf, "red")]
)
def test_thresholds_color_a_value(share: float, color: str) -> None:
    assert cell(share, panel("client", "Time since last heard").defaults, now=0).color == NAMED[color]


def test_states_are_named() -> None:
    field = panel("client", "State").defaults
    shown = [(cell(number, field, now=0).text, cell(number, field, now=0).color) for number in (2, 4)]
    assert shown == [("connected", NAMED["green"]), ("suspended", NAMED["orange"])]


def test_absent_values_have_a_text() -> None:
    assert cell(None, panel("tree", "Staleness").defaults, now=0).text == "never verified"


def test_the_table_has_a_row_for_each_cache_the_stalest_first(grafana: Asking) -> None:
    copies = panel("overview", "Caches, stalest first")
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
    headings, rows = table(panel("overview", "Firing alerts"), grafana("overview"))
    assert headings == ["Alert", "Severity", "Ensemble", "Tree", "Instance", "Since"]
    severities = [row["Severity"].text for row in rows]
    assert severities == sorted(severities)
    for row in rows:
        assert row["Alert"].text.startswith("TreeCache")
        assert row["Severity"].color == NAMED[{"critical": "red", "warning": "orange"}[row["Severity"].text]]
        assert row["Since"].text.endswith("ago")


def test_each_exporter_has_its_server(grafana: Asking, scene: Scene) -> None:
    headings, rows = table(panel("client", "Server of each exporter"), grafana("client"))
    assert headings == ["Instance", "Server", "State", "Session began", "Timeout"]
    instances = [exporter.url.removeprefix("http://") for exporter in scene.exporters]
    assert sorted(row["Instance"].text for row in rows) == sorted(instances)
    assert {row["Server"].text for row in rows} == {scene.server.hosts, scene.proxy.hosts}


def test_a_picture_is_as_large_as_its_grid(grafana: Asking, tmp_path: Path) -> None:
    path = tmp_path / "client.png"
    draw(load("client"), grafana("client"), path)
    height, width, _ = image.imread(path).shape
    rows = max(each.json["gridPos"]["y"] + each.json["gridPos"]["h"] for each in load("client").everything)
    assert width == theme.WIDTH
    assert abs(height - rows * theme.UNIT) < 200


def test_every_picture_is_committed() -> None:
    docs = Path(__file__).parents[2] / "docs"
    text = (docs / "dashboards.md").read_text("utf-8")
    for name in NAMES:
        assert (docs / f"dashboard-{name}.png").is_file()
        assert f"(dashboard-{name}.png)" in text


def panel(name: str, title: str) -> Panel:
    (found,) = (each for each in load(name).panels if each.title == title)
    return found
