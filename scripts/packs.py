"""Packs: what is made of the packs' files: their descriptions in docs/packs.md, and the rule files of their alerts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from exporter.packs.alerts import rule_file
from exporter.packs.library import NAMES, load
from exporter.packs.pack import Pack
from exporter.views.rules.rule import Rule

_ROOT = Path(__file__).resolve().parents[1]
_DOCUMENT = _ROOT / "docs" / "packs.md"
_RULES = _ROOT / "dashboards" / "prometheus" / "packs"
_BEGIN, _END = "<!-- packs -->\n", "<!-- end of packs -->"


def texts() -> Mapping[Path, str]:
    """The document with this part up to date, and the rule files."""
    before, _, rest = _DOCUMENT.read_text("utf-8").partition(_BEGIN)
    document = "".join((before, _BEGIN, *_part(), _END, rest.partition(_END)[2]))
    return {_DOCUMENT: document, **{_RULES / f"{name}.yml": rule_file(load(name)) for name in NAMES}}


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
    yield "\n| alert | severity | after | what to look at |\n|---|---|---|---|\n"
    for alert in pack.alerts:
        yield f"| `{alert.name}` | {alert.severity} | {alert.wait} | {alert.look} |\n"
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
