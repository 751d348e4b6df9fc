"""Packs: the part of docs/packs.md that describes each pack, from the packs' files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from exporter.packs.library import NAMES, load
from exporter.packs.pack import Pack
from exporter.views.rules.rule import Rule

PATH = Path(__file__).resolve().parents[1] / "docs" / "packs.md"
_BEGIN, _END = "<!-- packs -->\n", "<!-- end of packs -->"


def texts() -> Mapping[Path, str]:
    """The document with this part up to date."""
    before, _, rest = PATH.read_text("utf-8").partition(_BEGIN)
    return {PATH: "".join((before, _BEGIN, *_part(), _END, rest.partition(_END)[2]))}


def _part() -> Iterator[str]:
    yield "| pack | system | root by default | which is |\n|---|---|---|---|\n"
    packs = [load(name) for name in NAMES]
    for pack in packs:
        yield f"| [`{pack.name}`](#{pack.name}) | {pack.title} | `{pack.root}` | {pack.root_is} |\n"
    for pack in packs:
        yield from _section(pack)


def _section(pack: Pack) -> Iterator[str]:
    yield f"\n### {pack.name}\n\n{pack.description}\n\n"
    yield "| metric | labels | meaning | znodes below the root |\n|---|---|---|---|\n"
    for rule in pack.rules:
        metrics, labels = _metrics(rule)
        yield f"| {metrics} | {labels} | {rule.help} | `{rule.match}` |\n"
    if pack.omits:
        yield "\nRules cannot say:\n\n"
        yield from (f"- {omitted.strip()}\n" for omitted in pack.omits)
    sources = ", ".join(f"[`{name}`]({address})" for name, address in pack.sources.items())
    yield f"\nThe paths are from {sources}.\n"


def _metrics(rule: Rule) -> tuple[str, str]:
    """The names of a rule's metrics, and the labels of the first, without those that all have."""
    first, *others = rule.families
    names = [first.name, *(re.sub(r"^.*(?=_(owner_\w+|candidates)$)", "", other.name) for other in others)]
    return ", ".join(f"`{name}`" for name in names), ", ".join(f"`{label}`" for label in first.labels) or "none"
