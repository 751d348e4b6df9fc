"""Answers: Prometheus' answers for a panel, with the names, colours and words of its JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.dashboards.grafana import Dashboard, Grafana, Panel, Series, Target
from tests.dashboards.pictures.theme import NAMED, TEXT
from tests.dashboards.pictures.units import written


@dataclass(frozen=True)
class Answer:
    """A series with its name in the legend."""

    name: str
    series: Series

    @property
    def last(self) -> float | None:
        """Its last value that is a number."""
        values = self.series.values
        return values[-1] if values else None


@dataclass(frozen=True)
class Cell:
    """A text in a colour."""

    text: str
    color: str = TEXT


def answers(panel: Panel, grafana: Grafana) -> list[Answer]:
    """All series of a panel."""
    return [Answer(named(target, one), one) for target in panel.targets for one in grafana.ask(target)]


def named(target: Target, series: Series) -> str:
    """The name of a series in the legend."""
    if target.legend:
        return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: series.labels.get(match[1], ""), target.legend).strip()
    return " ".join(series.labels.values()) or "Value"


def cell(value: float | None, field: Mapping[str, Any], now: float) -> Cell:
    """A value as its field shows it: by its mapping, or in its unit with the colour of its thresholds."""
    if value is None or math.isnan(value):
        return Cell(field.get("noValue", "-"))
    for mapping in field.get("mappings", []):
        if state := mapping["options"].get(f"{value:g}"):
            return Cell(state["text"], NAMED[state["color"]])
    steps = [step for step in field["thresholds"]["steps"] if step["value"] is None or value >= step["value"]]
    return Cell(written(value, field["unit"], field.get("decimals"), now), NAMED[steps[-1]["color"]])


def fixed_color(panel: Panel, name: str) -> str | None:
    """The colour that the panel gives to a series of this name."""
    for matched, properties in panel.overrides:
        if matched == name and "color" in properties:
            return NAMED[properties["color"]["fixedColor"]]
    return None


def dashed(panel: Panel, name: str) -> bool:
    """Whether the panel draws the series of this name as a dashed line."""
    styles = (properties.get("custom.lineStyle", {}) for matched, properties in panel.overrides if matched == name)
    return any(style.get("fill") == "dash" for style in styles)


def table(panel: Panel, grafana: Grafana) -> tuple[list[str], list[dict[str, Cell]]]:
    """The headings and the sorted rows of a table."""
    organized = next(step["options"] for step in panel.json["transformations"] if step["id"] == "organize")
    names: Mapping[str, str] = organized["renameByName"]
    fields = {heading: {**panel.defaults, **properties} for heading, properties in _columns(panel).items()}
    rows: dict[tuple[tuple[str, str], ...], dict[str, float | str]] = {}
    for target in panel.targets:
        for series in grafana.ask(target):
            row = rows.setdefault(tuple(sorted(series.labels.items())), dict(series.labels))
            row[f"Value #{target.ref}" if len(panel.targets) > 1 else "Value"] = series.points[-1][1]
    (sort,) = panel.json["options"]["sortBy"]
    by = next(name for name, heading in names.items() if heading == sort["displayName"])
    least = -math.inf if sort["desc"] else math.inf

    def rank(row: Mapping[str, float | str]) -> tuple[float, str]:
        value = row.get(by, least)
        return (0.0, value) if isinstance(value, str) else (value, "")

    ordered = sorted(rows.values(), key=rank, reverse=sort["desc"])
    headings = sorted(names.values(), key=list(fields).index)
    return headings, [
        {names[name]: _in_column(row.get(name), fields[names[name]], grafana) for name in names} for row in ordered
    ]


def _columns(panel: Panel) -> dict[str, Mapping[str, Any]]:
    found: dict[str, Mapping[str, Any]] = {}
    for heading, properties in panel.overrides:
        colored = properties.get("custom.cellOptions", {}).get("type") == "color-text"
        plain = {"mode": "absolute", "steps": [{"color": "text", "value": None}]}
        found[heading] = {"thresholds": plain, **properties, "colored": colored}
    return found


def _in_column(value: float | str | None, field: Mapping[str, Any], grafana: Grafana) -> Cell:
    if isinstance(value, str):
        for mapping in field.get("mappings", []):
            if state := mapping["options"].get(value):
                return Cell(state["text"], NAMED[state["color"]])
        return Cell(value, NAMED["blue"] if "links" in field else TEXT)
    return cell(value, field, grafana.end)


def marks(board: Dashboard, grafana: Grafana) -> list[tuple[float, float, str]]:
    """The start, end and colour of each annotation's regions."""
    found = []
    for annotation in board.annotations:
        for series in grafana.ask_range(annotation["expr"]):
            times = [time for time, _ in series.points]
            begins = [time for before, time in zip([-math.inf, *times], times, strict=False) if time - before > 60]
            ends = [time for time, after in zip(times, [*times[1:], math.inf], strict=True) if after - time > 60]
            color = NAMED[annotation["iconColor"]]
            found += [(begin, end, color) for begin, end in zip(begins, ends, strict=True)]
    return found
