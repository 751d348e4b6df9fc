"""Scalars: what a text without quotes stands for, by YAML 1.2's core schema, and texts that the environment holds."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[-+]?[0-9]+(?P<fraction>\.[0-9]*)?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}


class FromEnvironment(str):
    """A text with environment variables in it, which the schema reads as what belongs in its place."""

    __slots__ = ()


def plain(text: str) -> bool | int | float | str:
    """The boolean or the number that a text stands for, else the text itself."""
    if text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    if (number := _NUMBER.fullmatch(text)) and len(text) < 20:
        return float(text) if number["fraction"] is not None else int(text)
    return text
