"""Standard output of a command, whose reader may go and whose disk may be full."""

from __future__ import annotations

import contextlib
import errno
import os
import sys


class OutputError(Exception):
    """Standard output does not take what a command prints; the message says why.

    `reader_is_gone` if nobody is left to read it, as after `| head`: that is no mistake to complain of.
    """

    def __init__(self, error: OSError) -> None:
        super().__init__(os.strerror(error.errno).lower() if error.errno else str(error))
        self.reader_is_gone = error.errno == errno.EPIPE


def say(text: str, end: str = "\n") -> None:
    """Prints a text at once; characters that the terminal's encoding lacks are escaped.

    Raises OutputError if standard output does not take it; it takes everything from then on, and drops it.
    """
    if sys.stdout is None:
        # The parent closed it.
        return
    encoding = sys.stdout.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), end=end, flush=True)
    except OSError as error:
        _drop_the_rest()
        raise OutputError(error) from None


def _drop_the_rest() -> None:
    """Without this, Python tries again at exit, and complains."""
    with contextlib.suppress(OSError), open(os.devnull, "wb") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())
