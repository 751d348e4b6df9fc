"""The configuration file: its schema, how it is read, and the settings that it means."""

from __future__ import annotations

from pathlib import Path

from exporter.config.document import read
from exporter.config.meaning import ensembles
from exporter.config.problems import ConfigError
from exporter.config.validation import validate
from exporter.settings import Ensemble

__all__ = ["ConfigError", "load"]


def load(path: Path) -> tuple[Ensemble, ...]:
    """The ensembles that a configuration file tells to watch.

    Reads the files of secrets, certificates and keys too, which are found relative to the configuration file's folder.

    Raises ConfigError, with a line for each thing that is wrong.
    """
    document = read(path)
    config = validate(document)
    problems = document.problems
    if config is not None and not problems:
        meant = ensembles(config, document)
        if not meant.problems:
            return meant.ensembles
        problems = [problem.at(document.line(problem.location)) for problem in meant.problems]
    raise ConfigError(path, problems)
