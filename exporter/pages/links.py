"""Links: shortens a znode's path for a link, and finds the znode again.

A name can have a megabyte, a request's headers 16 KiB, and a page of children repeats the path of their parent in each
link. So a link replaces a long name by a tilde and a digest, which identifies the name among its siblings.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from urllib.parse import quote_plus

#: The maximum number of bytes of a path in a link, and of each of its names if all of them fit.
LIMIT = 2048
NAME_LIMIT = 64
_DIGEST = re.compile("~[0-9a-f]{16}")
_DIGEST_LENGTH = 17


def short_name(name: str, limit: int = NAME_LIMIT) -> str:
    """The name; if a link would need more than `limit` bytes for it, a tilde and a digest."""
    # The cheap test first: a character takes at least one byte.
    return name if len(name) <= limit and len(_quoted(name)) <= limit else _digest(name)


def short_path(path: str) -> str | None:
    """The path for a link; None if it has too many levels to fit."""
    if path.count("/") > LIMIT // 4:
        return None
    names = path.split("/")
    for limit in (NAME_LIMIT, _DIGEST_LENGTH):
        short = "/".join(short_name(name, limit) for name in names)
        if len(_quoted(short)) <= LIMIT:
            return short
    return None


def meant(name: str, siblings: Iterable[str]) -> str | None:
    """The sibling that a shortened `name` identifies, None if there is none."""
    if not _DIGEST.fullmatch(name):
        return None
    return next((sibling for sibling in siblings if _digest(sibling) == name), None)


def _digest(name: str) -> str:
    return "~" + hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _quoted(text: str) -> str:
    return quote_plus(text, errors="surrogatepass")
