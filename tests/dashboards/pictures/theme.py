"""Theme: the colours and sizes of Grafana's dark theme that a picture needs."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

PAGE = "#111217"
PANEL = "#181b1f"
BORDER = "#2c2f36"
GRID = "#2a2d33"
TEXT = "#d0d1dc"
FAINT = "#8e8f9b"

#: The names of colours in the JSON.
NAMED = {
    "green": "#73bf69",
    "blue": "#5794f2",
    "orange": "#ff9830",
    "red": "#f2495c",
    "purple": "#b877d9",
    "yellow": "#fade2a",
    "text": TEXT,
}
_PALETTE = (
    "#73bf69",
    "#5794f2",
    "#fade2a",
    "#b877d9",
    "#56d3d3",
    "#ff9830",
    "#8ab8ff",
    "#e0b400",
    "#ca95e5",
    "#96d98d",
)

#: Pixels: width of the page, a unit of the grid's height and the space between two panels.
WIDTH = 1680
UNIT = 38
GAP = 8
COLUMNS = 24
DPI = 100


def points(pixels: float) -> float:
    """The size of a font in points."""
    return pixels * 72 / DPI


def by_name(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, the same in every panel."""
    return dict(zip(dict.fromkeys(names), itertools.cycle(_PALETTE), strict=False))
