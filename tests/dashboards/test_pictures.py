"""The pictures have the units and colours of the JSON."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.dashboards.grafana import NAMES, Panel, load
from tests.dashboards.pictures.answers import cell
from tests.dashboards.pictures.theme import NAMED
from tests.dashboards.pictures.units import written

pytestmark = pytest.mark.long


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


def test_every_picture_is_committed() -> None:
    docs = Path(__file__).parents[2] / "docs"
    text = (docs / "dashboards.md").read_text("utf-8")
    for name in NAMES:
        assert (docs / f"dashboard-{name}.png").is_file()
        assert f"(dashboard-{name}.png)" in text


def panel(name: str, title: str) -> Panel:
    (found,) = (each for each in load(name).panels if each.title == title)
    return found
