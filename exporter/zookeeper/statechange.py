"""StateChange: a change of a client's state, with what a log of an outage has to say of it."""

from __future__ import annotations

from typing import NamedTuple


class StateChange(NamedTuple):
    """A client entered a state of `CLIENT_STATES`.

    ``server`` is the one it is connected to, or else was or tried to be last. ``reason`` says why a connection was
    suspended in the words of kazoo, and why a session was lost by one of `LOST_REASONS`, or ``closed`` where its client
    ended it. The rest is in seconds, and None where it is not known: the session's age, how long the connection lasted
    that now ended, and how long there has been none.
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
