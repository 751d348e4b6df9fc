"""NameTest: whether names match a regular expression, one by one or many at once."""

from __future__ import annotations

import re
from collections.abc import Sequence

from exporter.views.pattern import compiled

#: The most characters of a name that is tested: a longer one may take time that grows faster than its length.
LONGEST_TESTED = 255

#: What can stand in a regular expression that many names are tested with at once: it never matches a slash, and never
#: looks at what is around a name.
_PLAIN = re.compile(
    r"""
    (?P<any> \. )
    | \\[dsw] | \\[^A-Za-z0-9]              # a class of characters, or one character
    | \[ -? (?: \w (?:-\w)? )* -? \]        # a set of letters and digits
    | \( (?!\?) | \(\?: | [)|]
    | [*+?] | \{ [0-9,]+ \}
    | [\w :;,=@~-]
    """,
    re.ASCII | re.VERBOSE,
)


class NameTest:
    """A regular expression that a name matches as a whole.

    Args:
        source: as `compiled` takes it.
    """

    __slots__ = ("_all", "_fullmatch")

    def __init__(self, source: str) -> None:
        self._fullmatch = compiled(source).fullmatch
        many = _for_many(source)
        self._all = None if many is None else many.fullmatch

    def __call__(self, name: str) -> re.Match[str] | None:
        """How a name matches; None if it does not, or is longer than `LONGEST_TESTED`."""
        return self._fullmatch(name) if len(name) <= LONGEST_TESTED else None

    def of_each(self, names: Sequence[str]) -> Sequence[re.Match[str] | None]:
        """The same of each name."""
        return list(map(self._fullmatch if _are_short(names) else self, names))

    def surely_all(self, names: Sequence[str]) -> bool:
        """Whether all match, as far as one look at all of them can tell; False also if it cannot."""
        return self._all is not None and _are_short(names) and self._all("/".join([*names, ""])) is not None


def _are_short(names: Sequence[str]) -> bool:
    return max(map(len, names), default=0) <= LONGEST_TESTED


def _for_many(source: str) -> re.Pattern[str] | None:
    """What matches any number of matching names, each with a slash after it; None if that could match other names."""
    position, plain = 0, ""
    while position < len(source):
        token = _PLAIN.match(source, position)
        if token is None:
            return None
        # No name has a slash.
        plain += "[^/]" if token["any"] else token[0]
        position = token.end()
    return compiled(f"(?>(?:{plain})/)*+")
