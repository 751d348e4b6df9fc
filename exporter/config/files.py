"""Files: the files that a configuration was read from, with a digest of each, to notice when one changes."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from exporter.config.yamlfile import SIZE_LIMIT

#: Identifies a file's content: a digest, or the reason why there is none.
Print = bytes | str

#: Errors that are about the process, not about the file.
_OF_THE_PROCESS = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


@dataclass
class Files:
    """The files that were read, each with its print from just before, so that no later change goes unnoticed."""

    prints: dict[Path, Print] = field(default_factory=dict)

    def note(self, path: Path) -> None:
        """Remembers the print of a file; call this before the file is read."""
        try:
            self.prints[path] = _print_of(path)
        except OSError as error:
            self.prints[path] = str(error)

    def now(self) -> Files:
        """The same files as they are now.

        Raises OSError when the process has run out of file descriptors or memory.
        """
        return Files({path: _print_of(path) for path in self.prints})


def _print_of(path: Path) -> Print:
    """The print of a file's content, not of its name, inode or times: Kubernetes replaces files by equal ones."""
    try:
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            # A pipe can be read only once.
            return "not a regular file"
        with path.open("rb") as file:
            return hashlib.sha256(b"%d " % found.st_size + file.read(SIZE_LIMIT + 1)).digest()
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_PROCESS:
            raise
        return str(error)
