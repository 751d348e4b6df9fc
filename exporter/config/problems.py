"""Problems: what is wrong with a configuration file, one line for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from exporter.config.schema import SECRET_KEYS
from exporter.config.settings import SettingsError, one_line
from exporter.config.yamlfile import without_value


@dataclass(frozen=True)
class Problem:
    """A problem with the value at a location, in a line; `value` is None where it must not be shown."""

    location: tuple[str | int, ...]
    text: str
    line: int | None
    value: str | None = None

    def at(self, line: int) -> Problem:
        """The same problem, in this line."""
        return replace(self, line=line)

    def complaint(self, path: Path) -> str:
        """The complaint, with file, line, key and value."""
        place = f"{path}:{self.line}" if self.line is not None else str(path)
        named = f"{place}: {key(self.location)}" if self.location else place
        return one_line(f"{named if self.value is None else f'{named}={self.value}'}: {self.text}")


class ConfigError(SettingsError):
    """A configuration file cannot be used; the text has a line for each problem."""

    def __init__(self, path: Path, problems: Sequence[Problem]) -> None:
        lines = [problem.complaint(path) for problem in sorted(problems, key=lambda problem: problem.line or 0)]
        ValueError.__init__(self, "\n".join(dict.fromkeys(lines)))


def key(location: tuple[str | int, ...]) -> str:
    """A location in the usual notation, for example `ensembles[0].trees[1].path`; what may be a secret is left out."""
    end = next((index + 1 for index, part in enumerate(location) if part in SECRET_KEYS), len(location))
    parts = (f"[{part}]" if isinstance(part, int) else f".{without_value(part)}" for part in location[:end])
    return "".join(parts).removeprefix(".")
