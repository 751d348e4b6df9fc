"""Grafana's part: reads a dashboard's JSON, fills in its variables, and runs a panel's queries on Prometheus."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests import plainhttp

FOLDER = Path(__file__).parents[2] / "dashboards" / "grafana"
NAMES = ("overview", "tree", "client", "znodes", "ensemble")
#: The variables of a newly opened dashboard; one ensemble and one tree if only one may be selected.
ALL = ".+"

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """One query of a panel."""

    ref: str
    expression: str
    legend: str
    instant: bool
    exemplars: bool


@dataclass(frozen=True)
class Panel:
    """A panel as its JSON describes it."""

    json: Json

    @property
    def kind(self) -> str:
        """`stat`, `timeseries`, `state-timeline`, `heatmap`, `table` or `row`."""
        return str(self.json["type"])

    @property
    def title(self) -> str:
        """Its title."""
        return str(self.json["title"])

    @property
    def targets(self) -> list[Target]:
        """Its queries."""
        return [
            Target(
                target["refId"],
                target["expr"],
                target.get("legendFormat", ""),
                target.get("instant", False),
                target.get("exemplar", False),
            )
            for target in self.json.get("targets", [])
        ]

    @property
    def defaults(self) -> Json:
        """The configuration of its fields."""
        return self.json.get("fieldConfig", {}).get("defaults", {})  # type: ignore[no-any-return]

    @property
    def overrides(self) -> Iterator[tuple[str, Json]]:
        """The overrides for fields by name or regular expression."""
        for override in self.json.get("fieldConfig", {}).get("overrides", []):
            yield override["matcher"]["options"], {item["id"]: item["value"] for item in override["properties"]}


@dataclass(frozen=True)
class Dashboard:
    """A committed dashboard."""

    name: str
    json: Json

    @property
    def panels(self) -> list[Panel]:
        """Its panels in order, without rows."""
        return [panel for panel in self.everything if panel.kind != "row"]

    @property
    def everything(self) -> list[Panel]:
        """Its panels in order, including rows."""
        return [Panel(panel) for panel in self.json["panels"]]

    @property
    def variables(self) -> list[Json]:
        """Its variables in order."""
        return list(self.json["templating"]["list"])

    @property
    def annotations(self) -> list[Json]:
        """Its annotations."""
        return list(self.json["annotations"]["list"])

    def expressions(self) -> Iterator[tuple[str, str]]:
        """Every expression with its panel, annotation or variable."""
        for panel in self.panels:
            for target in panel.targets:
                yield f"{panel.title} {target.ref}", target.expression
        for annotation in self.annotations:
            yield f"annotation {annotation['name']}", annotation["expr"]


@functools.cache
def _http() -> httpx.Client:
    return plainhttp.Client(timeout=30)


@functools.cache
def load(name: str) -> Dashboard:
    """One of the dashboards."""
    return Dashboard(name, json.loads((FOLDER / f"{name}.json").read_text("utf-8")))


def fill_in(text: str, values: Mapping[str, str]) -> str:
    """A text with `$name` and `${name}` replaced; unknown names stay."""
    return re.sub(r"\$\{?(\w+)\}?", lambda match: values.get(match[1], match[0]), text)


@dataclass(frozen=True)
class Series:
    """A series of an answer: labels, and values by Unix time in seconds."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]

    @property
    def values(self) -> list[float]:
        """Its values that are numbers."""
        return [value for _, value in self.points if not math.isnan(value)]


@dataclass(frozen=True)
class Grafana:
    """Queries Prometheus at `url` from `start` to `end` like Grafana, with these variables."""

    url: str
    start: float
    end: float
    variables: Mapping[str, str]
    #: Seconds between two points of a graph.
    step: float = 1.0
    #: The data source's scrape interval; a busy machine misses some scrapes of one a second.
    scrape_interval: float = 5.0

    def ask(self, target: Target) -> list[Series]:
        """Prometheus' answer to a query."""
        if target.instant:
            return self._get("query", target.expression, time=self.end)
        return self.ask_range(target.expression)

    def ask_range(self, expression: str) -> list[Series]:
        """Prometheus' answer for the whole time range."""
        return self._get("query_range", expression, start=self.start, end=self.end, step=self.step)

    def ask_now(self, expression: str) -> list[float]:
        """The values of an expression at the end of the time range."""
        return [series.points[-1][1] for series in self._get("query", expression, time=self.end)]

    def exemplars(self, target: Target) -> list[tuple[float, float]]:
        """Times and values of a query's exemplars."""
        query = {"query": self.filled(target.expression), "start": self.start, "end": self.end}
        series = self._json("query_exemplars", query)
        return [(float(one["timestamp"]), float(one["value"])) for found in series for one in found["exemplars"]]

    def label_values(self, selector: str, label: str) -> list[str]:
        """The values of a label among the series of a selector."""
        return list(self._json(f"label/{label}/values", {"match[]": self.filled(selector)}))

    def filled(self, expression: str) -> str:
        """An expression with variables and intervals filled in."""
        rate_interval = max(self.step + self.scrape_interval, 4 * self.scrape_interval)
        own = {
            "__rate_interval": f"{rate_interval * 1000:.0f}ms",
            "__interval": f"{self.step * 1000:.0f}ms",
            "__range": f"{self.end - self.start:.0f}s",
        }
        return fill_in(expression, {**own, **self.variables})

    def _get(self, kind: str, expression: str, **times: float) -> list[Series]:
        result = self._json(kind, {"query": self.filled(expression), **times})["result"]
        return [
            Series(one["metric"], tuple((float(t), float(v)) for t, v in one.get("values", [one.get("value")])))
            for one in result
        ]

    def _json(self, kind: str, parameters: Mapping[str, object]) -> Any:
        response = _http().get(
            f"{self.url}/api/v1/{kind}", params={name: str(value) for name, value in parameters.items()}, timeout=30
        )
        answer = response.json()
        assert answer["status"] == "success", f"{parameters}: {answer['error']}"
        return answer["data"]
