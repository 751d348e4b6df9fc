"""Listing: what each pack is for, as text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from exporter.packs.library import NAMES, load

_WIDTH = 100


def lines() -> Iterator[str]:
    """Every pack: its name and system, what it says, its root, and the names of its rules."""
    for name in NAMES:
        pack = load(name)
        yield f"{name}: {pack.title}"
        yield from _wrapped(pack.description)
        yield from _wrapped(f"root: {pack.root} ({pack.root_is})")
        yield from _wrapped(f"rules: {', '.join(rule.name for rule in pack.rules)}")


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
