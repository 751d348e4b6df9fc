"""Document: the table of parameters in docs/alerting.md."""

from __future__ import annotations

from pathlib import Path

from dashboards.prometheus.parameters import documented

PATH = Path(__file__).parents[2] / "docs" / "alerting.md"
_BEGIN, _END = "<!-- parameters -->\n", "<!-- end of parameters -->"


def with_table(text: str) -> str:
    """The document with its table as it must be."""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    return "".join((before, begin, _table(), end, after))


def _table() -> str:
    """Every parameter; a row that ends in dots goes on in the next."""
    rows = [
        f"| `{name}` | {meaning} | {f'`{default}`' if isinstance(default, str) and default else _number(default)} |\n"
        for name, default, meaning in documented()
    ]
    return "".join(("| parameter | meaning | default |\n", "|---|---|---|\n", *rows))


def _number(default: float | str) -> str:
    return f"{default:g}" if isinstance(default, float | int) else "none"
