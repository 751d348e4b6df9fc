"""Pattern: one pattern as it is written, cut into parts.

A pattern such as ``/services/{service}/instances/{instance}`` has these parts:

- text, which matches itself;
- ``{name}``, which captures a whole part, or with text around it some of it: ``lock-{seq}``, ``{host}:{port}``. Several
  captures of a part take as much as they can, the first one first, and one character at least;
- ``{name:regex}``, a capture of what Python's regular expression matches, as ``{broker:[0-9]+}``. The expression is
  trusted not to take exponential time;
- ``*``, which matches one part, and ``**``, which matches any number of parts, none included, and takes as few as it
  can.

Patterns are of absolute paths, inside the client's chroot.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

PATTERN_ACCEPTED = (
    "accepted: an absolute path whose parts are text, {name} or {name:regex}, also with text around them, "
    "* for one part, and ** for any number of parts"
)
#: The most captures of a pattern: each is a label.
MOST_CAPTURES = 3

#: What a capture without a regular expression matches.
_ANYTHING = ".+"
_CAPTURE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Kind(Enum):
    """What a part of a pattern is."""

    TEXT = "text"
    #: Any one part, which is not captured.
    ANY = "any"
    #: Any one part, all of it captured.
    WHOLE = "whole"
    #: A part that a regular expression matches, with a group for each capture.
    SHAPE = "shape"
    #: Any number of parts.
    DEEP = "deep"


class Part(NamedTuple):
    """One part of a pattern without the names of its captures: the same parts of two patterns are one edge."""

    kind: Kind
    source: str = ""


class Pattern:
    """One pattern: ``text`` as written, and the names of its ``captures`` in order.

    Raises:
        ValueError: the pattern is wrong; the message, one line, says where, and what is accepted.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.parts: tuple[Part, ...] = ()
        captures: list[str] = []
        if not text.startswith("/"):
            raise self._refusal("is not absolute")
        for written in text[1:].split("/") if text != "/" else ():
            self._add(written, captures)
        twice = {name for name in captures if captures.count(name) > 1}
        if twice:
            raise self._refusal(f"captures {min(twice)!r} twice")
        if len(captures) > MOST_CAPTURES:
            raise self._refusal(f"has {len(captures)} captures, and {MOST_CAPTURES} are the most")
        self.captures = tuple(captures)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"

    @property
    def is_fixed(self) -> bool:
        """Whether it matches one path only."""
        return all(part.kind is Kind.TEXT for part in self.parts)

    def _refusal(self, problem: str) -> ValueError:
        return ValueError(f"the pattern {self.text!r} {problem}; {PATTERN_ACCEPTED}")

    def _add(self, written: str, captures: list[str]) -> None:
        part = self._part(written, captures)
        if not (part.kind is Kind.DEEP and self.parts[-1:] == (part,)):
            # Any number of parts, twice, is any number of parts.
            self.parts = (*self.parts, part)

    def _part(self, written: str, captures: list[str]) -> Part:
        if written in ("", ".", ".."):
            raise self._refusal(f"has the part {written!r}")
        if written == "**":
            return Part(Kind.DEEP)
        if written == "*":
            return Part(Kind.ANY)
        pieces = list(self._pieces(written))
        if len(pieces) == 1 and isinstance(pieces[0], str):
            return Part(Kind.TEXT, written)
        source, before = "", None
        for piece in pieces:
            if isinstance(piece, _Capture) and isinstance(before, _Capture):
                raise self._refusal(f"has nothing between two captures in {written!r}")
            source += re.escape(piece) if isinstance(piece, str) else f"({piece.regex})"
            before = piece
        captures += [piece.name for piece in pieces if isinstance(piece, _Capture)]
        return Part(Kind.WHOLE) if source == f"({_ANYTHING})" else self._shape(written, source)

    def _shape(self, written: str, source: str) -> Part:
        try:
            compiled(source)
        except (re.error, OverflowError, RecursionError) as error:
            raise self._refusal(f"has a wrong regular expression in {written!r} ({error})") from None
        return Part(Kind.SHAPE, source)

    def _pieces(self, written: str) -> Iterator[str | _Capture]:
        """The text and captures of a part, in order."""
        position = 0
        while position < len(written):
            if written[position] == "{":
                end = self._end_of_capture(written, position)
                yield self._capture(written, written[position + 1 : end - 1])
            else:
                end = written.find("{", position)
                end = len(written) if end < 0 else end
                text = written[position:end]
                if "}" in text:
                    raise self._refusal(f"has a }} without its {{ in {written!r}")
                if "*" in text:
                    raise self._refusal(f"has * beside other characters in {written!r}")
                yield text
            position = end

    def _end_of_capture(self, written: str, start: int) -> int:
        """The position after the brace that closes a capture; the braces of its regular expression come in pairs."""
        depth, position = 0, start
        while position < len(written):
            if written[position] == "\\":
                position += 1
            else:
                depth += {"{": 1, "}": -1}.get(written[position], 0)
            position += 1
            if depth == 0:
                return position
        # A regular expression cannot have a slash, since no part of a path has one.
        raise self._refusal(f"has a {{ without its }} in the part {written!r}")

    def _capture(self, written: str, inner: str) -> _Capture:
        name, restricts, regex = inner.partition(":")
        if not _CAPTURE_NAME.fullmatch(name):
            raise self._refusal(f"has a capture whose name {name!r} is not letters, digits and _ in {written!r}")
        if not restricts:
            return _Capture(name)
        try:
            # Alone: in a group, the brackets of a)|(b would come in pairs.
            groups = re.compile(regex, re.DOTALL).groups
        except (re.error, OverflowError, RecursionError) as error:
            raise self._refusal(f"has a wrong regular expression in {written!r} ({error})") from None
        if not regex or groups:
            problem = "has a group that captures; (?:...) does not" if groups else "is empty"
            raise self._refusal(f"has a regular expression in {written!r} that {problem}")
        return _Capture(name, regex)


class _Capture(NamedTuple):
    name: str
    regex: str = _ANYTHING


def compiled(source: str) -> re.Pattern[str]:
    """A regular expression as it is used; one with flags of the whole expression is refused. Raises as `re.compile`."""
    # In a group, which flags of the whole expression cannot begin.
    return re.compile(f"(?:{source})", re.DOTALL)
