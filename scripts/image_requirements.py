"""Image requirements: prints what of requirements/runtime.txt the image needs. `python scripts/image_requirements.py`

The lock file is for every supported Python, and says by markers which versions are for which. Here the markers are
resolved for the Python of the Dockerfile's base, on Linux, whatever Python this runs on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]

_BASE = re.compile(r"^ARG BASE=\S*\bpython:(?P<version>[0-9]+\.[0-9]+\.[0-9]+)-", re.MULTILINE)
#: What begins an entry of a lock file; its hashes, and comments, are indented.
_ENTRY = re.compile(r"^(?P<requirement>[A-Za-z0-9].*?) \\\n(?P<hashes>(?: +--hash=.*\n)+)", re.MULTILINE)


def python_of_image(dockerfile: str) -> str:
    """The version of Python, in full, of the base that a Dockerfile has by default."""
    base = _BASE.search(dockerfile)
    assert base is not None, "the Dockerfile's BASE is no image of Python by version"
    return base["version"]


def needed(lock: str, python: str) -> Iterator[str]:
    """The entries of a lock file, with their hashes and without markers, that this version of Python needs on Linux."""
    environment = {
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": python,
        "python_version": python.rpartition(".")[0],
        "sys_platform": "linux",
    }
    for entry in _ENTRY.finditer(lock):
        requirement = Requirement(entry["requirement"])
        if requirement.marker is None or requirement.marker.evaluate(environment):
            requirement.marker = None
            yield f"{requirement} \\\n{entry['hashes']}"


if __name__ == "__main__":
    python = python_of_image((ROOT / "Dockerfile").read_text())
    print(*needed((ROOT / "requirements" / "runtime.txt").read_text(), python), sep="", end="")
