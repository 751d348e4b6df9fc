"""Lifecycle: the state of a cache, derived from the states of its parts; it is not stored.

closed        `close` was called, or the cache is a fork's copy: its threads run in the parent.
failed        its engine or its delivery ended by an error and will be restarted, its start failed, or the server does
              not support the configured mode. The cache is not kept up to date.
disconnected  not started, or the client has no connection. The cache holds the znodes from before.
loading       connected, but the session's first sync is not complete; also after a failure.
catching_up   the tree was complete before and is being read again: after a reconnect, or because an audit found a
              difference. The cache may lack changes.
in_sync       complete and watched. Refreshes, which read what watch events mark, are normal and not a separate state.
              `verified_at` bounds how far a silent server may leave the cache behind.
"""

from __future__ import annotations

from exporter.treecache.replica import Replica
from exporter.treecache.worker import Failure


def state_of(
    *, is_closed: bool, failure: Failure | None, is_connected: bool, is_held_off: bool, replica: Replica
) -> str:
    """One of `CACHE_STATES`: the first of the above that applies.

    Args:
        is_closed: whether the cache is closed, or lives in another process.
        failure: the reason why its threads cannot continue, if any.
        is_connected: whether it is started and its client connected.
        is_held_off: whether the connection waits for the root's creation.
        replica: gives its progress.
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
