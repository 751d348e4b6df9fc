"""Capabilities: which servers know recursive watches and bulk reads, learnt from how they take them."""

from __future__ import annotations

from collections import Counter

from exporter.zookeeper.wire import MARSHALLING_ERROR, UNIMPLEMENTED, AddWatch, MultiRead, Request

#: Connections in a row that end in place of an answer: a proxy that hangs up on what it does not know.
_HANG_UPS = 3
#: Seconds within which it does so. Whatever takes longer is another trouble.
_AT_ONCE = 1.0

_Kind = type[AddWatch] | type[MultiRead]


class Capabilities:
    """What is known of each server. Once one has refused, that is never asked of it again: it hangs up on who asks."""

    def __init__(self) -> None:
        self._without: set[str] = set()
        self._unanswered: dict[_Kind, float] = {}
        self._answered: set[_Kind] = set()
        self._hang_ups: Counter[tuple[str, _Kind]] = Counter()

    def recursive(self, server: str) -> bool:
        """Whether a server may know recursive watches and bulk reads."""
        return server not in self._without

    def asked(self, request: Request, now: float) -> None:
        """Notes that a request was sent on the current connection, at a monotonic time."""
        if isinstance(request, AddWatch | MultiRead) and type(request) not in self._answered:
            self._unanswered.setdefault(type(request), now)

    def answered(self, request: Request, error: int, server: str) -> None:
        """Notes what a request was answered with."""
        if not isinstance(request, AddWatch | MultiRead) or type(request) in self._answered:
            return
        if error in (UNIMPLEMENTED, MARSHALLING_ERROR):
            self._without.add(server)
            return
        self._answered.add(type(request))
        self._unanswered.pop(type(request), None)
        self._hang_ups.pop((server, type(request)), None)

    def disconnected(self, server: str, now: float) -> None:
        """Notes that the connection is gone."""
        for kind, asked_at in self._unanswered.items():
            if now - asked_at < _AT_ONCE:
                self._hang_ups[server, kind] += 1
                if self._hang_ups[server, kind] == _HANG_UPS:
                    self._without.add(server)
        self._unanswered.clear()
        self._answered.clear()
