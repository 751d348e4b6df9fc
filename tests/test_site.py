"""The documents' site, as far as it can be judged without building it; `make docs` builds it and checks every link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import exporter

ROOT = Path(__file__).parents[1]
SITE = YAML(typ="safe", pure=True).load((ROOT / "mkdocs.yml").read_text())
#: Pages from elsewhere in the repository, as scripts/sitepages.py has them, which needs MkDocs.
ELSEWHERE = dict(re.findall(r'^    "(\S+\.md)": "(\S+\.md)",$', (ROOT / "scripts" / "sitepages.py").read_text(), re.M))


def pages(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    else:
        for inner in part.values() if isinstance(part, dict) else part:
            yield from pages(inner)


def test_every_document_is_in_the_navigation_once() -> None:
    documents = [file.name for file in (ROOT / "docs").glob("*.md")]
    assert sorted(pages(SITE["nav"])) == sorted([*documents, *ELSEWHERE.values()])


@pytest.mark.parametrize("file", ELSEWHERE)
def test_pages_from_elsewhere_are_there(file: str) -> None:
    assert (ROOT / file).is_file()


def test_the_interface_of_the_library_is_described_name_by_name() -> None:
    described = re.findall(r"^::: exporter\.(\w+)$", (ROOT / "docs" / "api.md").read_text(), re.M)
    assert sorted(described) == sorted(set(exporter.__all__) - {"__version__"})


def test_nothing_of_the_site_is_loaded_from_elsewhere() -> None:
    assert SITE["theme"]["font"] is False
    assert not re.findall(r"https?://", (ROOT / "mkdocs.yml").read_text())
