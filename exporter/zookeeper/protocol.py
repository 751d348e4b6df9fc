"""ProtocolError: a server's message violates ZooKeeper's protocol. It ends the connection, not the session."""

from __future__ import annotations

import math
import struct

from kazoo.exceptions import AuthFailedError, ConnectionDropped, KazooException, SASLException, SessionExpiredError

#: The kinds of violations.
PROTOCOL_ERRORS = ("frame_too_large", "bad_frame", "bad_event", "bad_reply", "unexpected_reply")

#: The maximum number of bytes of a message while a connection is made: ZooKeeper's own default for any message
#: (``jute.maxbuffer``). The answer that opens a session has 41 bytes, and a token of SASL some thousands.
MAX_HANDSHAKE = 1024 * 1024


class ProtocolError(ConnectionDropped):  # type: ignore[misc]
    """A message violates the protocol: kazoo drops the connection and connects again.

    ``reason`` is one of `PROTOCOL_ERRORS`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def protocol_error_in(error: Exception) -> ProtocolError | None:
    """The violation that made kazoo fail a handshake after the server has answered; None if it failed otherwise."""
    for each in (error, error.__cause__):
        # kazoo takes a connection dropped during SASL for refused credentials.
        if isinstance(each, ProtocolError):
            return each
    if isinstance(error, ConnectionDropped | SessionExpiredError | AuthFailedError | SASLException):
        return None
    if isinstance(error, KazooException | struct.error | RuntimeError | ValueError | TypeError | LookupError):
        return ProtocolError("bad_reply", f"a handshake that cannot be decoded: {error!r}")
    return None


class Mistrust:
    """How long to avoid servers that violate the protocol: longer each time, and not at all for the first time.

    kazoo's own back-off restarts with each connection that was made. Callers pass monotonic seconds.
    """

    #: Seconds: after which a violation is forgotten, of the first pause, and of the longest pause.
    _MEMORY = 60.0
    _FIRST_PAUSE = 0.1
    _LONGEST_PAUSE = 2.0

    def __init__(self) -> None:
        #: When each server last violated it, and the pause that followed.
        self._broken: dict[str, tuple[float, float]] = {}

    def broken(self, server: str, now: float, session_timeout: float | None = None) -> bool:
        """Notes a violation; returns whether it is the first. The pause that follows is shorter than the session."""
        at, pause = self._broken.get(server, (float("-inf"), 0.0))
        is_first = now - at > self._MEMORY
        longest = min(self._LONGEST_PAUSE, (session_timeout or math.inf) / 4)
        pause = 0.0 if is_first else min(longest, max(self._FIRST_PAUSE, 2 * pause))
        self._broken[server] = now, pause
        return is_first

    def remaining(self, server: str, now: float) -> float:
        """The seconds left until the next connection to a server."""
        at, pause = self._broken.get(server, (now, 0.0))
        return max(0.0, at + pause - now)
