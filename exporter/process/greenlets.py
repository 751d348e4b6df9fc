"""Greenlets: who runs, and what kills them, for code that runs in threads as well as under gevent and eventlet.

Nothing is imported for that: where no greenlet library is loaded there are none.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

#: A thread's identity and, where greenlets are in use, the greenlet.
Identity = tuple[int, Any]


def is_kill(error: BaseException) -> bool:
    """Whether an exception is how gevent and eventlet end a greenlet; who kills one may wait for its end."""
    exit_type = getattr(sys.modules.get("greenlet"), "GreenletExit", None)
    return exit_type is not None and isinstance(error, exit_type)


def identity() -> Identity:
    """Of the caller. Without monkey patching greenlets share their thread's identity, so that alone is not enough."""
    current = getattr(sys.modules.get("greenlet"), "getcurrent", None)
    return threading.get_ident(), None if current is None else current()


def is_same(one: Identity, other: Identity) -> bool:
    """Whether two identities are of the same thread or greenlet; either may be older than the use of greenlets."""
    return one[0] == other[0] and (one[1] is None or other[1] is None or one[1] is other[1])


def has_ended(thread: Any) -> bool:
    """Whether what a kazoo handler spawned has come to its end, or was killed before it began."""
    is_alive = getattr(thread, "is_alive", None)
    return not is_alive() if is_alive is not None else bool(getattr(thread, "dead", False))
