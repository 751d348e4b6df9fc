"""Lifecycle: the one state that a cache is in, derived from what its parts say; nothing stores it.

closed        `close` was called, or the cache is a fork's copy: its threads run in the parent.
failed        its engine or its delivery ended by an error and is about to be started again, its start failed, or
              the server cannot serve it in the mode that it was told to use. What it holds is not kept up to date.
disconnected  it is not started, or the client has no connection. What it holds is of the time before.
loading       connected, and the session's first load is not complete; also after a failure.
catching_up   complete once, and everything is being read again: after a reconnect, or since an audit found a
              difference. What it holds may lack changes.
in_sync       complete, and watched. What watch events mark is read at once; such refreshes are normal and no state
              of their own. How far behind a silent server may leave it is what `verified_at` says.
"""

from __future__ import annotations

from exporter.treecache.replica import Replica
from exporter.treecache.worker import Failure


def state_of(
    *, is_closed: bool, failure: Failure | None, is_connected: bool, is_held_off: bool, replica: Replica
) -> str:
    """One of `CACHE_STATES`: the first of those above that applies.

    Args:
        is_closed: whether the cache is closed, or lives in another process.
        failure: why its threads cannot go on, if they cannot.
        is_connected: whether it is started and its client connected.
        is_held_off: whether the replica is not told of the connection until the root is created.
        replica: says how far it is.
    """
    if is_closed:
        return "closed"
    if failure is not None:
        return "failed"
    if not is_connected:
        return "disconnected"
    if is_held_off:
        return "loading"
    if replica.is_refused:
        return "failed"
    if not replica.is_attached:
        return "disconnected"
    if not replica.initialized:
        return "loading"
    return "in_sync" if replica.is_in_sync else "catching_up"
