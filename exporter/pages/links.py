"""Links: the path of a znode as it stands in a link, however long it is, and the way back.

A name can have a megabyte, the headers of a request have 16 KiB, and a page of children repeats the path of their
parent in each of its links. So a tilde and a digest stand for a long name, by which it is found among its siblings.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from urllib.parse import quote_plus

#: Bytes of a path in a link at most, and of each of its names if all of them fit.
LIMIT = 2048
NAME_LIMIT = 64
_DIGEST = re.compile("~[0-9a-f]{16}")
_DIGEST_LENGTH = 17


def short_name(name: str, limit: int = NAME_LIMIT) -> str:
    """The name, or where a link would need more than `limit` bytes for it what stands for it."""
    # A quick look first: a character takes a byte at least.
    return name if len(name) <= limit and len(_quoted(name)) <= limit else _digest(name)


def short_path(path: str) -> str | None:
    """The path as a link has it; None for one of so many levels that no link has room for it."""
    if path.count("/") > LIMIT // 4:
        return None
    names = path.split("/")
    for limit in (NAME_LIMIT, _DIGEST_LENGTH):
        short = "/".join(short_name(name, limit) for name in names)
        if len(_quoted(short)) <= LIMIT:
            return short
    return None


def meant(name: str, siblings: Iterable[str]) -> str | None:
    """That of the names for which `name` stands, None if there is none."""
    if not _DIGEST.fullmatch(name):
        return None
    return next((sibling for sibling in siblings if _digest(sibling) == name), None)


def _digest(name: str) -> str:
    return "~" + hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _quoted(text: str) -> str:
    return quote_plus(text, errors="surrogatepass")
