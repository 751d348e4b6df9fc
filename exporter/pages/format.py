"""Format: sizes, counts, times and names in readable form."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from exporter.config.settings import one_line

_SIZES = ("KiB", "MiB", "GiB", "TiB")
_SWALLOWED = re.compile(r"^ | $|(?<= ) ")
#: Characters of a name that are shown where there are many.
BRIEF = 120
_DURATIONS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def human_bytes(size: int) -> str:
    """A size, for example `1.5 MiB`."""
    if size < 1024:
        return f"{size} B"
    power = min(len(_SIZES), (size.bit_length() - 1) // 10)
    return f"{size / 1024**power:.1f} {_SIZES[power - 1]}"


def human_count(number: int) -> str:
    """A number with its thousands separated."""
    return f"{number:,}".replace(",", "\u202f")


def counted(number: int, one: str, many: str | None = None) -> str:
    """A number and what it counts, for example `1 tree` and `3 trees`."""
    return f"{human_count(number)} {one if number == 1 else many or one + 's'}"


def human_rate(rate: float) -> str:
    """A rate per second, exact if it is small."""
    if rate and rate < 9.95:
        return f"{rate:.1f}"
    return human_count(round(rate))


def human_duration(seconds: float) -> str:
    """A duration in its two largest units, for example `3 h 5 min`; short ones to a tenth of a second."""
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    left = round(seconds)
    parts = []
    for unit, size in _DURATIONS:
        number, left = divmod(left, size)
        parts.append((number, unit))
    first = next(index for index, (number, _) in enumerate(parts) if number)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number)


def human_latency(seconds: float) -> str:
    """A duration that is mostly short, for example `4 ms`."""
    return f"{max(0.0, seconds) * 1000:.3g} ms" if seconds < 0.9995 else human_duration(seconds)


def roughly(seconds: float) -> str:
    """A growing duration, in steps of ten seconds and then of minutes, for text that is read aloud when it changes."""
    step = 10 if seconds < 60 else 60
    return human_duration(seconds // step * step) if seconds >= step else "a few seconds"


def human_moment(at: float) -> str:
    """A Unix time, in UTC to the second."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        # A znode's times come from the clocks of its ensemble, which may be set to anything.
        return f"{at:g} s after 1970"


def visible(name: str) -> str:
    """A name with every invisible character escaped, such as those that reverse or hide text.

    Spaces that a browser would collapse, at either end or next to another space, are escaped too.
    """
    return _SWALLOWED.sub(r"\\x20", one_line(name))


def brief(name: str) -> str:
    """A visible name; a very long one is cut in the middle, with its length."""
    if len(name) <= BRIEF:
        return visible(name)
    begin, end = visible(name[: BRIEF * 2 // 3]), visible(name[-BRIEF // 6 :])
    return f"{begin}…{end} ({human_count(len(name))} characters)"
