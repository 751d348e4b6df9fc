"""Traffic: bytes sent and received, when the server was last heard, and how long requests wait for their replies."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping

from exporter.zookeeper.client import Client
from exporter.zookeeper.moments import Moment, SteadyTime
from exporter.zookeeper.protocol import PROTOCOL_ERRORS
from exporter.zookeeper.stats import (
    ENTERED_STATES,
    FAILURE_REASONS,
    INQUIRY_RESULTS,
    LOST_REASONS,
    WATCH_EVENTS,
)


class Traffic:
    """The counts and times of one client, all its connections together, for `ClientStats`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.sent_bytes = 0
        self.received_bytes = 0
        #: When the server was last heard, by the monotonic clock and by both.
        self.last_heard: float | None = None
        self._heard_at: tuple[float, float] | None = None
        self._heard_unix = SteadyTime()
        #: The newest zxid of the session in a ping's answer; kazoo ignores those.
        self.pinged_zxid = 0
        self._asked_at: deque[float] = deque()
        #: Never held over a wait.
        self._asking = threading.Lock()
        self.connection_attempts = 0
        self.connection_failures = dict.fromkeys(FAILURE_REASONS, 0)
        #: The same since the last connection, without zeros.
        self.failed_attempts: Mapping[str, int] = {}
        self.transitions = dict.fromkeys(ENTERED_STATES, 0)
        self.sessions_lost = dict.fromkeys(LOST_REASONS, 0)
        self.watch_events = dict.fromkeys(WATCH_EVENTS, 0)
        self.protocol_errors = dict.fromkeys(PROTOCOL_ERRORS, 0)
        self.inquiries = dict.fromkeys(INQUIRY_RESULTS, 0)

    def after_fork(self) -> None:
        """In a fork's child: renews the lock."""
        self._asking = threading.Lock()

    def heard(self, size: int) -> None:
        """Counts bytes that came from the server."""
        self.received_bytes += size
        # A `Moment`, but for the check that nothing came between the two readings: `SteadyTime` notices a millisecond.
        self.last_heard = now = time.monotonic()
        self._heard_at = (now, time.time())

    def failed(self, reason: str) -> None:
        """Counts a failed attempt to connect, by one of `FAILURE_REASONS`."""
        self.connection_failures[reason] += 1
        self.failed_attempts = {**self.failed_attempts, reason: self.failed_attempts.get(reason, 0) + 1}

    @property
    def last_heard_at(self) -> float:
        """When the server was last heard, in Unix seconds; 0.0 if never."""
        return self._heard_unix.of(None if self._heard_at is None else Moment(*self._heard_at))

    @property
    def last_zxid(self) -> int:
        """The newest zxid in the session's replies."""
        return max(self._client.last_zxid, self.pinged_zxid)

    def asked(self) -> None:
        """Notes the time of a request. Requests are answered in order, so the youngest ones are outstanding."""
        with self._asking:
            outstanding = self.outstanding()
            while len(self._asked_at) > outstanding:
                self._asked_at.popleft()
            self._asked_at.append(time.monotonic())

    def outstanding(self) -> int:
        """The number of requests not yet answered, queued ones included."""
        return len(self._client.queue) + len(self._client.pending)

    def oldest_request_age(self) -> float:
        """How many seconds the oldest of them has waited; 0.0 without outstanding requests."""
        outstanding = self.outstanding()
        times = list(self._asked_at)[-outstanding:] if outstanding else []
        return max(0.0, time.monotonic() - times[0]) if times else 0.0
