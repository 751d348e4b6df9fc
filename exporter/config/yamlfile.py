"""YAML files: their bytes, within a limit, the nodes in them, and what may be told of them without a secret.

What every configuration file is read through.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning
from ruamel.yaml.nodes import Node

#: Bytes that a file may have.
SIZE_LIMIT = 1024 * 1024

#: What a parser quotes: single characters of its own, and else whatever the file holds.
_QUOTED = re.compile(r"""'(?P<character>.)'|['"].*['"]""")


class UnreadableFileError(Exception):
    """A file that cannot be read; its text is the reason."""


def content_of(path: Path) -> bytes:
    """What a file holds, and of one that is larger than `SIZE_LIMIT` one byte more than that.

    Raises:
        UnreadableFileError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(SIZE_LIMIT + 1)
    except (OSError, ValueError) as error:
        raise UnreadableFileError((error.strerror if isinstance(error, OSError) else None) or str(error)) from None


def compose(content: bytes) -> Node | None:
    """The node at the top, None in an empty file. UTF-8 alone: nobody writes configurations in YAML's other encodings.

    Raises:
        UnicodeDecodeError, YAMLError, ValueError, RecursionError: it is no YAML, or nested too deeply.
    """
    with warnings.catch_warnings():
        # An anchor may be given again, says YAML; the library warns in several lines.
        warnings.simplefilter("ignore", ReusedAnchorWarning)
        root: Node | None = YAML(typ="safe", pure=True).compose(content.decode("utf-8-sig"))
    return root


def complaint(error: MarkedYAMLError) -> str:
    """What a parser complains about; what it quotes of the file is left out, which may be a secret."""
    told = " ".join(str(error.problem or error.context).split())
    return _QUOTED.sub(lambda quoted: quoted[0] if quoted["character"] else "...", told)


def without_value(key: str) -> str:
    """A key as it may be told: what follows a colon in it is a value that lost its space, and may be a secret."""
    name, colon, _ = key.partition(":")
    return name + colon
