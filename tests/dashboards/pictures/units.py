"""Units: numbers as Grafana writes them in the units that the dashboards use."""

from __future__ import annotations

import math
from collections.abc import Sequence

_TIMES = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_SUFFIXES = {"Bps": "B/s", "cps": "c/s", "reqps": "req/s"}


def written(value: float, unit: str, decimals: int | None = None, now: float = 0.0) -> str:
    """A number in one of Grafana's units. Raises KeyError for an unknown unit."""
    if math.isnan(value):
        return "NaN"
    if unit in ("short", "none"):
        return _scaled(value, 1000, ("", " K", " Mil", " Bil"), decimals)
    if unit == "percentunit":
        return _plain(value * 100, decimals) + "%"
    if unit == "bytes":
        return _scaled(value, 1024, (" B", " KiB", " MiB", " GiB", " TiB"), decimals)
    if unit == "s":
        return _time(value, decimals)
    if unit == "dateTimeFromNow":
        age = now - value / 1000
        return f"{_time(age, 0)} ago" if age >= 1 else "a second ago"
    return _scaled(value, 1000, (" ", " k", " M", " G"), decimals) + _SUFFIXES[unit]


def _time(value: float, decimals: int | None) -> str:
    if value == 0:
        return "0 s"
    size, name = next(((size, name) for size, name in _TIMES if abs(value) >= size), _TIMES[-1])
    return f"{_plain(value / size, decimals)} {name}"


def _scaled(value: float, base: int, names: Sequence[str], decimals: int | None) -> str:
    step = 0
    while abs(value) >= base and step < len(names) - 1:
        value /= base
        step += 1
    return _plain(value, decimals) + names[step]


def _plain(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f}"
    if value == 0 or abs(value) >= 1e6:
        return f"{value:.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(digits, 3)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
