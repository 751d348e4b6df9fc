"""Library: the packs that are shipped."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from exporter.packs.pack import Pack
from exporter.packs.parsing import parse

_FILES = Path(__file__).parent / "files"

#: The names of all packs, in order.
NAMES = tuple(sorted(path.stem for path in _FILES.glob("*.yml")))


@cache
def load(name: str) -> Pack:
    """The pack of this name, one of `NAMES`.

    Raises:
        PackError: its file is wrong.
    """
    return parse(name, (_FILES / f"{name}.yml").read_text("utf-8"))
