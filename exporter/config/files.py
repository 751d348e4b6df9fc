"""Files: what a configuration was read from, and what each file held just before, to see whether one has changed."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from exporter.config.yamlfile import SIZE_LIMIT

#: What tells one content from another: a digest, or why there is none.
Print = bytes | str

#: Errors that say nothing about a file.
_OF_THE_PROCESS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@dataclass
class Files:
    """The files that were read, each with the print that it had just before, so that no later change escapes."""

    prints: dict[Path, Print] = field(default_factory=dict)

    def note(self, path: Path) -> None:
        """Remembers what a file holds; to be called before it is read."""
        try:
            self.prints[path] = _print_of(path)
        except OSError as error:
            self.prints[path] = str(error)

    def now(self) -> Files:
        """The same files as they are now.

        Raises OSError when the process has no file or memory left to look at them.
        """
        return Files({path: _print_of(path) for path in self.prints})


def _print_of(path: Path) -> Print:
    """The print of a file's content, not of its name, inode or times: Kubernetes replaces files that hold the same."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            # A pipe can be read once.
            return "no regular file"
        with path.open("rb") as file:
            return hashlib.sha256(b"%d " % found.st_size + file.read(SIZE_LIMIT + 1)).digest()
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_PROCESS:
            raise
        return str(error)
