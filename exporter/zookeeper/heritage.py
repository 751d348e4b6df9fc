"""Heritage: whether a client lives in this process, or was taken along from the one that this was forked from."""

from __future__ import annotations

import os

from exporter.zookeeper.client import Client


class Heritage:
    """Of one client. A fork takes no threads along: a client that was started before it never works again after it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._process = os.getpid()
        self._is_inherited = False
        #: Whether the client's threads are in an ancestor of this process.
        self.is_dead = False

    @property
    def is_alive(self) -> bool:
        """False in a child of the process in which the client was started."""
        return not self.is_dead and self._process == os.getpid()

    @property
    def is_idle(self) -> bool:
        """Whether the client was made before this process was forked, and is not in use here, as it was not there."""
        return self._is_inherited and bool(self._client.stopped.is_set())

    def after_fork(self) -> None:
        """In the child."""
        self.is_dead = self.is_dead or not self._client.stopped.is_set()
        if not self.is_dead:
            self._process, self._is_inherited = os.getpid(), True
