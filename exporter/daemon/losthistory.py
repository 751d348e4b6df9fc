"""LostHistory: finds out whether an ensemble has lost transactions that a client has seen, as one does that was wiped.

Servers hang up for ever on a client that has seen more than they have (ZooKeeperServer.processConnectRequest), and on
every client while they have no quorum. What tells the two apart is a transaction: an ensemble that commits one with a
lower zxid than one that the client has seen has lost that. Time alone proves nothing.
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

#: Seconds that opening a session and committing a transaction may take, each.
ANSWER_WITHIN = 5.0

#: For kazoo: that no server lets a session be opened is no news, the client that is hung up on says so.
_SILENT = logging.Logger("losthistory", logging.CRITICAL)


class LostHistory:
    """The policy of a daemon for its own session, as `Session.allow_giving_up` takes it.

    Once nothing was heard for `patience` seconds and a server hangs up, it asks `newest_zxid` in a thread of its own,
    at most once in `patience` seconds. That gives the zxid of a transaction that the ensemble commits now, and raises
    what keeps it from that, which is no evidence; it may end early once the event is set that it is given.
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
        #: What the ensemble committed last, as far as it is known; made void by each answer to the policy's question.
        self._committed: int | None = None

    def __call__(self, seen_zxid: int, silent_for: float) -> bool:
        """Whether the ensemble is known to have lost what the client has seen; does not block."""
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
        """Ends the thread, and waits for it for `ANSWER_WITHIN` seconds at most."""
        self._closing.set()
        if self._asking is not None:
            self._asking.join(ANSWER_WITHIN)

    def _ask(self) -> None:
        # No quorum, no server, no permission: all of it means that nothing is known.
        try:
            self._committed = self._newest_zxid(self._closing)
        except Exception as error:
            self._log.debug("no evidence of lost history", reason=f"{type(error).__name__}: {error}")


def newest_zxid(options: Mapping[str, Any], closing: threading.Event) -> int:
    """The zxid of a transaction that changes nothing, committed by an ensemble for a session that is opened for it.

    `options` are those of KazooClient. Raises TimeoutError or what kazoo does if no server opens a session or commits,
    within `ANSWER_WITHIN` seconds each, or when `closing` is set.
    """
    once = KazooRetry(max_tries=0)
    client = KazooClient(**{**options, "timeout": ANSWER_WITHIN, "connection_retry": once, "logger": _SILENT})
    try:
        live = client.start_async()
        deadline = time.monotonic() + ANSWER_WITHIN
        while not live.wait(0.1):
            if closing.is_set() or time.monotonic() > deadline:
                raise TimeoutError("no server opens a session")
        # It is committed, as an error transaction, also where the path is missing.
        transaction = client.transaction()
        transaction.check("/", -1)
        transaction.commit_async().get(timeout=ANSWER_WITHIN)
        return int(client.last_zxid)
    finally:
        with contextlib.suppress(Exception):
            client.stop()
        client.close()
