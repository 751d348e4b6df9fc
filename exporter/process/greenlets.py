"""Greenlets: their identity and how they are killed, for code that runs in threads and under gevent and eventlet.

It imports no greenlet library: if none is loaded, there are no greenlets.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

#: A thread's identity and, where greenlets are in use, the greenlet.
Identity = tuple[int, Any]


def is_kill(error: BaseException) -> bool:
    """Whether gevent or eventlet raised this exception to kill a greenlet; the killer may wait for its end."""
    exit_type = getattr(sys.modules.get("greenlet"), "GreenletExit", None)
    return exit_type is not None and isinstance(error, exit_type)


def identity() -> Identity:
    """The caller's identity. Without monkey patching greenlets share a thread's identity, so that is not enough."""
    current = getattr(sys.modules.get("greenlet"), "getcurrent", None)
    return threading.get_ident(), None if current is None else current()


def is_same(one: Identity, other: Identity) -> bool:
    """Whether two identities are of the same thread or greenlet; either may predate greenlets."""
    return one[0] == other[0] and (one[1] is None or other[1] is None or one[1] is other[1])


def has_ended(thread: Any) -> bool:
    """Whether a thread or greenlet that a kazoo handler spawned has ended, or was killed before it began."""
    is_alive = getattr(thread, "is_alive", None)
    return not is_alive() if is_alive is not None else bool(getattr(thread, "dead", False))
