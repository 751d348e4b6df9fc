"""Forks: whether an object was started in this process, or is a copy that a fork made without its threads."""

from __future__ import annotations

import os


class Home:
    """The process that an object was started in. A fork's child has a copy of the object, without its threads."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def is_here(self) -> bool:
        """Whether this is that process, not a fork's child."""
        return self._pid == os.getpid()
