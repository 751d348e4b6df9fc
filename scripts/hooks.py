"""Hooks: updates the versions in .pre-commit-config.yaml to those of requirements/dev.txt.

So a commit is checked with the same versions as by `make lint`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATH = ROOT / ".pre-commit-config.yaml"
LOCK = ROOT / "requirements" / "dev.txt"

#: A pinned package, in the dependencies of a hook or at the start of a line of a lock file.
_PINNED = re.compile(r"(?P<name>[A-Za-z0-9-]+)==(?P<version>[^\s,;\]]+)")


def locked() -> Mapping[str, str]:
    """The locked version of each package that `make test` installs."""
    entries = (_PINNED.match(line) for line in LOCK.read_text("utf-8").splitlines())
    return {entry["name"]: entry["version"] for entry in entries if entry is not None}


def texts() -> Mapping[Path, str]:
    """The file's content. Raises KeyError if a hook has a package that `make test` does not install."""
    versions = locked()
    text = PATH.read_text("utf-8")
    return {PATH: _PINNED.sub(lambda pinned: f"{pinned['name']}=={versions[pinned['name']]}", text)}
