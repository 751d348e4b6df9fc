"""YAML files: their bytes, within a limit, and the nodes in them. What every configuration file is read through."""

from __future__ import annotations

import warnings
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import ReusedAnchorWarning
from ruamel.yaml.nodes import Node

#: Bytes that a file may have.
SIZE_LIMIT = 1024 * 1024


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
