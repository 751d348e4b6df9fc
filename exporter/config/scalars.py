"""Scalars: what a text without quotes stands for, by YAML 1.2's core schema, also when the environment holds it."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"[-+]?[0-9]+(?P<fraction>\.[0-9]*)?", re.ASCII)
_BOOLEANS = {"true": True, "false": False}


class FromEnvironment(str):
    """A number or a boolean of an environment variable, which is a text where the schema wants one."""

    __slots__ = ()


def plain(text: str) -> bool | int | float | str:
    """The boolean or the number that a text stands for, else the text itself."""
    if text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    if (number := _NUMBER.fullmatch(text)) and len(text) < 20:
        return float(text) if number["fraction"] is not None else int(text)
    return text
