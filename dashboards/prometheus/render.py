"""Render: the rule files, from their templates and the parameters.

Here expressions stand between `<<` and `>>`, statements between `<%` and `%>`, because Prometheus expands what stands
between `{{` and `}}` when an alert fires.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dashboards.prometheus.parameters import Parameters

NAMES = ("treecache-recording.yml", "treecache-alerts.yml")


def rule_files(parameters: Parameters) -> Mapping[str, str]:
    """The text of each rule file by its name."""
    return {
        name: _templates()
        .get_template(name)
        .render(p=parameters, time=parameters.shortened, seconds=parameters.seconds)
        for name in NAMES
    }


@functools.cache
def _templates() -> Environment:
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    templates.filters["number"] = lambda number: f"{number:.12g}"
    templates.filters["percentage"] = lambda ratio: f"{ratio * 100:g}%"
    return templates
