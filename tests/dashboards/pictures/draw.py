"""Draw: a dashboard as one picture, laid out on Grafana's grid."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from tests.dashboards.grafana import Dashboard, Grafana, Panel
from tests.dashboards.pictures import theme
from tests.dashboards.pictures.answers import Answer, Cell, answers, cell, dashed, fixed_color, marks, named, table
from tests.dashboards.pictures.theme import NAMED, points
from tests.dashboards.pictures.units import written


def draw(board: Dashboard, grafana: Grafana, path: Path) -> None:
    """Writes a PNG of the dashboard with Prometheus' answers. Raises KeyError for an unknown type of panel."""
    with mpl.rc_context({"font.family": "DejaVu Sans"}):
        _Page(board, grafana).save(path)


@dataclass(frozen=True)
class _Box:
    """A rectangle of the page in pixels, from the top left."""

    x: float
    y: float
    width: float
    height: float

    def inside(self, *, left: float = 0, top: float = 0, right: float = 0, bottom: float = 0) -> _Box:
        return _Box(self.x + left, self.y + top, self.width - left - right, self.height - top - bottom)


@dataclass
class _Page:
    board: Dashboard
    grafana: Grafana
    top: int = 86
    colors: dict[str, str] = field(default_factory=dict)
    #: The answers of graphs by title.
    found: dict[str, list[Answer]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        units = max(panel.json["gridPos"]["y"] + panel.json["gridPos"]["h"] for panel in self.board.everything)
        self.height = self.top + units * theme.UNIT + theme.GAP
        self.figure = Figure(figsize=(theme.WIDTH / theme.DPI, self.height / theme.DPI), dpi=theme.DPI)
        self.figure.set_facecolor(theme.PAGE)
        self.marks = marks(self.board, self.grafana)
        graphs = [panel for panel in self.board.panels if panel.kind == "timeseries"]
        # Asked for once: Prometheus may know more series a moment later.
        self.found = {panel.title: answers(panel, self.grafana) for panel in graphs}
        self.colors = theme.by_name(answer.name for found in self.found.values() for answer in found)

    def save(self, path: Path) -> None:
        self._head()
        kinds: Mapping[str, Callable[[Panel, _Box], None]] = {
            "row": self._row,
            "stat": self._stat,
            "timeseries": self._graph,
            "state-timeline": self._timeline,
            "heatmap": self._heatmap,
            "table": self._table,
        }
        for panel in self.board.everything:
            box = self._place(panel)
            if panel.kind != "row":
                self._frame(panel, box)
            kinds[panel.kind](panel, box)
        self.figure.savefig(path, pil_kwargs={"optimize": True})

    # The page

    def _place(self, panel: Panel) -> _Box:
        grid = panel.json["gridPos"]
        column = (theme.WIDTH - theme.GAP) / theme.COLUMNS
        return _Box(
            theme.GAP + grid["x"] * column,
            self.top + grid["y"] * theme.UNIT,
            grid["w"] * column - theme.GAP,
            grid["h"] * theme.UNIT - theme.GAP,
        )

    def _axes(self, box: _Box) -> Axes:
        across, down = theme.WIDTH, self.height
        axes = self.figure.add_axes(
            (box.x / across, 1 - (box.y + box.height) / down, box.width / across, box.height / down)
        )
        axes.set_facecolor("none")
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes

    def _blank(self, box: _Box) -> Axes:
        """Axes whose coordinates are pixels from the top left."""
        axes = self._axes(box)
        axes.set_xlim(0, box.width)
        axes.set_ylim(box.height, 0)
        axes.axis("off")
        return axes

    def _write(self, axes: Axes, x: float, y: float, text: str, size: float, color: str, **how: str) -> None:
        axes.text(x, y, text, fontsize=points(size), color=color, va="center", clip_on=True, **how)  # type: ignore[arg-type]

    def _head(self) -> None:
        box = _Box(theme.GAP, 0, theme.WIDTH - 2 * theme.GAP, self.top)
        axes = self._blank(box)
        self._write(axes, 2, 24, self.board.json["title"], 19, theme.TEXT, weight="bold")
        links = "   ".join(f"{link['title']} ↗" for link in self.board.json["links"])
        self._write(axes, box.width - 4, 24, links, 13, theme.FAINT, ha="right")
        x = 2.0
        for variable in self.board.variables:
            if variable.get("hide"):
                continue
            chosen = self.grafana.variables.get(variable["name"], "Prometheus")
            text = f"{variable['label']}  {'All' if chosen == '.+' else chosen}"
            width = 24 + 7.6 * len(text)
            axes.add_patch(_rounded(x, 46, width, 28, theme.PANEL, theme.BORDER))
            self._write(axes, x + 12, 60, text, 13, theme.TEXT)
            x += width + 8
        begin, end = (datetime.datetime.fromtimestamp(t, datetime.UTC) for t in self._span)
        self._write(axes, box.width - 4, 60, f"{begin:%H:%M:%S} to {end:%H:%M:%S}", 13, theme.FAINT, ha="right")

    @property
    def _span(self) -> tuple[float, float]:
        return self.grafana.start, self.grafana.end

    def _row(self, panel: Panel, box: _Box) -> None:
        self._write(self._blank(box), 2, 16, f"⌄  {panel.title}", 16, theme.TEXT, weight="bold")

    def _frame(self, panel: Panel, box: _Box) -> None:
        axes = self._blank(box)
        axes.add_patch(_rounded(0.5, 0.5, box.width - 1, box.height - 1, theme.PANEL, theme.BORDER))
        self._write(axes, 10, 16, panel.title, 13.5, theme.TEXT, weight="bold")

    # Panels

    def _stat(self, panel: Panel, box: _Box) -> None:
        body = box.inside(left=4, top=30, right=4, bottom=4)
        found = answers(panel, self.grafana)
        names_only = panel.json["options"]["textMode"] == "name"
        cells = [
            (answer.name, Cell(answer.name) if names_only else cell(answer.last, panel.defaults, self._span[1]))
            for answer in found
        ] or [("", Cell(panel.defaults["noValue"]))]
        several = len(cells) > 1 and not names_only
        width = body.width / len(cells)
        for index, (name, shown) in enumerate(cells):
            part = _Box(body.x + index * width, body.y, width - (2 if several else 0), body.height)
            axes = self._blank(part)
            painted = panel.json["options"]["colorMode"] == "background" and shown.color != theme.TEXT
            if painted:
                axes.add_patch(_rounded(0, 0, part.width, part.height, shown.color, shown.color))
            color = "#101114" if painted else theme.TEXT
            size = min(42.0, 1.2 * part.width / max(len(shown.text), 1), part.height * (0.42 if several else 0.6))
            self._write(
                axes,
                part.width / 2,
                part.height * (0.62 if several else 0.5),
                shown.text,
                size,
                color,
                ha="center",
                weight="bold",
            )
            if several:
                self._write(axes, part.width / 2, part.height * 0.22, name, 11.5, color, ha="center")

    def _graph(self, panel: Panel, box: _Box) -> None:
        found = [answer for answer in self.found[panel.title] if answer.series.values]
        custom = panel.defaults["custom"]
        lines = self._legend(panel, box, [(a.name, self._color(panel, a.name)) for a in found])
        axes = self._plot(panel, box.inside(left=66, top=34, right=12, bottom=26 + 17 * lines))
        stack = _Stack(self.grafana, found)
        stacked = custom.get("stacking", {}).get("mode") == "normal"
        for answer in found:
            color = self._color(panel, answer.name)
            times, values = _with_gaps(answer.series.points, self.grafana.step)
            if stacked:
                times, below, above, there = stack.add(answer)
                bars: Literal["mid"] | None = "mid" if custom["drawStyle"] == "bars" else None
                axes.fill_between(times, below, above, there, step=bars, color=color, alpha=0.55, linewidth=0.6)
            elif custom["drawStyle"] == "points":
                axes.plot(times, values, color=color, linestyle="", marker="o", markersize=4)
            elif dashed(panel, answer.name):
                axes.plot(times, values, color=color, linewidth=1, linestyle=(0, (6, 4)))
            else:
                axes.plot(times, values, color=color, linewidth=1.3)
                axes.fill_between(times, 0, values, color=color, alpha=0.06, linewidth=0)
        self._scale(panel, axes, found, stack.heights)
        self._exemplars(panel, axes)
        for begin, end, color in self.marks:
            axes.axvspan(begin, end, color=color, alpha=0.03, linewidth=0)
            axes.axvline(begin, color=color, linewidth=0.9, linestyle=(0, (4, 3)), alpha=0.8)

    def _scale(self, panel: Panel, axes: Axes, found: Sequence[Answer], stacked: Sequence[float]) -> None:
        custom = panel.defaults["custom"]
        tops = [max(answer.series.values) for answer in found] + list(stacked) + [custom.get("axisSoftMax", 0)]
        top = panel.defaults.get("max") or max(tops) * 1.08 or 1
        lows = [min(answer.series.values) for answer in found]
        low = panel.defaults.get("min", min([*lows, custom.get("axisSoftMin", 0)]))
        if panel.defaults.get("max"):
            low = max(0, min([*lows, top * 0.9]) - 0.05)
        axes.set_ylim(low, top * (1.02 if panel.defaults.get("max") else 1))
        scale = panel.defaults["custom"].get("scaleDistribution", {})
        if scale.get("type") == "symlog":
            self._logarithmic(panel, axes, scale["linearThreshold"], top)
        if not found:
            axes.text(0.5, 0.5, panel.defaults["noValue"], color=theme.FAINT, transform=axes.transAxes, ha="center")
        if panel.defaults["custom"].get("thresholdsStyle", {}).get("mode") == "dashed":
            for step in panel.defaults["thresholds"]["steps"]:
                if step["value"] is not None and low < step["value"] <= axes.get_ylim()[1]:
                    axes.axhline(step["value"], color=NAMED[step["color"]], linewidth=1, linestyle=(0, (6, 4)))

    def _logarithmic(self, panel: Panel, axes: Axes, linear_below: float, top: float) -> None:
        written_as = axes.yaxis.get_major_formatter()
        axes.set_yscale("symlog", base=10, linthresh=linear_below)
        axes.yaxis.set_major_formatter(written_as)
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylim(0, max(top, linear_below) * 1.5)

    def _timeline(self, panel: Panel, box: _Box) -> None:
        found = sorted((a for a in answers(panel, self.grafana) if a.series.values), key=lambda a: a.name)
        states = {
            int(value): Cell(state["text"], NAMED[state["color"]])
            for mapping in panel.defaults["mappings"]
            for value, state in mapping["options"].items()
        }
        lines = self._legend(panel, box, [(state.text, state.color) for state in states.values()])
        left = 16 + 7.2 * max((len(answer.name) for answer in found), default=4)
        axes = self._plot(panel, box.inside(left=left, top=34, right=12, bottom=26 + 17 * lines))
        axes.set_ylim(len(found) or 1, 0)
        axes.grid(False)
        axes.set_yticks([index + 0.5 for index in range(len(found))], [answer.name for answer in found])
        pixel = (self._span[1] - self._span[0]) / (box.width - left)
        for lane, answer in enumerate(found):
            for begin, end, value in _runs(answer.series.points, self.grafana.step):
                state = states[int(value)]
                axes.add_patch(
                    Rectangle((begin, lane + 0.08), end - begin, 0.84, color=state.color, alpha=0.8, linewidth=0)
                )
                if (end - begin) / pixel > 8 * len(state.text):
                    axes.text(
                        begin + 5 * pixel, lane + 0.5, state.text, fontsize=points(11.5), color="#101114", va="center"
                    )

    def _heatmap(self, panel: Panel, box: _Box) -> None:
        (target,) = panel.targets
        found = {named(target, series): series for series in self.grafana.ask(target)}
        bounds = sorted(found, key=float)
        axes = self._plot(panel, box.inside(left=66, top=34, right=12, bottom=26))
        axes.grid(False)
        times = sorted({time for series in found.values() for time, _ in series.points})
        below = dict.fromkeys(times, 0.0)
        cells = []
        for bound in bounds:
            row = dict(found[bound].points)
            cells.append([max(0.0, row.get(time, 0.0) - below[time]) or math.nan for time in times])
            below = {time: row.get(time, below[time]) for time in times}
        if not any(not math.isnan(value) for row in cells for value in row):
            axes.text(0.5, 0.5, panel.defaults["noValue"], color=theme.FAINT, transform=axes.transAxes, ha="center")
        else:
            edges = [*times, times[-1] + self.grafana.step]
            axes.pcolormesh(edges, range(len(bounds) + 1), cells, cmap="Spectral_r", norm="log", rasterized=True)
        axes.set_ylim(0, len(bounds) or 1)
        shown = range(0, len(bounds), 2)
        axes.set_yticks(
            [i + 1 for i in shown], ["+Inf" if bounds[i] == "+Inf" else written(float(bounds[i]), "s") for i in shown]
        )
        for time, value in self.grafana.exemplars(target):
            bucket = next((i for i, bound in enumerate(bounds) if value <= float(bound)), len(bounds) - 1)
            axes.plot(time, bucket + 0.5, marker="D", markersize=3.2, color="white", markeredgewidth=0)

    def _exemplars(self, panel: Panel, axes: Axes) -> None:
        top = axes.get_ylim()[1]
        for target in panel.targets:
            if target.exemplars:
                seen = [(time, value) for time, value in self.grafana.exemplars(target) if value <= top]
                if seen:
                    times, values = zip(*seen, strict=True)
                    axes.plot(times, values, linestyle="", marker="D", markersize=3, color="#5794f2", markeredgewidth=0)

    def _table(self, panel: Panel, box: _Box) -> None:
        headings, rows = table(panel, self.grafana)
        body = box.inside(left=10, top=34, right=10, bottom=6)
        axes = self._blank(body)
        lengths = [max([len(heading), *(len(row[heading].text) for row in rows)]) + 4 for heading in headings]
        fits = int(body.height // 28) - 1
        x = 0.0
        for heading, length in zip(headings, lengths, strict=True):
            width = body.width * length / sum(lengths)
            self._write(axes, x, 12, heading, 12.5, NAMED["blue"], weight="bold")
            for index, row in enumerate(rows[:fits]):
                self._write(axes, x, 40 + 28 * index, row[heading].text, 13, row[heading].color)
            x += width
        if not rows:
            self._write(axes, 0, 40, panel.defaults["noValue"], 13, theme.FAINT)
        for index in range(min(len(rows), fits) + 1):
            axes.axhline(26 + 28 * index, color=theme.BORDER, linewidth=0.8)

    # Shared by several kinds

    def _plot(self, panel: Panel, box: _Box) -> Axes:
        axes = self._axes(box)
        axes.set_xlim(*self._span)
        axes.grid(True, color=theme.GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(colors=theme.FAINT, labelsize=points(11.5), length=0, pad=5)
        span = self._span[1] - self._span[0]
        pace = next(pace for pace in (10, 30, 60, 120, 300, 600, 1800, 3600, 86400) if span / pace <= box.width / 75)
        first = math.ceil(self._span[0] / pace) * pace
        axes.set_xticks([first + pace * i for i in range(int((self._span[1] - first) // pace) + 1)])
        clock = "%H:%M" if pace >= 60 else "%H:%M:%S"
        utc = datetime.UTC
        axes.xaxis.set_major_formatter(FuncFormatter(lambda t, _: f"{datetime.datetime.fromtimestamp(t, utc):{clock}}"))
        unit, decimals = panel.defaults["unit"], panel.defaults.get("decimals")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: written(round(value, 9), unit, decimals)))
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], integer=decimals == 0))
        return axes

    def _legend(self, panel: Panel, box: _Box, entries: Sequence[tuple[str, str]]) -> int:
        """Draws the legend at the bottom, in at most a third of the panel, and returns its number of lines."""
        texts = [name for name, _ in entries]
        lines: list[list[int]] = [[]]
        used = 0.0
        for index, text in enumerate(texts):
            needed = 30 + 6.9 * len(text)
            if lines[-1] and used + needed > box.width - 20:
                lines.append([])
                used = 0.0
            lines[-1].append(index)
            used += needed
        lines = lines[: int(box.height / 3 / 17)]
        axes = self._blank(_Box(box.x + 10, box.y + box.height - 17 * len(lines) - 4, box.width - 20, 17 * len(lines)))
        for number, line in enumerate(lines):
            x = 0.0
            for index in line:
                axes.add_patch(Rectangle((x, 17 * number + 6), 14, 4, color=entries[index][1], linewidth=0))
                self._write(axes, x + 20, 17 * number + 8.5, texts[index], 11.5, theme.TEXT)
                x += 30 + 6.9 * len(texts[index])
        return len(lines)

    def _color(self, panel: Panel, name: str) -> str:
        return fixed_color(panel, name) or self.colors[name]


class _Stack:
    """Stacked series: a missing value counts as 0, a time without any value is a gap."""

    def __init__(self, grafana: Grafana, found: Sequence[Answer]) -> None:
        self._grafana = grafana
        self._times = [grafana.start + grafana.step * n for n in range(self._number(grafana.end) + 1)]
        self._measured = {self._number(time) for answer in found for time, _ in answer.series.points}
        self.heights = [0.0] * len(self._times)

    def add(self, answer: Answer) -> tuple[list[float], list[float], list[float], list[bool]]:
        """Adds a series: the times, its lower and upper edge, and where it is visible."""
        values = {self._number(time): value for time, value in answer.series.points}
        below = self.heights
        self.heights = [low + values.get(number, 0.0) for number, low in enumerate(below)]
        return self._times, below, self.heights, [number in self._measured for number in range(len(below))]

    def _number(self, time: float) -> int:
        return round((time - self._grafana.start) / self._grafana.step)


def _rounded(x: float, y: float, width: float, height: float, face: str, edge: str) -> FancyBboxPatch:
    return FancyBboxPatch(
        (x, y), width, height, boxstyle="round,pad=0,rounding_size=3", facecolor=face, edgecolor=edge, linewidth=0.8
    )


def _with_gaps(series: Sequence[tuple[float, float]], step: float) -> tuple[list[float], list[float]]:
    """Times and values, with a NaN where points are missing."""
    times: list[float] = []
    values: list[float] = []
    for time, value in series:
        if times and time - times[-1] > 1.5 * step:
            times.append(times[-1] + step)
            values.append(math.nan)
        times.append(time)
        values.append(value)
    return times, values


def _runs(series: Sequence[tuple[float, float]], step: float) -> list[tuple[float, float, float]]:
    """The start and end of each run of equal values."""
    runs: list[tuple[float, float, float]] = []
    for time, value in series:
        if runs and runs[-1][2] == value and time - runs[-1][1] <= 0.5 * step:
            runs[-1] = (runs[-1][0], time + step, value)
        else:
            runs.append((time, time + step, value))
    return runs
