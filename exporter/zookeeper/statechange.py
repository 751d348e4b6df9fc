"""StateChange: a change of a client's state, with the details that a log of an outage needs."""

from __future__ import annotations

from typing import NamedTuple


class StateChange(NamedTuple):
    """A client entered a state of `CLIENT_STATES`.

    ``server`` is the one that it is connected to, was connected to, or tried last. ``reason`` says why: for a suspended
    connection in kazoo's words, for a lost session by one of `LOST_REASONS`, or ``closed`` if its client ended it. The
    rest is in seconds, None if unknown: the session's age, how long the connection lasted that just ended, and how long
    the client was disconnected.
    """

    state: str
    server: str | None
    session_id: str
    reason: str = ""
    session_age: float | None = None
    connected_for: float | None = None
    disconnected_for: float | None = None


def session_in_hex(session_id: int | None) -> str:
    """A session's id as ZooKeeper logs it, 0x and its 64 bits in hexadecimal digits; "" for none."""
    return f"{session_id % (1 << 64):#x}" if session_id else ""
