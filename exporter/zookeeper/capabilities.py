"""Capabilities: which servers know recursive watches and bulk reads, and how long a request each of them takes.

An answer is good for the connection on which, or for which, it was found out, and for a while after it: a server that
was upgraded is met again at the same address. How often a server is asked is bounded, with back-off while it refuses.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from exporter.zookeeper.wire import MARSHALLING_ERROR, UNIMPLEMENTED, AddWatch, MultiRead, Request

#: Seconds for which a server is believed, on new connections, to know still what it has known.
_BELIEVED = 3600.0
#: Seconds from a refusal to the next inquiry: doubled with each, up to the longest.
_FIRST_DELAY = 1.0
_LONGEST_DELAY = 600.0
#: Connections in a row that end in place of an answer.
_HANG_UPS = 3
#: Seconds within which a server hangs up on what it does not take. Whatever takes longer is another trouble.
_AT_ONCE = 1.0

#: Bytes of a request that every server takes which was not made stricter than any that is known: ``jute.maxbuffer`` is
#: 1 MiB by default, and 64 KiB the smallest that was met. More brings no speed.
REQUEST_BYTES = 48 * 1024
#: A request that a server hangs up on is no longer suspected of its length below this many bytes.
_SHORT = 1024
#: Hang-ups in a row on a request for one path, which cannot be made shorter, before such a request is no longer sent.
_TOO_LONG_AFTER = 3

_Kind = type[AddWatch] | type[MultiRead]


@dataclass
class _Server:
    """What is known of one server. Times are monotonic seconds."""

    recursive: bool | None = None
    found_at: float = 0.0
    #: Refusals and failed inquiries since the client's own connection last brought the answer to a bulk read.
    refusals: int = 0
    ask_at: float = 0.0
    hang_ups: Counter[_Kind] = field(default_factory=Counter)
    request_bytes: int = REQUEST_BYTES
    #: The longest bulk request that was answered.
    taken_bytes: int = 0
    #: Hang-ups in a row on requests for one path; the length that is no longer sent, and since when.
    too_long: int = 0
    refused_bytes: int | None = None
    refused_at: float = 0.0


class Capabilities:
    """What is known of each server, by its address."""

    def __init__(self) -> None:
        self._servers: dict[str, _Server] = {}
        #: Whether the answer was found out since the connection stands.
        self._is_settled = False
        #: The requests under way that a server may hang up on, and when each was sent.
        self._unanswered: dict[AddWatch | MultiRead, float] = {}

    def recursive(self, server: str, now: float) -> bool | None:
        """Whether a server knows recursive watches and bulk reads; None if it is to be asked."""
        known = self._of(server)
        if known.recursive and (self._is_settled or now - known.found_at < _BELIEVED):
            return True
        if self._is_settled or now < known.ask_at:
            return bool(known.recursive)
        return None

    def ask_in(self, server: str, now: float) -> float | None:
        """The seconds after which the server is to be asked again on this connection; None for not at all."""
        known = self._of(server)
        return None if known.recursive or self._is_settled else max(0.0, known.ask_at - now)

    def request_bytes(self, server: str) -> int:
        """How long a bulk request may be."""
        return self._of(server).request_bytes

    def refuses(self, request: MultiRead, server: str, now: float) -> bool:
        """Whether a server is known to hang up on a request that cannot be made shorter."""
        known = self._of(server)
        if known.refused_bytes is None or not request.is_of_one_path or now - known.refused_at >= _BELIEVED:
            return False
        return len(request.serialize()) >= known.refused_bytes

    def found(self, server: str, recursive: bool | None, now: float) -> None:
        """Notes what an inquiry brought: None for nothing. What was known before stands then."""
        known = self._of(server)
        if recursive is not None:
            known.recursive, known.found_at = recursive, now
            self._is_settled = True
        if not recursive:
            known.ask_at = now + min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(known.refusals, 30))
            known.refusals += 1

    def asked(self, request: Request, now: float) -> None:
        """Notes that a request is sent on the current connection, at a monotonic time."""
        if isinstance(request, AddWatch | MultiRead):
            self._unanswered[request] = now

    def answered(self, request: Request, error: int, server: str, now: float) -> None:
        """Notes what a request was answered with."""
        if not isinstance(request, AddWatch | MultiRead):
            return
        self._unanswered.pop(request, None)
        known = self._of(server)
        if error in (UNIMPLEMENTED, MARSHALLING_ERROR):
            self.found(server, False, now)
            return
        known.hang_ups.pop(type(request), None)
        if isinstance(request, MultiRead):
            # Only now: between the client and the server may stand what an inquiry does not meet.
            known.refusals = 0
            known.taken_bytes = max(known.taken_bytes, request.size)
            if request.size > _SHORT:
                known.too_long = 0

    def disconnected(self, server: str, now: float) -> int | None:
        """Notes that the connection is gone; gives the new length of requests if that is what it went for."""
        suspects = [request for request, asked_at in self._unanswered.items() if now - asked_at < _AT_ONCE]
        self._unanswered.clear()
        self._is_settled = False
        known = self._of(server)
        bulk = [request for request in suspects if isinstance(request, MultiRead)]
        longest = max((request.size for request in bulk), default=0)
        if longest > max(known.taken_bytes, _SHORT):
            # A server hangs up on requests of more than jute.maxbuffer. That comes before any doubt of what it knows.
            if any(request.is_of_one_path and request.size == longest for request in bulk):
                known.too_long += 1
                if known.too_long >= _TOO_LONG_AFTER:
                    known.too_long, known.refused_bytes, known.refused_at = 0, longest, now
                return None
            known.request_bytes = max(_SHORT, known.taken_bytes, min(known.request_bytes, longest) // 2)
            return known.request_bytes
        known.hang_ups.update({type(request) for request in suspects})
        if any(count >= _HANG_UPS for count in known.hang_ups.values()):
            known.hang_ups.clear()
            self.found(server, False, now)
            self._is_settled = False
        return None

    def given_up(self) -> None:
        """Notes that the connection is about to be dropped on this side: that says nothing of what the server takes."""
        self._unanswered.clear()

    def answered_at_length(self, request: MultiRead, server: str) -> int:
        """Notes that an answer is longer than may be read; gives the new length of requests, which ask for less."""
        known = self._of(server)
        known.request_bytes = max(1, min(known.request_bytes, request.size) // 2)
        return known.request_bytes

    def _of(self, server: str) -> _Server:
        return self._servers.setdefault(server, _Server())
