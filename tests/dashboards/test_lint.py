"""The dashboards follow the rules of Grafana's dashboard-linter (docs/rules) and some of this project's.

The rules about Loki do not apply.
"""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from tests.dashboards.grafana import NAMES, Dashboard, Panel, Target, load

DASHBOARDS = [pytest.param(load(name), id=name) for name in NAMES]
#: The names of the used units in Grafana 11.6 (packages/grafana-data/src/valueFormats/categories.ts).
UNITS = {"none", "string", "short", "s", "bytes", "Bps", "cps", "reqps", "percentunit", "dateTimeFromNow"}
ROOT = Path(__file__).parents[2]
RULES = ROOT / "dashboards" / "prometheus" / "templates" / "treecache-alerts.yml"
#: At the exporter in a hidden variable.
SERVED = "http://${exporter}/docs/runbooks"
RUNBOOKS = ROOT / "docs" / "runbooks.md"
TEMPLATED = {"type": "prometheus", "uid": "${datasource}"}


# Grafana's rules


@pytest.mark.parametrize("board", DASHBOARDS)
def test_template_datasource_rule(board: Dashboard) -> None:
    (variable,) = (each for each in board.variables if each["type"] == "datasource")
    assert (variable["name"], variable["label"], variable["query"]) == ("datasource", "Data source", "prometheus")


@pytest.mark.parametrize("board", DASHBOARDS)
@pytest.mark.parametrize("name", ["job", "instance"])
def test_template_job_and_instance_rules(board: Dashboard, name: str) -> None:
    (variable,) = (each for each in board.variables if each["name"] == name)
    assert (variable["type"], variable["label"], variable["datasource"]) == ("query", name.title(), TEMPLATED)
    assert (variable["multi"], variable["includeAll"], variable["allValue"]) == (True, True, ".+")


@pytest.mark.parametrize("board", DASHBOARDS)
def test_template_on_time_change_reload_rule(board: Dashboard) -> None:
    assert {variable["refresh"] for variable in board.variables if variable["type"] == "query"} == {2}


@pytest.mark.parametrize("board", DASHBOARDS)
def test_uneditable_dashboard(board: Dashboard) -> None:
    assert board.json["editable"] is False


@pytest.mark.parametrize("board", DASHBOARDS)
def test_panel_datasource_rule(board: Dashboard) -> None:
    for panel in board.panels:
        assert panel.json["datasource"] == TEMPLATED
        assert all(target["datasource"] == TEMPLATED for target in panel.json["targets"])


@pytest.mark.parametrize("board", DASHBOARDS)
def test_panel_title_description_rule(board: Dashboard) -> None:
    for panel in board.panels:
        assert re.fullmatch(r"[A-Z].*[^.]", panel.title)
        # More than one sentence: what it shows and what to do.
        assert len(re.findall(r"[.:;?]( |$)", panel.json["description"])) > 1, panel.json["description"]


@pytest.mark.parametrize("board", DASHBOARDS)
def test_panel_units_rule(board: Dashboard) -> None:
    for panel in board.panels:
        units = {properties["unit"] for _, properties in panel.overrides if "unit" in properties}
        assert {panel.defaults["unit"], *units} <= UNITS


@pytest.mark.parametrize("board", DASHBOARDS)
def test_panel_no_targets_rule(board: Dashboard) -> None:
    for panel in board.panels:
        assert panel.targets


# Ours


def test_their_addresses_stay() -> None:
    uids = {load(name).json["uid"] for name in NAMES}
    assert uids == {
        "treecache-overview",
        "treecache-tree",
        "treecache-client",
        "treecache-znodes",
        "treecache-ensemble",
    }


@pytest.mark.parametrize("board", DASHBOARDS)
def test_the_variables_are_those_of_the_others(board: Dashboard) -> None:
    names = [variable["name"] for variable in board.variables]
    assert names == ["datasource", "job", "instance", "ensemble", "tree", "exporter"]
    assert [variable["name"] for variable in board.variables if variable.get("hide")] == ["exporter"]


@pytest.mark.parametrize("board", DASHBOARDS)
def test_links_lead_to_the_others_and_to_the_runbooks(board: Dashboard) -> None:
    links = {link["title"]: link for link in board.json["links"]}
    others = {name for name in NAMES if name != board.name}
    assert set(links) == {*map(str.title, others), "Runbooks"}
    for name in others:
        link = links[name.title()]
        assert link["url"] == f"/d/{load(name).json['uid']}"
        assert (link["includeVars"], link["keepTime"]) == (True, True)
    assert links["Runbooks"]["url"] == SERVED


@pytest.mark.parametrize("board", DASHBOARDS)
def test_links_of_cells_and_series_lead_to_dashboards_that_exist(board: Dashboard) -> None:
    for panel in board.panels:
        uids = {load(name).json["uid"] for name in NAMES}
        for _, properties in panel.overrides:
            for link in properties.get("links", []):
                if link["url"] == SERVED + "#${__value.text}":
                    continue
                match = re.match(r"/d/([a-z-]+)\?", link["url"])
                assert match is not None
                assert match[1] in uids


def test_each_alert_leads_to_a_panel_that_leads_to_its_runbook() -> None:
    boards = {board.json["uid"]: board for board in map(load, NAMES)}
    linked = {
        (uid, link["url"])
        for uid, board in boards.items()
        for panel in board.panels
        for link in panel.json.get("links", [])
    }
    promised = set(re.findall(r'links\("(\w+)", "([a-z]+)[a-z ]*"\)', RULES.read_text("utf-8")))
    assert promised
    assert {(f"treecache-{name}", f"{SERVED}#{alert.lower()}") for alert, name in promised} <= linked
    anchors = {f"{SERVED}#{title.lower()}" for title in re.findall(r"^## (\w+)$", RUNBOOKS.read_text("utf-8"), re.M)}
    assert {url for _, url in linked} <= anchors


@pytest.mark.parametrize("board", DASHBOARDS)
def test_the_alerts_that_fire_come_first(board: Dashboard) -> None:
    first = board.panels[0]
    assert (first.title, first.json["gridPos"]["y"], first.json["gridPos"]["w"]) == ("Firing alerts", 1, 24)
    assert first.defaults["noValue"] == "No alert is firing."
    assert {properties["noValue"] for _, properties in first.overrides} == {"-"}


def test_staleness_is_coloured_where_it_is_a_number() -> None:
    """As a share of the tree's own limit, since limits differ between trees."""
    shares = [panel for name in NAMES for panel in load(name).panels if "stale_after" in str(panel.targets)]
    colored = [panel for panel in shares if panel.kind == "stat" and panel.defaults["unit"] == "percentunit"]
    assert [panel.title for panel in colored] == ["Staleness", "Fresh in the time range", "Age of the numbers"]
    for panel in colored:
        assert len(panel.defaults["thresholds"]["steps"]) == 3


@pytest.mark.parametrize("board", DASHBOARDS)
def test_annotations(board: Dashboard) -> None:
    assert {annotation["name"] for annotation in board.annotations} == {"Session lost", "Resync"}
    assert all(annotation["enable"] for annotation in board.annotations)


@pytest.mark.parametrize("board", DASHBOARDS)
def test_titles_and_numbers_are_there_once(board: Dashboard) -> None:
    for of in ("title", "id"):
        found = [panel.json[of] for panel in board.everything]
        assert len(found) == len(set(found))


@pytest.mark.parametrize("board", DASHBOARDS)
def test_rows_are_questions(board: Dashboard) -> None:
    rows = [panel for panel in board.everything if panel.kind == "row"]
    assert board.everything[0].kind == "row"
    assert all(row.title.endswith("?") and not row.json["collapsed"] for row in rows)


@pytest.mark.parametrize("board", DASHBOARDS)
def test_the_grid_is_filled_and_nothing_overlaps(board: Dashboard) -> None:
    cells: dict[tuple[int, int], str] = {}
    for panel in board.everything:
        grid = panel.json["gridPos"]
        for x in range(grid["x"], grid["x"] + grid["w"]):
            for y in range(grid["y"], grid["y"] + grid["h"]):
                assert (x, y) not in cells, f"{panel.title} lies on {cells[x, y]}"
                cells[x, y] = panel.title
    assert set(cells) == {(x, y) for x in range(24) for y in range(max(y for _, y in cells) + 1)}


@pytest.mark.parametrize("board", DASHBOARDS)
def test_missing_values_stay_visible(board: Dashboard) -> None:
    for panel in board.panels:
        assert panel.defaults["noValue"]
        if panel.kind == "timeseries":
            assert panel.defaults["custom"]["spanNulls"] is False


@pytest.mark.parametrize("board", DASHBOARDS)
def test_thresholds_rise(board: Dashboard) -> None:
    for panel in board.panels:
        values = [step["value"] for step in panel.defaults["thresholds"]["steps"]]
        assert values[0] is None
        assert all(low < high for low, high in pairwise(values[1:]))


def is_line(panel: Panel, target: Target) -> bool:
    """Whether a series is a line to compare others with, and so has no traces."""
    return any(name == target.legend and "custom.lineStyle" in given for name, given in panel.overrides)


def test_heatmaps_and_durations_lead_to_traces() -> None:
    heatmaps = [panel for name in NAMES for panel in load(name).panels if panel.kind == "heatmap"]
    assert len(heatmaps) >= 4
    untraced = {panel.title for panel in heatmaps if not panel.targets[0].exemplars}
    assert untraced == {"Time in listeners"}
    durations = [panel for name in NAMES for panel in load(name).panels if "99th percentile" in panel.title]
    assert durations
    assert all(target.exemplars for panel in durations for target in panel.targets if not is_line(panel, target))
