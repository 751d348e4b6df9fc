"""Site pages: a hook of MkDocs that adds pages from outside docs/ to the site, and converts links.

Links are written for the repository. On the site, a link to a Markdown file leads to its page, a link to another file
to a copy of it. A link to a folder leads to the page of the folder's README.md; without one it becomes text.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]

#: Pages from outside docs/.
PAGES: Mapping[str, str] = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CODE_OF_CONDUCT.md": "code-of-conduct.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
    "bench/README.md": "benchmarks.md",
    "helm/treecache-exporter/README.md": "chart.md",
}
_FILES_OF_PAGES = {page: file for file, page in PAGES.items()}
#: The folder of copies of other files.
_COPIES = "files"

_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
_SOURCE = re.compile(r"(?<= src=\")(?P<src>[^\"]+)|(?<= srcset=\")(?P<srcset>[^\"]+)")
#: Blocks and spans of code, which contain no links. A span may be the text of a link.
_CODE = re.compile(r"^```.*?^```|^    .*?$|(?<!\[)`(?!\]\()[^`\n]+`", re.DOTALL | re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Makes anchors as GitHub and the exporter do, because the documents' links use those."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = anchor
    return config


def anchor(heading: str, _separator: str) -> str:
    """The anchor of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages from outside docs/, and the files that pages link to."""
    for file, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / file).read_text("utf-8")))
    led_to = {file for page in files.documentation_pages() for file in _led_to(page)}
    for file in sorted(led_to):
        if (ROOT / file).is_file() and not file.startswith("docs/") and file not in PAGES:
            files.append(File.generated(config, f"{_COPIES}/{file}", abs_src_path=str(ROOT / file)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """The page with its links converted for the site."""
    return for_site(markdown, page.file.src_uri)


def for_site(markdown: str, page: str) -> str:
    """Converts the repository's Markdown for this page of the site."""
    written = _FILES_OF_PAGES.get(page, f"docs/{page}")
    parts, end = [], 0
    for code in _CODE.finditer(markdown):
        parts += [_converted(markdown[end : code.start()], written, page), code[0]]
        end = code.end()
    return "".join((*parts, _converted(markdown[end:], written, page)))


def _converted(text: str, written: str, page: str) -> str:
    def link(found: re.Match[str]) -> str:
        target = _target(found["target"], written, page)
        return found["text"] if target is None else f"[{found['text']}]({target})"

    def source(found: re.Match[str]) -> str:
        return _target(found[0], written, page) or found[0]

    return _SOURCE.sub(source, _LINK.sub(link, text))


def _target(target: str, written: str, page: str) -> str | None:
    """The target of a file's link on the site; None for a folder without a page."""
    path, mark, fragment = target.partition("#")
    if not path or ":" in path:
        return target
    file = _in_repository(path, written)
    if (ROOT / file).is_dir():
        if f"{file}/README.md" not in PAGES:
            return None
        file = f"{file}/README.md"
    place = PAGES.get(file) or (file.removeprefix("docs/") if file.startswith("docs/") else f"{_COPIES}/{file}")
    return posixpath.relpath(place, posixpath.dirname(page) or ".") + mark + fragment


def _in_repository(path: str, written: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(written), path))


def _led_to(page: File) -> Iterator[str]:
    written = _FILES_OF_PAGES.get(page.src_uri, f"docs/{page.src_uri}")
    for link in _LINK.finditer(_CODE.sub("", page.content_string)):
        path = link["target"].partition("#")[0]
        if path and ":" not in path:
            yield _in_repository(path, written)
