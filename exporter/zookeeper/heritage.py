"""Heritage: whether a client belongs to this process, or was inherited from the process that it was forked from."""

from __future__ import annotations

import os

from exporter.zookeeper.client import Client


class Heritage:
    """The heritage of one client. A fork copies no threads: a client started before it does not work in the child."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._process = os.getpid()
        self._is_inherited = False
        #: Whether the client's threads are in an ancestor of this process.
        self.is_dead = False

    @property
    def is_alive(self) -> bool:
        """False in a fork's child if the client was started before the fork."""
        return not self.is_dead and self._process == os.getpid()

    @property
    def is_idle(self) -> bool:
        """Whether the client was made before this process was forked, and was used neither there nor here."""
        return self._is_inherited and bool(self._client.stopped.is_set())

    def after_fork(self) -> None:
        """In a fork's child: notes whether the client was running."""
        self.is_dead = self.is_dead or not self._client.stopped.is_set()
        if not self.is_dead:
            self._process, self._is_inherited = os.getpid(), True
