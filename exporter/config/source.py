"""Source: a configuration file that can be read again, and the ensembles that it describes."""

from __future__ import annotations

from pathlib import Path

from exporter.config.document import read
from exporter.config.files import Files
from exporter.config.meaning import ensembles
from exporter.config.problems import ConfigError
from exporter.config.settings import Ensemble
from exporter.config.validation import validate


class Source:
    """A configuration file that can be read again, with the files that it names."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files = Files()

    @property
    def files(self) -> Files:
        """The files that the last load read, also if it failed."""
        return self._files

    def load(self) -> tuple[Ensemble, ...]:
        """The ensembles of the configuration; see `load`."""
        files = Files()
        try:
            return load(self._path, files)
        finally:
            self._files = files


def load(path: Path, files: Files | None = None) -> tuple[Ensemble, ...]:
    """The ensembles of a configuration file.

    Also reads the files of secrets, certificates and keys, relative to the folder of the configuration file. Notes
    every file that it reads in `files`.

    Raises ConfigError, with a line for each problem.
    """
    document = read(path, files)
    config = validate(document)
    problems = document.problems
    if config is not None and not problems:
        meant = ensembles(config, document)
        if not meant.problems:
            return meant.ensembles
        problems = [problem.at(document.line(problem.location)) for problem in meant.problems]
    raise ConfigError(path, problems)
