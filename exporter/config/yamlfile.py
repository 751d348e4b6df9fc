"""YAML files: reads every configuration file, within a limit of size, and quotes none of its secrets in complaints."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning
from ruamel.yaml.nodes import Node

#: The maximum number of bytes that a file may have.
SIZE_LIMIT = 1024 * 1024

#: The quotations in a parser's message: single characters, or text from the file.
_QUOTED = re.compile(r"""'(?P<character>.)'|['"].*['"]""")


class UnreadableFileError(Exception):
    """A file cannot be read; the text says why."""


def content_of(path: Path) -> bytes:
    """The content of a file; of a file larger than `SIZE_LIMIT`, that many bytes and one more.

    Raises:
        UnreadableFileError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(SIZE_LIMIT + 1)
    except (OSError, ValueError) as error:
        raise UnreadableFileError((error.strerror if isinstance(error, OSError) else None) or str(error)) from None


def compose(content: bytes) -> Node | None:
    """The node at the top, None for an empty file. Only UTF-8: nobody writes configurations in YAML's other encodings.

    Raises:
        UnicodeDecodeError, YAMLError, ValueError, RecursionError: it is not valid YAML, or nested too deeply.
    """
    with warnings.catch_warnings():
        # YAML allows an anchor to be defined again; the library warns about it in several lines.
        warnings.simplefilter("ignore", ReusedAnchorWarning)
        root: Node | None = YAML(typ="safe", pure=True).compose(content.decode("utf-8-sig"))
    return root


def complaint(error: MarkedYAMLError) -> str:
    """A parser's message, without its quotations from the file, which may be secrets."""
    message = " ".join(str(error.problem or error.context).split())
    return _QUOTED.sub(lambda quoted: quoted[0] if quoted["character"] else "...", message)


def without_value(key: str) -> str:
    """A key as a complaint may show it: the text after a colon is a value without its space, and may be a secret."""
    name, colon, _ = key.partition(":")
    return name + colon
