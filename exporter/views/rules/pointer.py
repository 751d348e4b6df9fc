"""JSON pointers: RFC 6901, which name a value inside a JSON document."""

from __future__ import annotations

import re
from typing import Any

#: What a pointer must be, for messages.
POINTER_ACCEPTED = 'accepted: a JSON pointer (RFC 6901) such as /replicas, or "" for the whole document'

#: RFC 6901, section 3: tokens after slashes; a tilde is written ~0 and a slash ~1.
_POINTER = re.compile(r"(?:/(?:[^/~]|~[01])*)*")
#: RFC 6901, section 4: an index has no leading zeros.
_INDEX = re.compile(r"0|[1-9][0-9]*")
#: More digits are an index of no array that fits into memory.
_LONGEST_INDEX = 18


class MissingError(LookupError):
    """The document has no value at the pointer."""


class Pointer:
    """A compiled pointer.

    Raises:
        ValueError: it is no pointer; the message says what is one.
    """

    def __init__(self, text: str) -> None:
        if not _POINTER.fullmatch(text):
            raise ValueError(f"{text!r} is not a JSON pointer; {POINTER_ACCEPTED}")
        # In this order, so that ~01 becomes ~1.
        self._tokens = [token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:]]

    def value_in(self, document: Any) -> Any:
        """The value that it names in a decoded document.

        Raises:
            MissingError: there is none.
        """
        value = document
        for token in self._tokens:
            if isinstance(value, dict) and token in value:
                value = value[token]
            elif isinstance(value, list) and _INDEX.fullmatch(token) and len(token) <= _LONGEST_INDEX:
                if int(token) >= len(value):
                    raise MissingError(token)
                value = value[int(token)]
            else:
                raise MissingError(token)
        return value
