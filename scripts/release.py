"""Release: gives what is unreleased a version. `make release VERSION=0.2.0`, which commits and tags nothing.

`python -m scripts.release --notes VERSION` prints what CHANGELOG.md says of the version that is checked out.
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
#: Where the version stands, by file: it is what `(?P<version>)` finds, each time.
PLACES: Mapping[str, str] = {
    "exporter/__init__.py": r'^__version__ = "(?P<version>[^"]+)"$',
    "helm/treecache-exporter/Chart.yaml": r"^(?:appVersion|version): (?P<version>\S+)$",
    "docs/installation.md": r"(?:VERSION=|treecache_exporter-)(?P<version>\d+\.\d+\.\d+)",
}

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
_UNRELEASED = re.compile(r"^## \[Unreleased\]\n(?P<changes>.*?)(?=^## \[|\Z)", re.DOTALL | re.MULTILINE)
#: What the section says of the version that it becomes.
_BECOMES = re.compile(r"^This becomes \S+\.\n+", re.MULTILINE)


class ReleaseError(Exception):
    """There can be no such release; the message says why, in one line."""


def current(root: Path) -> str:
    """The version that is checked out."""
    found = re.search(PLACES["exporter/__init__.py"], (root / "exporter" / "__init__.py").read_text("utf-8"), re.M)
    assert found is not None
    return found["version"]


def cut(root: Path, version: str, date: str) -> list[str]:
    """Writes the version where it stands and the changes under it, and gives the files. Raises ReleaseError."""
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
    """The changelog with what was unreleased under a version. Raises ReleaseError if there is nothing."""
    section = _UNRELEASED.search(changelog)
    changes = _BECOMES.sub("", section["changes"]).strip() if section else ""
    if section is None or not re.search(r"^- ", changes, re.MULTILINE):
        raise ReleaseError(f"{CHANGELOG}: nothing is unreleased")
    cut = f"## [Unreleased]\n\n## [{version}] - {date}\n\n{changes}\n\n"
    return changelog[: section.start()] + cut + changelog[section.end() :].lstrip("\n")


def notes(changelog: str, version: str) -> str:
    """What the changelog says of a version. Raises ReleaseError if it says nothing."""
    section = re.search(rf"^## \[{re.escape(version)}\].*?\n(.*?)(?=^## \[|\Z)", changelog, re.DOTALL | re.MULTILINE)
    if section is None or not section[1].strip():
        raise ReleaseError(f"{CHANGELOG}: it says nothing of {version}")
    return section[1].strip() + "\n"


def _with_version(text: str, pattern: str, version: str, file: str) -> str:
    def replaced(found: re.Match[str]) -> str:
        begin, end = (place - found.start() for place in found.span("version"))
        return found[0][:begin] + version + found[0][end:]

    text, times = re.subn(pattern, replaced, text, flags=re.MULTILINE)
    if not times:
        raise ReleaseError(f"{file}: the version is not where it was: {pattern}")
    return text


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """Cuts a release or prints its notes, and gives the exit status, 2 for a version that cannot be."""
    parser = argparse.ArgumentParser(prog="release", description="Gives what is unreleased a version.")
    parser.add_argument("version", metavar="VERSION", nargs="?", default="", help="such as 0.2.0")
    parser.add_argument(
        "--notes", action="store_true", help="print what the changelog says of it, if it is checked out"
    )
    given = parser.parse_args(arguments)
    try:
        if given.notes:
            if given.version != current(root):
                raise ReleaseError(f"{given.version}: the version that is checked out is {current(root)}")
            print(notes((root / CHANGELOG).read_text("utf-8"), given.version), end="")
            return 0
        files = cut(root, given.version, datetime.now(UTC).strftime("%Y-%m-%d"))
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 2
    print(f"release: wrote {given.version} into {', '.join(files)}")
    print("release: next: read them, and run `make test` and `make release-check`; commit; then, with your key,")
    print(f"release:   git tag --sign v{given.version} --message 'Version {given.version}'")
    print(f"release:   git push origin main v{given.version}")
    print("release: the tag's workflows publish packages, image and chart; a maintainer approves the first.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
