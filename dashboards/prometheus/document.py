"""Document: the table of parameters, and the configuration for Alertmanager, in docs/alerting.md."""

from __future__ import annotations

import itertools
from pathlib import Path

from dashboards.prometheus.parameters import documented

PATH = Path(__file__).parents[2] / "docs" / "alerting.md"
_ALERTMANAGER = Path(__file__).parents[1] / "alertmanager" / "alertmanager.yml"


def current(text: str) -> str:
    """The document with these parts up to date."""
    for name, part in (("parameters", _table()), ("alertmanager", _configuration())):
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        text = "".join((before, begin, part, end, rest.partition(end)[2]))
    return text


def _configuration() -> str:
    """The file, without the comment at its top."""
    lines = _ALERTMANAGER.read_text("utf-8").splitlines(keepends=True)
    return "".join(("```yaml\n", *itertools.dropwhile(lambda line: line.startswith("#"), lines), "```\n"))


def _table() -> str:
    """Every parameter; a row that ends in dots continues in the next."""
    rows = [
        f"| `{name}` | {meaning} | {f'`{default}`' if isinstance(default, str) and default else _number(default)} |\n"
        for name, default, meaning in documented()
    ]
    return "".join(("| parameter | meaning | default |\n", "|---|---|---|\n", *rows))


def _number(default: float | str) -> str:
    return f"{default:.12g}" if isinstance(default, float | int) else "none"
