"""Forks: whether an object lives in this process, or is a copy that a fork made without its threads."""

from __future__ import annotations

import os


class Home:
    """The process that something was started in. A fork's child has a copy of it, and none of its threads and locks."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    def is_here(self) -> bool:
        """Whether this is that process, and not a fork's child."""
        return self._pid == os.getpid()
