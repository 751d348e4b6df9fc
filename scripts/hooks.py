"""Hooks: the versions in .pre-commit-config.yaml, as requirements/dev.txt has them.

A commit is then checked by what `make lint` checks with, not by what was the newest when the hooks were written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PATH = ROOT / ".pre-commit-config.yaml"
LOCK = ROOT / "requirements" / "dev.txt"

#: A pinned package, among the dependencies of a hook or at the beginning of a line of a lock file.
_PINNED = re.compile(r"(?P<name>[A-Za-z0-9-]+)==(?P<version>[^\s,;\]]+)")


def locked() -> Mapping[str, str]:
    """The version of each package that `make test` installs."""
    entries = (_PINNED.match(line) for line in LOCK.read_text("utf-8").splitlines())
    return {entry["name"]: entry["version"] for entry in entries if entry is not None}


def texts() -> Mapping[Path, str]:
    """What the file is to hold. Raises KeyError for a hook's package that `make test` does not install."""
    versions = locked()
    text = PATH.read_text("utf-8")
    return {PATH: _PINNED.sub(lambda pinned: f"{pinned['name']}=={versions[pinned['name']]}", text)}
