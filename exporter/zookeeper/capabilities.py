"""Capabilities: which servers support recursive watches and bulk reads, and how long a request each of them accepts.

A finding holds for its connection, and for a limited time after it, since an upgraded server has the same address. The
number of inquiries is bounded, with back-off while a server refuses.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from exporter.zookeeper.wire import (
    MARSHALLING_ERROR,
    NO_AUTH,
    UNIMPLEMENTED,
    AddWatch,
    MultiRead,
    ReadRequest,
    Request,
)

#: Error codes that ZooKeeper lacks, for requests for one path (which cannot be made shorter) that are not sent: the
#: server hangs up on such a request, or its reply exceeds the limit.
TOO_LONG, TOO_MUCH = -10_000, -10_001
#: The errors for a znode that exists but cannot be read.
UNREADABLE_CODES = (NO_AUTH, TOO_LONG, TOO_MUCH)

#: Seconds for which new connections to a server rely on an earlier finding.
_BELIEVED = 3600.0
#: Seconds from a refusal to the next inquiry: doubled with each, up to the longest.
_FIRST_DELAY = 1.0
_LONGEST_DELAY = 600.0
#: Connections in a row that the server ends instead of answering.
_HANG_UPS = 3
#: Seconds within which a server hangs up on a request that it does not accept. Later, the cause is another.
_AT_ONCE = 1.0

#: The bytes of a bulk request, which all known servers accept: ``jute.maxbuffer`` is 1 MiB by default, and the smallest
#: that was seen is 64 KiB. Longer requests are not faster.
REQUEST_BYTES = 48 * 1024
#: Below this many bytes, a hang-up is not blamed on the length of the request.
_SHORT = 1024
#: Hang-ups in a row on a request for one path, which cannot be made shorter, until such requests are no longer sent;
#: and until a server that accepted this length on an earlier connection is assumed to have a lower limit now.
_TOO_LONG_AFTER = 3
#: Seconds for which a single hang-up is enough after a length was found to be too long: more of them follow.
_SEARCHING = 60.0
#: Seconds for which a znode with a reply that is too long is not read, the first time; they double up to `_BELIEVED`.
_FIRST_REST = 60.0

_Kind = type[AddWatch] | type[MultiRead]


@dataclass
class _Server:
    """The findings about one server. Times are monotonic seconds."""

    recursive: bool | None = None
    found_at: float = 0.0
    #: Refusals and failed inquiries since the client's own connection last answered a bulk read.
    refusals: int = 0
    ask_at: float = 0.0
    hang_ups: Counter[_Kind] = field(default_factory=Counter)
    request_bytes: int = REQUEST_BYTES
    #: The longest request that was answered.
    taken_bytes: int = 0
    #: Hang-ups on requests that may be too long, since the last answer to one as long; the shortest such request.
    too_long: int = 0
    suspected_bytes: int = 0
    #: The length of requests for one path that is no longer sent, and since when.
    refused_bytes: int | None = None
    refused_at: float = 0.0
    #: The paths whose replies are too long: for how long they are not read, and until when.
    resting: dict[str, tuple[float, float]] = field(default_factory=dict)


class Capabilities:
    """The findings about each server, by its address."""

    def __init__(self) -> None:
        self._servers: dict[str, _Server] = {}
        #: Whether the finding was made for this connection.
        self._is_settled = False
        #: The longest request that was answered on this connection.
        self._taken_bytes = 0
        #: The requests under way, and when each was sent; the server may hang up on any of them.
        self._unanswered: dict[Request, float] = {}

    def recursive(self, server: str, now: float) -> bool | None:
        """Whether a server supports recursive watches and bulk reads; None if it must be asked."""
        known = self._of(server)
        if known.recursive and (self._is_settled or now - known.found_at < _BELIEVED):
            return True
        if self._is_settled or now < known.ask_at:
            return bool(known.recursive)
        return None

    def ask_in(self, server: str, now: float) -> float | None:
        """The seconds until the server must be asked again on this connection; None for never."""
        known = self._of(server)
        return None if known.recursive or self._is_settled else max(0.0, known.ask_at - now)

    def request_bytes(self, server: str) -> int:
        """The maximum number of bytes of a bulk request."""
        return self._of(server).request_bytes

    def refuses(self, request: Request, server: str, now: float) -> int | None:
        """Why not to send a request that cannot be made shorter: TOO_LONG or TOO_MUCH; None to send it.

        It would end the connection again.
        """
        known = self._of(server)
        if (known.refused_bytes is None and not known.resting) or not request.is_of_one_path:
            return None
        is_limited = known.refused_bytes is not None and now - known.refused_at < _BELIEVED
        if is_limited and len(request.serialize()) >= (known.refused_bytes or 0):
            return TOO_LONG
        if isinstance(request, ReadRequest) and request.brings_content:
            _, until = known.resting.get(request.first_path, (0.0, 0.0))
            return TOO_MUCH if now < until else None
        return None

    def found(self, server: str, recursive: bool | None, now: float) -> None:
        """Notes the result of an inquiry; with None, for no result, the earlier finding stays."""
        known = self._of(server)
        if recursive is not None:
            known.recursive, known.found_at = recursive, now
            self._is_settled = True
        if not recursive:
            known.ask_at = now + min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(known.refusals, 30))
            known.refusals += 1

    def asked(self, request: Request, now: float) -> None:
        """Notes that a request was sent on the current connection, at a monotonic time."""
        self._unanswered[request] = now

    def answered(self, request: Request, error: int, server: str, now: float) -> None:
        """Notes the answer to a request."""
        self._unanswered.pop(request, None)
        known, size = self._of(server), request.size
        if isinstance(request, AddWatch | MultiRead):
            if error in (UNIMPLEMENTED, MARSHALLING_ERROR):
                self.found(server, False, now)
                return
            known.hang_ups.pop(type(request), None)
            if isinstance(request, MultiRead):
                # Only now: a proxy between client and server may treat an inquiry differently.
                known.refusals = 0
        if size > self._taken_bytes:
            self._taken_bytes = size
            known.taken_bytes = max(known.taken_bytes, size)
        if known.too_long and size >= known.suspected_bytes:
            known.too_long = 0

    def disconnected(self, server: str, now: float) -> int | None:
        """Notes the loss of the connection; returns the new limit of requests if a long request caused it."""
        suspects = [request for request, asked_at in self._unanswered.items() if now - asked_at < _AT_ONCE]
        taken_bytes, self._taken_bytes = self._taken_bytes, 0
        self._unanswered.clear()
        self._is_settled = False
        known = self._of(server)
        # Of two requests of the same length, the one that cannot be made shorter.
        longest = max(suspects, key=lambda request: (request.size, request.is_of_one_path), default=None)
        if longest is not None and longest.size > max(taken_bytes, _SHORT):
            # A server hangs up on requests longer than jute.maxbuffer. Suspect that before its capabilities.
            return self._hung_up(known, longest, taken_bytes, now)
        known.hang_ups.update({type(request) for request in suspects if isinstance(request, AddWatch | MultiRead)})
        if any(count >= _HANG_UPS for count in known.hang_ups.values()):
            known.hang_ups.clear()
            self.found(server, False, now)
            self._is_settled = False
        return None

    def _hung_up(self, known: _Server, request: Request, taken_bytes: int, now: float) -> int | None:
        """Notes that a server hung up on a request of a length that it has not accepted on that connection."""
        size, has_taken_it = request.size, request.size <= known.taken_bytes
        known.suspected_bytes = min(size, known.suspected_bytes) if known.too_long else size
        known.too_long += 1
        if request.is_of_one_path:
            is_enough = known.refused_bytes is not None and (
                size >= known.refused_bytes or now - known.refused_at < _SEARCHING
            )
        else:
            is_enough = not has_taken_it
        if not is_enough and known.too_long < _TOO_LONG_AFTER:
            return None
        known.too_long = 0
        if has_taken_it:
            known.taken_bytes = taken_bytes
        if request.is_of_one_path:
            known.refused_bytes, known.refused_at = size, now
            return None
        known.request_bytes = max(_SHORT, known.taken_bytes, min(known.request_bytes, size) // 2)
        return known.request_bytes

    def given_up(self) -> None:
        """Notes that this side drops the connection, which says nothing about what the server accepts."""
        self._unanswered.clear()

    def answered_at_length(self, request: ReadRequest, server: str, now: float) -> int | None:
        """Notes that a reply exceeds the limit; returns a new, lower limit of requests.

        Returns None if the request was for one znode: that znode is not read for some time, longer each time.
        """
        known = self._of(server)
        if request.is_of_one_path:
            rest, _ = known.resting.get(request.first_path, (_FIRST_REST / 2, 0.0))
            rest = min(2 * rest, _BELIEVED)
            known.resting[request.first_path] = rest, now + rest
            return None
        known.request_bytes = max(1, min(known.request_bytes, request.size) // 2)
        return known.request_bytes

    def _of(self, server: str) -> _Server:
        known = self._servers.get(server)
        return self._servers.setdefault(server, _Server()) if known is None else known
