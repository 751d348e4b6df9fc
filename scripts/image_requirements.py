"""Image requirements: `python scripts/image_requirements.py` prints the part of requirements/runtime.txt for the image.

The lock file covers every supported Python by markers. This resolves the markers for the Python of the Dockerfile's
base image on Linux, independent of the Python that runs this.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]

_BASE = re.compile(r"^ARG BASE=\S*\bpython:(?P<version>[0-9]+\.[0-9]+\.[0-9]+)-", re.MULTILINE)
#: An entry of a lock file; its hashes and comments are indented.
_ENTRY = re.compile(r"^(?P<requirement>[A-Za-z0-9].*?) \\\n(?P<hashes>(?: +--hash=.*\n)+)", re.MULTILINE)


def python_of_image(dockerfile: str) -> str:
    """The full Python version of a Dockerfile's default base image."""
    base = _BASE.search(dockerfile)
    assert base is not None, "the Dockerfile's BASE is not a Python image with a version"
    return base["version"]


def needed(lock: str, python: str) -> Iterator[str]:
    """The entries of a lock file for this Python on Linux, with hashes and without markers."""
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
