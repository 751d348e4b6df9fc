"""Cells: the parts of a page that are updated alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Cell:
    """A part of the page that is updated alone: its text and attributes; "" and None if it lacks one."""

    id: str
    text: str = ""
    level: str = ""
    value: int | None = None
    maximum: int | None = None
    points: str = ""
    href: str = ""

    def as_json(self) -> dict[str, Any]:
        """The cell as it is sent to a page."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "id"}
        return {name: value for name, value in values.items() if value not in ("", None)} or {"text": ""}


def cells_of(row: Any) -> list[Cell]:
    """The cells of a row: those of its fields, which are a dataclass's, that are cells."""
    return [value for field in fields(row) if isinstance(value := getattr(row, field.name), Cell)]


def element_id(*names: str) -> str:
    """An element's id, derived from these names."""
    return "x" + hashlib.sha256("\0".join(names).encode("utf-8", "surrogatepass")).hexdigest()[:12]
