"""LostHistory: finds out whether an ensemble has lost transactions that a client has seen, for example by a wipe.

Servers hang up on a client that has seen a newer zxid than their own (ZooKeeperServer.processConnectRequest), and on
every client while they have no quorum. A transaction distinguishes the two: if the ensemble commits one with a lower
zxid than the client has seen, it has lost transactions. Elapsed time alone is no evidence.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from kazoo.client import KazooClient
from kazoo.retry import KazooRetry

#: Seconds for opening a session, and for committing a transaction.
ANSWER_WITHIN = 5.0

#: Discards kazoo's messages: the main client already logs that it cannot connect.
_SILENT = logging.Logger("losthistory", logging.CRITICAL)


class LostHistory:
    """Decides when the daemon gives up its session; passed to `Session.allow_giving_up`.

    When nothing was heard for `patience` seconds and a server hangs up, it calls `newest_zxid` in its own thread,
    at most once in `patience` seconds. That returns the zxid of a transaction that the ensemble commits now; an error
    is no evidence. The call may end early once the event that it gets is set.
    """

    def __init__(
        self,
        newest_zxid: Callable[[threading.Event], int],
        patience: float,
        logger: structlog.stdlib.BoundLogger | None = None,
    ) -> None:
        self._newest_zxid = newest_zxid
        self._patience = patience
        self._log = logger or structlog.stdlib.get_logger("exporter")
        self._closing = threading.Event()
        self._asking: threading.Thread | None = None
        self._asked_at = -patience
        #: The zxid that `newest_zxid` returned, until it is used once; None if unknown.
        self._committed: int | None = None

    def __call__(self, seen_zxid: int, silent_for: float) -> bool:
        """Whether the ensemble has provably lost transactions that the client has seen; does not block."""
        if silent_for < self._patience:
            self._committed = None
            return False
        committed, self._committed = self._committed, None
        if committed is not None and committed < seen_zxid:
            self._log.warning("ensemble lost its history", seen_zxid=f"{seen_zxid:#x}", newest_zxid=f"{committed:#x}")
            return True
        now = time.monotonic()
        if (self._asking is None or not self._asking.is_alive()) and now - self._asked_at >= self._patience:
            self._asked_at = now
            self._asking = threading.Thread(target=self._ask, name="lost-history", daemon=True)
            self._asking.start()
        return False

    def close(self) -> None:
        """Ends the thread, and waits at most `ANSWER_WITHIN` seconds for it."""
        self._closing.set()
        if self._asking is not None:
            self._asking.join(ANSWER_WITHIN)

    def _ask(self) -> None:
        # No quorum, no server, no permission: none of these is evidence.
        try:
            self._committed = self._newest_zxid(self._closing)
        except Exception as error:
            self._log.debug("no evidence of lost history", reason=f"{type(error).__name__}: {error}")


def newest_zxid(options: Mapping[str, Any], closing: threading.Event) -> int:
    """Commits a transaction that changes nothing, in a new session, and returns its zxid.

    `options` are KazooClient's. Raises TimeoutError or kazoo's error if no server opens a session or commits
    within `ANSWER_WITHIN` seconds each, or if `closing` is set.
    """
    once = KazooRetry(max_tries=0)
    client = KazooClient(**{**options, "timeout": ANSWER_WITHIN, "connection_retry": once, "logger": _SILENT})
    try:
        live = client.start_async()
        deadline = time.monotonic() + ANSWER_WITHIN
        while not live.wait(0.1):
            if closing.is_set() or time.monotonic() > deadline:
                raise TimeoutError("no server opens a session")
        # If the path is missing, it is still committed, as an error transaction.
        transaction = client.transaction()
        transaction.check("/", -1)
        transaction.commit_async().get(timeout=ANSWER_WITHIN)
        return int(client.last_zxid)
    finally:
        with contextlib.suppress(Exception):
            client.stop()
        client.close()
