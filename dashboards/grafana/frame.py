"""Frame: what the dashboards share: variables, annotations, links, time range and rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana.limits import Limits
from dashboards.grafana.panels import BAD, DATASOURCE, NOTED, WARNING, Column, Link, Panel, State, listing
from dashboards.grafana.promql import CACHE, SESSION, firing, over, select
from dashboards.prometheus.parameters import Parameters

#: The runbooks in the repository, if no other address is set.
_DOCUMENT = "docs/runbooks.md"
#: Never change a UID: bookmarks, links and annotations of alerts lead to /d/UID.
UIDS = {
    "Overview": "treecache-overview",
    "Tree": "treecache-tree",
    "Client": "treecache-client",
    "Znodes": "treecache-znodes",
    "Ensemble": "treecache-ensemble",
}
#: A hidden variable: one exporter, which serves the runbooks.
_EXPORTER = "exporter"
_SEVERITIES = {"critical": State("critical", BAD), "warning": State("warning", WARNING)}
TAG = "treecache"
PREFIX = "TreeCache"


class Row(NamedTuple):
    """A question of the on-call engineer, and the panels that answer it."""

    question: str
    panels: Sequence[Panel]


def assemble(
    name: str,
    description: str,
    rows: Sequence[Row],
    *,
    one: Sequence[str],
    alerts: Mapping[str, str],
    limits: Limits,
) -> Dashboard:
    """A dashboard of the firing alerts and these rows.

    The variables in `one` take a single value, the others any number of values. `alerts` names for each alert the panel
    that shows why it fires; the panel gets a link to the alert's runbook.
    """
    runbooks = _runbooks(limits.parameters)
    board = (
        builders.Dashboard(f"{PREFIX} / {name}")
        .uid(UIDS[name])
        .description(description)
        .tags([TAG, "zookeeper"])
        .readonly()
        .time("now-1h", "now")
        .refresh("30s")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .variables(_variables(one))
        .annotations([_resyncs(), _sessions_lost()])
        .links([*(_to(other) for other in UIDS if other != name), _to_runbooks(runbooks or _DOCUMENT)])
    )
    number = 0
    for row in (Row("Which alerts are firing?", [_firing(runbooks)]), *rows):
        number += 1
        board.with_row(builders.Row(row.question).id(number))
        for panel in row.panels:
            number += 1
            title = panel.build().title
            links = [
                _to_runbook(alert, runbooks or _DOCUMENT) for alert, shown_by in alerts.items() if shown_by == title
            ]
            board.with_panel(panel.id(number).links(links))
    return board.build()


def to_tree(ensemble: str, tree: str) -> Link:
    """A link to the dashboard of one tree; the arguments are Grafana's expressions for the names."""
    url = f"/d/{UIDS['Tree']}?${{datasource:queryparam}}&${{job:queryparam}}&var-ensemble={ensemble}&var-tree={tree}"
    return Link("Open this tree", f"{url}&${{__url_time_range}}")


def to_client(ensemble: str) -> Link:
    """A link to the dashboard of one ensemble's session."""
    url = f"/d/{UIDS['Client']}?${{datasource:queryparam}}&${{job:queryparam}}&var-ensemble={ensemble}"
    return Link("Open this session", f"{url}&${{__url_time_range}}")


def _runbooks(parameters: Parameters) -> str:
    """The address of the runbooks: that of the parameter, else an exporter's."""
    given = parameters.runbooks
    return f"http://${{{_EXPORTER}}}/docs/runbooks" if given == Parameters().runbooks else given


def _firing(runbooks: str) -> Panel:
    link = Link("Open the runbook", f"{runbooks}#${{__value.text}}")
    return listing(
        "Firing alerts",
        "The alerts that Prometheus sends to Alertmanager, critical ones first; Alertmanager inhibits those that "
        "another one causes. Click a name to open its runbook. The table stays empty until Prometheus has loaded the "
        "rules.",
        [
            Column("Alert", label="alertname", link=link, width=260),
            Column("Severity", label="severity", words=_SEVERITIES, width=100),
            Column("Ensemble", label="ensemble"),
            Column("Tree", label="tree"),
            Column("Instance", label="instance"),
            Column(
                "Since",
                "1000 * max by (alertname, severity, ensemble, tree, instance) (" + firing() + ")",
                "dateTimeFromNow",
            ),
        ],
        worst_first="Severity",
        descending=False,
        absent="No alert is firing.",
        height=6,
    )


def _to(name: str) -> Builder[dashboard.DashboardLink]:
    link = builders.DashboardLink(name).type(dashboard.DashboardLinkType.LINK).url(f"/d/{UIDS[name]}")
    return link.icon("dashboard").tooltip(f"{PREFIX} / {name}").include_vars(True).keep_time(True)


def _to_runbooks(url: str) -> Builder[dashboard.DashboardLink]:
    link = builders.DashboardLink("Runbooks").type(dashboard.DashboardLinkType.LINK).url(url)
    return link.icon("doc").tooltip("What to do about each alert").target_blank(True)


def _to_runbook(alert: str, runbooks: str) -> Builder[dashboard.DashboardLink]:
    link = builders.DashboardLink(f"Runbook: {alert}").type(dashboard.DashboardLinkType.LINK)
    return link.url(f"{runbooks}#{alert.lower()}").target_blank(True)


def _variables(one: Sequence[str]) -> list[Builder[dashboard.VariableModel]]:
    queries = {
        "job": "zookeeper_client_up, job",
        "instance": 'zookeeper_client_up{job=~"$job"}, instance',
        "ensemble": 'zookeeper_client_up{job=~"$job", instance=~"$instance"}, ensemble',
        "tree": 'zookeeper_cache_info{job=~"$job", instance=~"$instance", ensemble=~"$ensemble"}, tree',
    }
    return [
        builders.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        *(_variable(name, f"label_values({query})", one=name in one) for name, query in queries.items()),
        _variable(_EXPORTER, 'label_values(treecache_exporter_build_info{job=~"$job"}, instance)', one=True).hide(
            dashboard.VariableHide.HIDE_VARIABLE
        ),
    ]


def _variable(name: str, query: str, *, one: bool) -> Builder[dashboard.VariableModel]:
    variable = (
        builders.QueryVariable(name)
        .label(name.title())
        .datasource(DATASOURCE)
        .query(query)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.NATURAL_ASC)
        .multi(not one)
        .include_all(not one)
    )
    if not one:
        variable.all_value(".+").current(dashboard.VariableOption(selected=True, text=["All"], value=["$__all"]))
    return variable


class _Events(dashboard.AnnotationQuery):
    """The times at which an expression has a value; with keys of the Prometheus data source that the SDK lacks."""

    def __init__(self, name: str, color: str, expression: str, title: str, text: str) -> None:
        super().__init__(name=name, datasource=DATASOURCE, enable=True, icon_color=color, expr=expression)
        self._added = {"step": "1m", "titleFormat": title, "textFormat": text, "useValueForTime": False}

    def to_json(self) -> dict[str, object]:
        """The SDK's keys and the data source's."""
        return {**super().to_json(), **self._added}


class _Annotation(Builder[dashboard.AnnotationQuery]):
    """Events of a counter by these labels."""

    def __init__(self, name: str, color: str, counter: str, labels: tuple[str, ...]) -> None:
        # In annotations Grafana derives $__rate_interval from the query's own step. A fixed window of two steps finds
        # every event, up to a time range of a week.
        expression = f"{over('sum', labels, f'increase({counter}[2m])')} > 0"
        text = " ".join(f"{{{{{label}}}}}" for label in labels)
        self._events = _Events(name, color, expression, name, text)

    def build(self) -> dashboard.AnnotationQuery:
        """The annotation."""
        return self._events


def _sessions_lost() -> _Annotation:
    counter = select("zookeeper_client_sessions_lost_total")
    return _Annotation("Session lost", BAD, counter, (*SESSION, "reason"))


def _resyncs() -> _Annotation:
    counter = select("zookeeper_cache_syncs_total", 'reason!="start"')
    return _Annotation("Resync", NOTED, counter, (*CACHE, "reason"))
