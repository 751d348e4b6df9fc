"""Scalars: the value of an unquoted string, by YAML 1.2's core schema, in a file or an environment variable."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[-+]?[0-9]+(?P<fraction>\.[0-9]*)?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}


class FromEnvironment(str):
    """A number or boolean from an environment variable, which stays a string where the schema wants a string."""

    __slots__ = ()


def plain(text: str) -> bool | int | float | str:
    """The boolean or number that a text represents, else the text itself."""
    if text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    if (number := _NUMBER.fullmatch(text)) and len(text) < 20:
        return float(text) if number["fraction"] is not None else int(text)
    return text
