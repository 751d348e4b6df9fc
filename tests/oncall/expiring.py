"""Expiring: a proxy that makes the ensemble expire the session of its client."""

from __future__ import annotations

import struct
import time

from tests.faults.proxy import Proxy
from tests.support import expire

#: The first frame of a client: its length, the protocol's version, the newest zxid, the timeout, session and password.
_CONNECT = struct.Struct("!iiqiqi16s")


class ExpiringProxy(Proxy):
    """A proxy for one client. `hosts_behind` is the ensemble's connection string."""

    def __init__(self, target: int, hosts_behind: str) -> None:
        super().__init__(target)
        self._hosts_behind = hosts_behind
        self._expiring = False
        self._refusing = False
        #: Seconds for which the first frame of a client waits here.
        self.answers_after = 0.0

    def expire(self, *, and_refuse: bool = False) -> None:
        """Cuts the connection, and closes the session before the client reconnects and learns that it expired.

        With `and_refuse`, later connections are refused until `heal`.
        """
        self._refusing = and_refuse
        self._expiring = True
        self.cut()

    def connecting(self, frame: bytes) -> bytes:
        """Closes the session of a reconnecting client first."""
        time.sleep(self.answers_after)
        passed = super().connecting(frame)
        _, _, _, _, session, _, password = _CONNECT.unpack_from(frame)
        if self._expiring and session:
            self._expiring = False
            expire((session, password), self._hosts_behind)
            if self._refusing:
                self.refuse()
        return passed
