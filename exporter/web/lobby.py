"""Lobby: tracks every connection and its kind, and ends one when there are too many.

A new connection may be a scrape or a probe, which shows only when its request is read. So it is accepted, and another
connection ends:

| connections that end, in this order | which of them first |
|---|---|
| strangers, which never sent a request, above a quarter of all places | that has waited longest |
| idle ones, between two requests | that has waited longest |
| slow ones, whose client does not read the answer | that has not read for longest |
| open event streams | the oldest |
| requests for pages | the oldest |
| strangers | that has waited longest |
| if all are scrapes and probes, which take a moment | the new connection |

In each row, connections from the address with the most of them end first, so that one host does not push out others.
Behind a proxy all have one address, and only the order decides. Event streams and pages may each take a quarter of all
places. Above that, a request is refused, unless its address has at least two fewer than the address with the most,
whose oldest then ends. While all places are taken, every connection ends with its answer, so that no client keeps a
place by sending one request after another.
"""

from __future__ import annotations

import asyncio
import enum
import ipaddress
import resource
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable

#: The maximum number of connections; fewer if the process may open few files.
LIMIT = 512
#: The maximum number of unread bytes, of all clients together.
UNREAD_LIMIT = 32 * 1024 * 1024


class Kind(enum.Enum):
    """The purpose of a connection."""

    STRANGER = "stranger"
    IDLE = "idle"
    SLOW = "slow"
    STREAM = "stream"
    PAGE = "page"
    #: A scrape, a probe or a reload.
    ESSENTIAL = "essential"


_LEAVING = (Kind.IDLE, Kind.SLOW, Kind.STREAM, Kind.PAGE, Kind.STRANGER)
_BOUNDED = (Kind.STREAM, Kind.PAGE)


class Lobby:
    """All connections. `limit` is the number of places, by default `LIMIT` or half of the file limit."""

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit or min(LIMIT, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        self.share = max(1, self.limit // 4)
        # Of each kind, in order of time, with the clients' addresses.
        self._present: dict[Kind, OrderedDict[asyncio.Transport, str]] = {kind: OrderedDict() for kind in Kind}
        self._kinds: dict[asyncio.Transport, Kind] = {}
        # The kinds of slow connections, and how many bytes each has not read.
        self._slow: dict[asyncio.Transport, tuple[Kind, Callable[[], int]]] = {}

    def __len__(self) -> int:
        return len(self._kinds)

    @property
    def is_full(self) -> bool:
        """Whether a new connection would need another one to end."""
        return len(self) >= self.limit

    def enter(self, transport: asyncio.Transport) -> None:
        """A connection begins; if that is one too many, another one ends."""
        if self.is_full and not self.make_room():
            transport.abort()
            return
        self._kinds[transport] = Kind.STRANGER
        self._present[Kind.STRANGER][transport] = _address(transport)

    def make_room(self) -> bool:
        """Ends the first connection in the order above; False if there is none."""
        beyond = [Kind.STRANGER] if len(self._present[Kind.STRANGER]) > self.share else []
        for kind in (*beyond, *_LEAVING):
            if self._present[kind]:
                self._end(_first_of_most(self._present[kind]))
                return True
        return False

    def busy(self, transport: asyncio.Transport, kind: Kind) -> bool:
        """A request of this kind is complete; False if there is no place for it."""
        if transport not in self._kinds:
            return True
        if kind in _BOUNDED and self._is_taken(kind, transport):
            self._move(transport, Kind.IDLE)
            return False
        self._move(transport, kind)
        return True

    def idle(self, transport: asyncio.Transport) -> None:
        """An answer is complete."""
        self._move(transport, Kind.IDLE)

    def slow(self, transport: asyncio.Transport, unread: Callable[[], int]) -> None:
        """A client does not read; if too many bytes are unread, the connections that have not read for longest end."""
        if transport not in self._kinds:
            return
        if transport not in self._slow:
            self._slow[transport] = self._kinds[transport], unread
            self._place(transport, Kind.SLOW)
        while self._slow and sum(size() for _, size in self._slow.values()) > UNREAD_LIMIT:
            self._end(next(iter(self._slow)))

    def reads(self, transport: asyncio.Transport) -> None:
        """A client has read everything."""
        if transport in self._slow:
            kind, _ = self._slow.pop(transport)
            self._place(transport, kind)

    def leave(self, transport: asyncio.Transport) -> None:
        """A connection has ended."""
        self._slow.pop(transport, None)
        kind = self._kinds.pop(transport, None)
        if kind is not None:
            del self._present[kind][transport]

    def end_waiting(self) -> None:
        """Ends every connection that has no complete request."""
        for kind in (Kind.STRANGER, Kind.IDLE):
            _abort(self._present[kind])

    def end_all(self) -> None:
        """Ends every connection immediately."""
        _abort(self._kinds)

    def _is_taken(self, kind: Kind, transport: asyncio.Transport) -> bool:
        """Whether this kind has no place left. Ends a slow connection or one of an address with more, if that helps."""
        of_kind = self._present[kind]
        slow = [one for one, (was, _) in self._slow.items() if was is kind]
        if len(of_kind) + len(slow) < self.share:
            return False
        if slow:
            self._end(slow[0])
            return False
        mine = self._present[self._kinds[transport]][transport]
        counts = Counter(of_kind.values())
        if counts.most_common(1)[0][1] < counts[mine] + 2:
            return True
        self._end(_first_of_most(of_kind))
        return False

    def _move(self, transport: asyncio.Transport, kind: Kind) -> None:
        """Sets the kind of a connection; a slow one stays slow until it reads."""
        if transport in self._slow:
            self._slow[transport] = kind, self._slow[transport][1]
        elif transport in self._kinds:
            self._place(transport, kind)

    def _place(self, transport: asyncio.Transport, kind: Kind) -> None:
        self._present[kind][transport] = self._present[self._kinds[transport]].pop(transport)
        self._kinds[transport] = kind

    def _end(self, transport: asyncio.Transport) -> None:
        self.leave(transport)
        transport.abort()


def _first_of_most(present: OrderedDict[asyncio.Transport, str]) -> asyncio.Transport:
    """The oldest connection of the address with the most."""
    counts = Counter(present.values())
    most = max(counts.values())
    return next(transport for transport, address in present.items() if counts[address] == most)


def _abort(transports: Iterable[asyncio.Transport]) -> None:
    for transport in list(transports):
        transport.abort()


def _address(transport: asyncio.Transport) -> str:
    """The client of a connection: an IPv4 address, or an IPv6 /64 network, which usually belongs to one host."""
    name = transport.get_extra_info("peername")
    return network_of(name[0]) if isinstance(name, tuple) and name else ""


def network_of(host: str) -> str:
    """The address that counts as one client: an IPv4 address, also in IPv6 notation, or an IPv6 /64 network."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
