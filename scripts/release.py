"""Release: `make release VERSION=0.2.0` writes the new version into all files. It commits and tags nothing.

`python -m scripts.release --notes VERSION` prints the section of CHANGELOG.md for the checked-out version.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHANGELOG = "CHANGELOG.md"
#: Where each file has the version: at every match of `(?P<version>)`.
PLACES: Mapping[str, str] = {
    "exporter/__init__.py": r'^__version__ = "(?P<version>[^"]+)"$',
    "helm/treecache-exporter/Chart.yaml": r"^(?:appVersion|version): (?P<version>\S+)$",
    "docs/installation.md": r"(?:VERSION=|treecache_exporter-)(?P<version>\d+\.\d+\.\d+)",
}

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_UNRELEASED = re.compile(r"^## \[Unreleased\]\n(?P<changes>.*?)(?=^## \[|\Z)", re.DOTALL | re.MULTILINE)
#: The sentence of the unreleased section that names its future version.
_BECOMES = re.compile(r"^This becomes \S+\.\n+", re.MULTILINE)


class ReleaseError(Exception):
    """The release is not possible; the message says why, in one line."""


def current(root: Path) -> str:
    """The checked-out version."""
    found = re.search(PLACES["exporter/__init__.py"], (root / "exporter" / "__init__.py").read_text("utf-8"), re.M)
    assert found is not None
    return found["version"]


def cut(root: Path, version: str, date: str) -> list[str]:
    """Writes the version into all files, and moves the changes under it; returns the files. Raises ReleaseError."""
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"VERSION={version}: accepted: MAJOR.MINOR.PATCH, such as 0.2.0")
    if _numbers(version) <= _numbers(current(root)):
        raise ReleaseError(f"VERSION={version}: accepted: one after {current(root)}")
    texts = {CHANGELOG: dated((root / CHANGELOG).read_text("utf-8"), version, date)}
    for file, pattern in PLACES.items():
        texts[file] = _with_version((root / file).read_text("utf-8"), pattern, version, file)
    for file, text in texts.items():
        (root / file).write_text(text, "utf-8")
    return list(texts)


def dated(changelog: str, version: str, date: str) -> str:
    """The changelog with the unreleased changes under a version. Raises ReleaseError if there are none."""
    section = _UNRELEASED.search(changelog)
    changes = _BECOMES.sub("", section["changes"]).strip() if section else ""
    if section is None or not re.search(r"^- ", changes, re.MULTILINE):
        raise ReleaseError(f"{CHANGELOG}: there are no unreleased changes")
    cut = f"## [Unreleased]\n\n## [{version}] - {date}\n\n{changes}\n\n"
    return changelog[: section.start()] + cut + changelog[section.end() :].lstrip("\n")


def notes(changelog: str, version: str) -> str:
    """The changelog's section of a version. Raises ReleaseError if there is none."""
    section = re.search(rf"^## \[{re.escape(version)}\].*?\n(.*?)(?=^## \[|\Z)", changelog, re.DOTALL | re.MULTILINE)
    if section is None or not section[1].strip():
        raise ReleaseError(f"{CHANGELOG}: no section for {version}")
    return section[1].strip() + "\n"


def _with_version(text: str, pattern: str, version: str, file: str) -> str:
    def replaced(found: re.Match[str]) -> str:
        begin, end = (place - found.start() for place in found.span("version"))
        return found[0][:begin] + version + found[0][end:]

    text, times = re.subn(pattern, replaced, text, flags=re.MULTILINE)
    if not times:
        raise ReleaseError(f"{file}: the version was not found: {pattern}")
    return text


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Cuts a release or prints its notes; returns the exit status, 2 for an unusable version."""
    parser = argparse.ArgumentParser(prog="release", description="Gives the unreleased changes a version.")
    parser.add_argument("version", metavar="VERSION", nargs="?", default="", help="such as 0.2.0")
    parser.add_argument(
        "--notes", action="store_true", help="print the changelog's section of it, if it is checked out"
    )
    given = parser.parse_args(arguments)
    try:
        if given.notes:
            if given.version != current(root):
                raise ReleaseError(f"{given.version}: the checked-out version is {current(root)}")
            print(notes((root / CHANGELOG).read_text("utf-8"), given.version), end="")
            return 0
        files = cut(root, given.version, datetime.now(UTC).strftime("%Y-%m-%d"))
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 2
    print(f"release: wrote {given.version} into {', '.join(files)}")
    print("release: next: review them, run `make test` and `make release-check`, and commit; then, with your key,")
    print(f"release:   git tag --sign v{given.version} --message 'Version {given.version}'")
    print(f"release:   git push origin main v{given.version}")
    print("release: the tag's workflows publish packages, image and chart; a maintainer approves the first.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
