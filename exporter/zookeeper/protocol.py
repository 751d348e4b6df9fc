"""ProtocolError: what a server sends that cannot be ZooKeeper's protocol. It ends the connection, not the session."""

from __future__ import annotations

import math
import struct

from kazoo.exceptions import AuthFailedError, ConnectionDropped, KazooException, SASLException, SessionExpiredError

#: What can be wrong with what a server sends.
PROTOCOL_ERRORS = ("frame_too_large", "bad_frame", "bad_event", "bad_reply", "unexpected_reply")

#: Bytes that one message may have while a connection is being made: ZooKeeper's own default of what a message may
#: have (``jute.maxbuffer``). What opens a session has 41, and a token of SASL some thousands.
MAX_HANDSHAKE = 1024 * 1024


class ProtocolError(ConnectionDropped):  # type: ignore[misc]
    """A message that is not ZooKeeper's: kazoo drops the connection and connects again. ``reason`` is one of
    `PROTOCOL_ERRORS`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def protocol_error_in(error: Exception) -> ProtocolError | None:
    """The breach that made kazoo fail a handshake in which the server has spoken; None where it failed otherwise."""
    for each in (error, error.__cause__):
        # kazoo takes a dropped connection in the middle of SASL for refused credentials.
        if isinstance(each, ProtocolError):
            return each
    if isinstance(error, ConnectionDropped | SessionExpiredError | AuthFailedError | SASLException):
        return None
    if isinstance(error, KazooException | struct.error | RuntimeError | ValueError | TypeError | LookupError):
        return ProtocolError("bad_reply", f"a handshake that cannot be decoded: {error!r}")
    return None


class Mistrust:
    """How long to stay away from servers that break the protocol: longer each time, and not for a first time.

    kazoo's own back-off begins anew with each connection that was made. Times are monotonic seconds, given by the
    caller.
    """

    #: Seconds after which a server's past is forgotten; of the first pause; and of the longest.
    _MEMORY = 60.0
    _FIRST_PAUSE = 0.1
    _LONGEST_PAUSE = 2.0

    def __init__(self) -> None:
        #: When each server broke it last, and the pause that followed.
        self._broken: dict[str, tuple[float, float]] = {}

    def broken(self, server: str, now: float, session_timeout: float | None = None) -> bool:
        """A server broke the protocol; gives whether for the first time. A session outlives the pause that follows."""
        at, pause = self._broken.get(server, (float("-inf"), 0.0))
        is_first = now - at > self._MEMORY
        longest = min(self._LONGEST_PAUSE, (session_timeout or math.inf) / 4)
        pause = 0.0 if is_first else min(longest, max(self._FIRST_PAUSE, 2 * pause))
        self._broken[server] = now, pause
        return is_first

    def remaining(self, server: str, now: float) -> float:
        """The seconds that are left of the pause before the next connection to a server."""
        at, pause = self._broken.get(server, (now, 0.0))
        return max(0.0, at + pause - now)
