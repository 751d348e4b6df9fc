"""Reference: generates the table of names in docs/servers.md, for `make generate`."""

from __future__ import annotations

from exporter.servers.names import LISTED

_BEGIN, _END = "<!-- names -->\n", "<!-- end of names -->"


def current(text: str) -> str:
    """The document with its table up to date."""
    before, _, rest = text.partition(_BEGIN)
    return "".join((before, _BEGIN, *_table(), _END, rest.partition(_END)[2]))


def _table() -> list[str]:
    rows = [f"| `zk_{one.name}` | {one.kind} | {one.meaning} | {one.unit} |\n" for one in LISTED]
    return ["| metric | type | meaning | unit |\n", "|---|---|---|---|\n", *rows]
