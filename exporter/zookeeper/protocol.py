"""ProtocolError: what a server sends that cannot be ZooKeeper's protocol. It ends the connection, not the session."""

from __future__ import annotations

from kazoo.exceptions import ConnectionDropped

#: What can be wrong with what a server sends.
PROTOCOL_ERRORS = ("frame_too_large", "bad_frame", "bad_event", "bad_reply", "unexpected_reply")


class ProtocolError(ConnectionDropped):  # type: ignore[misc]
    """A message that is not ZooKeeper's: kazoo drops the connection and connects again. ``reason`` is one of
    `PROTOCOL_ERRORS`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Mistrust:
    """How long to stay away from servers that break the protocol: longer each time, and not for a first time.

    Times are monotonic seconds, given by the caller.
    """

    #: Seconds after which a server's past is forgotten; of the first delay; and of the longest, which a stop waits for.
    _MEMORY = 60.0
    _FIRST_DELAY = 0.1
    _LONGEST_DELAY = 2.0

    def __init__(self) -> None:
        self._last_at = float("-inf")
        self._delay = 0.0

    def delay(self, now: float) -> float:
        """The protocol was broken once more: the seconds to wait before the next connection."""
        if now - self._last_at > self._MEMORY:
            self._delay = 0.0
        else:
            self._delay = min(self._LONGEST_DELAY, max(self._FIRST_DELAY, 2 * self._delay))
        self._last_at = now
        return self._delay
