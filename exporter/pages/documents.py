"""Documents: serves the project's documentation, above all the runbooks, to people who have only the exporter.

The documents come with the package and need neither network nor repository. A link to another document leads to its
page; a link to a file that is not served becomes its text and the file's path in the repository. Raw HTML and pictures
are left out; a picture's description stays.
"""

from __future__ import annotations

import functools
import itertools
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from markupsafe import Markup, escape

from exporter.pages.prefix import relative

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

#: Where they are served.
PATH = "/docs"
#: The documents' folder in the repository, which their links are relative to.
_FOLDER = "docs"
#: The documents that an on-call engineer needs.
_FIRST = ("runbooks",)
#: The documents that only the site has: `make docs` fills them from the docstrings.
_ON_THE_SITE = ("api",)


@dataclass(frozen=True)
class Document:
    """A document: its name, its title, and its content as HTML without the title.

    Attributes:
        name: the name of its file, without the ending.
        sections: the texts of its second-level headings, by their anchors.
    """

    name: str
    title: str
    html: Markup
    sections: Mapping[str, str]


class Documents:
    """The documents by name, from Markdown texts; each is rendered when it is first requested."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = {name: texts[name] for name in sorted(texts, key=lambda name: (name not in _FIRST, name))}
        self._rendered = functools.cache(self._render)

    def __iter__(self) -> Iterator[Document]:
        return (self._rendered(name) for name in self._texts)

    def find(self, name: str) -> Document | None:
        """The document of this name, None if there is none."""
        return self._rendered(name) if name in self._texts else None

    def _render(self, name: str) -> Document:
        markdown = renderer()
        tokens = markdown.parse(self._texts[name])
        title = _taken_title(tokens) or name
        sections = _anchored(tokens)
        _label_cells(tokens)
        content = markdown.renderer.render(tokens, markdown.options, {"documents": self._texts.keys()})
        return Document(name, title, Markup(content), sections)


def packaged() -> Documents:
    """The documents that come with the exporter: in its package, or next to it when it runs from the repository."""
    package = Path(__file__).resolve().parents[1]
    folder = next((folder for folder in (package / _FOLDER, package.parent / _FOLDER) if folder.is_dir()), None)
    files = [] if folder is None else [file for file in folder.glob("*.md") if file.stem not in _ON_THE_SITE]
    return Documents({file.stem: file.read_text("utf-8") for file in files})


def runbook(alert: str) -> str:
    """The link from the first page to the runbook of an alert; "" for no alert."""
    return f"{relative(PATH)}/runbooks#{alert.lower()}" if alert else ""


def _taken_title(tokens: list[Token]) -> str:
    """Removes the heading that the document begins with, if it does, and returns its text."""
    if not tokens or tokens[0].tag != "h1":
        return ""
    title = _said(tokens[1])
    del tokens[:3]
    return title


def _anchored(tokens: Sequence[Token]) -> Mapping[str, str]:
    """Gives each heading an anchor, in the way that GitHub derives it from the text."""
    taken, sections = set(), {}
    for token, content in itertools.pairwise(tokens):
        if token.type != "heading_open":
            continue
        said = _said(content)
        first = re.sub(r"[^\w\- ]", "", said.lower()).replace(" ", "-")
        numbered = (first if number == 0 else f"{first}-{number}" for number in itertools.count())
        anchor = next(name for name in numbered if name not in taken)
        token.attrSet("id", anchor)
        if said.isalnum() and said != anchor:
            # Programs that link by an alert's name, such as Grafana, may not be able to write it in lower case.
            token.meta["name"] = said
        taken.add(anchor)
        if token.tag == "h2":
            sections[anchor] = said
    return sections


def _said(token: Token) -> str:
    """The text of a heading, without its markup."""
    return "".join(child.content for child in token.children or () if child.type in ("text", "code_inline"))


def _label_cells(tokens: Sequence[Token]) -> None:
    """Gives each cell of a table its column's heading, which narrow screens show next to it."""
    headings: list[str] = []
    column = 0
    for token, content in itertools.pairwise(tokens):
        if token.type == "table_open":
            headings = []
        elif token.type == "tr_open":
            column = 0
        elif token.type == "th_open":
            token.attrSet("scope", "col")
            headings.append(_said(content))
        elif token.type == "td_open":
            token.attrSet("data-label", headings[column] if column < len(headings) else "")
            column += 1


@functools.cache
def renderer() -> MarkdownIt:
    """The Markdown renderer. Loading it opens files, and would take a tenth of the time of the exporter's start."""
    from markdown_it import MarkdownIt

    # HTML is parsed so that it can be left out: with `html` off, its tags would appear in the text.
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
    markdown.add_render_rule("html_block", _nothing)
    markdown.add_render_rule("html_inline", _nothing)
    markdown.add_render_rule("heading_open", _headed)
    markdown.add_render_rule("image", _described)
    markdown.add_render_rule("link_open", _opened)
    markdown.add_render_rule("link_close", _closed)
    markdown.add_render_rule("fence", _code)
    markdown.add_render_rule("code_block", _code)
    return markdown


def _nothing(_renderer: Any, _tokens: Sequence[Token], _index: int, _options: Any, _environment: Any) -> str:
    return ""


def _headed(renderer: Any, tokens: Sequence[Token], index: int, options: Any, environment: Any) -> str:
    tag = str(renderer.renderToken(tokens, index, options, environment))
    return tag + (f'<a id="{escape(name)}"></a>' if (name := tokens[index].meta.get("name")) else "")


def _described(renderer: Any, tokens: Sequence[Token], index: int, options: Any, environment: Any) -> str:
    said = renderer.renderInlineAsText(tokens[index].children or [], options, environment)
    return f"<em>{escape(said)}</em>"


def _code(_renderer: Any, tokens: Sequence[Token], index: int, _options: Any, _environment: Any) -> str:
    # Scrollable elements must be reachable by keyboard.
    return f'<pre tabindex="0"><code>{escape(tokens[index].content)}</code></pre>\n'


def _opened(
    _renderer: Any, tokens: Sequence[Token], index: int, _options: Any, environment: MutableMapping[str, Any]
) -> str:
    address, file = _led_to(str(tokens[index].attrs["href"]), environment["documents"])
    # Links do not nest, so there is only one open link to end.
    if address:
        environment["end"] = "</a>"
        return f'<a href="{escape(address)}">'
    environment["end"] = "" if file in _text_of(tokens, index) else f" (<code>{escape(file)}</code>)"
    return ""


def _closed(
    _renderer: Any, _tokens: Sequence[Token], _index: int, _options: Any, environment: MutableMapping[str, Any]
) -> str:
    return str(environment.pop("end"))


def _led_to(target: str, documents: Collection[str]) -> tuple[str, str]:
    """The address of a document's link on its page; "" if its file is not served, with the path in the repository."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc or not parts.path:
        return target, ""
    file = posixpath.normpath(posixpath.join(_FOLDER, unquote(parts.path)))
    name = file.removeprefix(f"{_FOLDER}/").removesuffix(".md")
    if file == f"{_FOLDER}/{name}.md" and name in documents:
        return f"{name}#{parts.fragment}" if parts.fragment else name, ""
    return "", file


def _text_of(tokens: Sequence[Token], index: int) -> str:
    """The text of the link that begins there."""
    inside = itertools.takewhile(lambda token: token.type != "link_close", tokens[index + 1 :])
    return "".join(token.content for token in inside)
