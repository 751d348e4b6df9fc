"""Panels: stats, graphs, timelines, heatmaps and tables with common settings; a dashboard sets only what differs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias, TypeVar

from grafana_foundation_sdk.builders import common as options
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import heatmap, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode, HeatmapColorScale
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.grafana.limits import Limit
from dashboards.grafana.promql import lately

DATASOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")

GOOD, NOTED, WARNING, BAD = "green", "blue", "orange", "red"
#: The colours of the series that show where staleness alerts.
LAG_LINES = {"warns": WARNING, "pages": BAD}

Panel: TypeAlias = stat.Panel | timeseries.Panel | statetimeline.Panel | heatmap.Panel | table.Panel
_DASHED = (
    DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 10]}),
    DynamicConfigValue("custom.fillOpacity", 0),
)
P = TypeVar("P", stat.Panel, timeseries.Panel, statetimeline.Panel, heatmap.Panel, table.Panel)


class Query(NamedTuple):
    """An expression, the name of its series in the legend, and whether to show exemplars, which lead to traces."""

    expression: str
    legend: str = ""
    exemplars: bool = False


class State(NamedTuple):
    """A word and a colour for a number."""

    text: str
    color: str


class Link(NamedTuple):
    """Where a click on a series or a cell leads."""

    title: str
    url: str


class Column(NamedTuple):
    """A column of a table: a number for each row, or with `label` the text of one of its labels.

    Numbers are coloured by a limit or named by `states`, texts by `words`.
    """

    heading: str
    expression: str = ""
    unit: str = "short"
    label: str = ""
    limit: Limit | None = None
    states: Mapping[int, State] = {}
    words: Mapping[str, State] = {}
    link: Link | None = None
    decimals: int | None = None
    width: int | None = None


def value(
    title: str,
    description: str,
    unit: str,
    expression: str,
    *,
    legend: str = "",
    limit: Limit | None = None,
    states: Mapping[int, State] | None = None,
    decimals: int | None = None,
    absent: str = "no data",
    width: int = 4,
) -> Panel:
    """One large number, coloured by its limit or named by its states; `absent` is shown if there is no value."""
    panel = stat.Panel().with_target(_instant(Query(expression, legend), "A"))
    _dress(panel, title, description, unit, (width, 4), limit=limit, states=states, decimals=decimals)
    colored = limit is not None or states is not None
    return (
        panel.no_value(absent)
        .color_mode(common.BigValueColorMode.BACKGROUND if colored else common.BigValueColorMode.NONE)
        .graph_mode(common.BigValueGraphMode.NONE)
        .text_mode(common.BigValueTextMode.AUTO)
        .reduce_options(options.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
    )


def words(title: str, description: str, expression: str, legend: str, *, absent: str, width: int = 4) -> Panel:
    """A text that is a label of an info metric."""
    panel = stat.Panel().with_target(_instant(Query(expression, legend), "A"))
    _dress(panel, title, description, "string", (width, 4))
    return (
        panel.no_value(absent)
        .color_mode(common.BigValueColorMode.NONE)
        .graph_mode(common.BigValueGraphMode.NONE)
        .text_mode(common.BigValueTextMode.NAME)
        .reduce_options(options.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
    )


def graph(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    limit: Limit | None = None,
    stacked: bool = False,
    bars: bool = False,
    dots: bool = False,
    colors: Mapping[str, str] | None = None,
    lines: Mapping[str, str] | None = None,
    link: Link | None = None,
    log_above: float | None = None,
    absent: str = "no data",
    maximum: float | None = None,
    either_side: float | None = None,
    width: int = 12,
    height: int = 8,
) -> Panel:
    """Lines over time, with dashed lines at its limit; gaps stay gaps.

    `lines` names series that are limits themselves, drawn dashed in these colours. `bars` are for occasional counts,
    `dots` for occasional values. The scale is logarithmic above `log_above` and linear below it, so that one far-out
    series does not flatten the others. It begins at 0, or reaches at least `either_side` above and below 0.
    """
    panel = timeseries.Panel()
    for ref, query in zip("ABCDEF", queries, strict=False):
        panel.with_target(_range(query, ref))
    _dress(panel, title, description, unit, (width, height), limit=limit)
    panel.no_value(absent).span_nulls(False).line_width(1).fill_opacity(40 if stacked or bars else 8)
    panel.draw_style(_style(bars, dots)).show_points(common.VisibilityMode.NEVER).point_size(6)
    panel.color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    # Names only: with numbers the legend has no room for a fourth instance. The tooltip has the numbers.
    panel.legend(_legend())
    panel.tooltip(options.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
    if limit:
        mode = common.GraphThresholdsStyleMode.DASHED
        panel.thresholds_style(options.GraphThresholdsStyleConfig().mode(mode))
    if stacked or bars:
        panel.stacking(options.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if bars:
        panel.decimals(0)
    if either_side is None:
        panel.min(0)
    else:
        panel.axis_soft_min(-either_side).axis_soft_max(either_side)
    if maximum is not None:
        panel.max(maximum)
    if log_above is not None:
        scale = options.ScaleDistributionConfig().type(common.ScaleDistribution.SYMLOG).log(10)
        panel.scale_distribution(scale.linear_threshold(log_above))
    for name, color in (colors or {}).items():
        panel.override_by_name(name, [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})])
    for name, color in (lines or {}).items():
        panel.override_by_name(name, [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color}), *_DASHED])
    if link:
        panel.override_by_regexp("/.*/", [DynamicConfigValue("links", [link._asdict()])])
    return panel


def timeline(
    title: str,
    description: str,
    query: Query,
    states: Mapping[int, State],
    *,
    link: Link | None = None,
    width: int = 12,
    height: int = 7,
) -> Panel:
    """A lane for each series with its state over time; no data is a gap."""
    panel = statetimeline.Panel().with_target(_range(query, "A"))
    _dress(panel, title, description, "none", (width, height), states=states)
    panel.no_value("no data").merge_values(True).show_value(common.VisibilityMode.AUTO).row_height(0.85)
    panel.fill_opacity(75).line_width(0).legend(_legend())
    panel.color_scheme(builders.FieldColor().mode(dashboard.FieldColorModeId.THRESHOLDS))
    if link:
        panel.override_by_regexp("/.*/", [DynamicConfigValue("links", [link._asdict()])])
    return panel


def spread(
    title: str,
    description: str,
    histogram: str,
    *,
    traced: bool = True,
    absent: str = "no data",
    width: int = 12,
    height: int = 8,
) -> Panel:
    """A heatmap of a histogram in seconds, with a mark for each exemplar if `traced`."""
    target = _range(Query(lately(f"{histogram}_bucket", "le"), "{{le}}", exemplars=traced), "A")
    panel = heatmap.Panel().with_target(target.format(PromQueryFormat.HEATMAP))
    _dress(panel, title, description, "s", (width, height))
    return (
        panel.no_value(absent)
        .calculate(False)
        .cell_gap(1)
        .y_axis(heatmap.YAxisConfig().unit("s").axis_placement(common.AxisPlacement.LEFT))
        .color(
            heatmap.HeatmapColorOptions()
            .mode(HeatmapColorMode.SCHEME)
            .scheme("Spectral")
            .scale(HeatmapColorScale.EXPONENTIAL)
            .exponent(0.5)
            .steps(64)
            .reverse(False)
        )
        # A cell without observations has no colour, not the lowest one.
        .filter_values(heatmap.FilterValueRange().le(1e-9))
        .exemplars_color("rgba(255,255,255,0.9)")
        .mode(common.TooltipDisplayMode.SINGLE)
        .show_y_histogram()
        .hide_legend()
    )


def listing(
    title: str,
    description: str,
    columns: Sequence[Column],
    *,
    worst_first: str,
    descending: bool = True,
    absent: str = "-",
    height: int,
) -> Panel:
    """A table with a row for each set of labels, sorted by the column that `worst_first` names."""
    panel = table.Panel()
    numbers = [column for column in columns if column.expression]
    names = {column.label: column.heading for column in columns if column.label}
    refs = dict(zip("ABCDEFGHIJKL", numbers, strict=False))
    for ref, column in refs.items():
        panel.with_target(_instant(Query(column.expression), ref).format(PromQueryFormat.TABLE))
        # With a single query there is nothing to merge, and its column keeps the bare name.
        names[f"Value #{ref}" if len(refs) > 1 else "Value"] = column.heading
    order = {column.heading: position for position, column in enumerate(columns)}
    _dress(panel, title, description, "short", (24, height))
    panel.no_value(absent).cell_height(common.TableCellHeight.SM).filterable(True)
    panel.with_transformation(DataTransformerConfig("merge", options={}))
    panel.with_transformation(
        DataTransformerConfig(
            "organize",
            options={
                "excludeByName": {"Time": True},
                "indexByName": {name: order[heading] for name, heading in names.items()},
                "renameByName": names,
            },
        )
    )
    panel.sort_by([options.TableSortByFieldState().display_name(worst_first).desc(descending)])
    for column in columns:
        # Otherwise empty cells would show the text that the panel shows if it has no rows.
        empty = [DynamicConfigValue("noValue", "-")] if absent != "-" else []
        panel.override_by_name(column.heading, [*_properties(column), *empty])
    return panel


def _properties(column: Column) -> list[DynamicConfigValue]:
    found = [DynamicConfigValue("unit", column.unit)] if column.expression else []
    if column.limit or column.states or column.words:
        found.append(DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    if column.limit:
        steps = [{"color": step.color, "value": step.value} for step in _steps(column.limit)]
        found.append(DynamicConfigValue("thresholds", {"mode": "absolute", "steps": steps}))
    if column.states:
        found.append(DynamicConfigValue("mappings", [_mapping(column.states)]))
    if column.words:
        found.append(DynamicConfigValue("mappings", [_mapping(column.words)]))
    if column.decimals is not None:
        found.append(DynamicConfigValue("decimals", column.decimals))
    if column.link:
        found.append(DynamicConfigValue("links", [column.link._asdict()]))
    if column.width:
        found.append(DynamicConfigValue("custom.width", column.width))
    return found


def _dress(
    panel: P,
    title: str,
    description: str,
    unit: str,
    size: tuple[int, int],
    *,
    limit: Limit | None = None,
    states: Mapping[int, State] | None = None,
    decimals: int | None = None,
) -> None:
    panel.title(title).description(description).unit(unit).datasource(DATASOURCE).span(size[0]).height(size[1])
    steps = _steps(limit) if limit else [dashboard.Threshold(color=GOOD)]
    panel.thresholds(builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps))
    if states:
        panel.mappings([_mapping(states)])
    if decimals is not None:
        panel.decimals(decimals)


def _steps(limit: Limit) -> list[dashboard.Threshold]:
    """Green, orange, red; the other way round if lower values are worse."""
    rises = limit.critical >= limit.warning
    colors = (GOOD, WARNING, BAD) if rises else (BAD, WARNING, GOOD)
    values = (None, *sorted(set(limit)))
    if len(values) == 2:
        colors = (colors[0], colors[2], colors[2])
    steps = zip(values, colors, strict=False)
    return [dashboard.Threshold(value=value, color=color) for value, color in steps if value != math.inf]


def _mapping(states: Mapping[int, State] | Mapping[str, State]) -> dashboard.ValueMap:
    return dashboard.ValueMap(
        options={
            str(number): dashboard.ValueMappingResult(text=state.text, color=state.color, index=index)
            for index, (number, state) in enumerate(states.items())
        }
    )


def _style(bars: bool, dots: bool) -> common.GraphDrawStyle:
    if bars:
        return common.GraphDrawStyle.BARS
    return common.GraphDrawStyle.POINTS if dots else common.GraphDrawStyle.LINE


def _legend() -> options.VizLegendOptions:
    return (
        options.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(True)
    )


def _target(query: Query, ref: str) -> prometheus.Dataquery:
    target = prometheus.Dataquery().datasource(DATASOURCE).expr(query.expression).ref_id(ref)
    return target.legend_format(query.legend) if query.legend else target


def _range(query: Query, ref: str) -> prometheus.Dataquery:
    return _target(query, ref).range().exemplar(query.exemplars)


def _instant(query: Query, ref: str) -> prometheus.Dataquery:
    return _target(query, ref).instant()
