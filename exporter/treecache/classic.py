"""ClassicStrategy: one-shot watches and single reads, for servers and proxies that support nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from exporter.treecache.agenda import ALL_LOADS, NO_LOADS, Agenda
from exporter.treecache.reading import SINGLE_AUDITED, SINGLE_PATH_BYTES, SINGLE_WINDOW
from exporter.treecache.strategy import Sending
from exporter.zookeeper.messages import CHILD
from exporter.zookeeper.wire import Exists, GetChildren, GetData, ReadRequest, Request


class ClassicStrategy:
    """Watches each znode's data and children separately; the read that follows an event sets the watch again.

    Args:
        root: the server's path of the root.
        batch_size: the maximum number of outstanding requests, if less than 256.
    """

    mode = "classic"

    def __init__(self, root: str, batch_size: int) -> None:
        self._prefix = "" if root == "/" else root
        self._window = min(batch_size, SINGLE_WINDOW)

    def arm(self) -> None:
        """Nothing: each read sets its own watch."""

    def lists_leaf(self, path: str) -> bool:
        """True: only a list sets a watch for children."""
        return True

    def watches_from(self, path: str) -> bool:
        """False: no watch is recursive."""
        return False

    def dirty(self, kind: int, path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The path, and its children if those changed."""
        return ((path,), (path,)) if kind == CHILD else ((path,), ())

    def requests(
        self, agenda: Agenda, in_flight: int, allowance: int | None, children_of: Callable[[str], int]
    ) -> Iterator[Sending]:
        """One request for each path, within the window and the allowance."""
        room = self._window - in_flight if allowance is None else min(allowance, self._window - in_flight)
        reads, loads, _ = agenda.take_reads(max(0, room), room * SINGLE_PATH_BYTES)
        loaded = set(loads)
        for path in reads:
            yield Sending(GetData(self._prefix, path), ALL_LOADS if path in loaded else NO_LOADS)
        room -= len(reads)
        while room > 0 and agenda.first_list() is not None:
            path, load = agenda.take_list()
            room -= 1
            yield Sending(GetChildren(self._prefix, path), ALL_LOADS if load else NO_LOADS)
        for path in agenda.take_surveyed(room, room * SINGLE_PATH_BYTES):
            yield Sending(GetData(self._prefix, path), ALL_LOADS)

    def refresh(self, path: str) -> None:
        """Returns None: each read sets a watch anew."""

    def audit_room(self, in_flight: int, audited: int, allowance: int | None) -> int:
        """A few single reads."""
        room = min(SINGLE_AUDITED, self._window - in_flight) - audited
        return room if allowance is None else min(room, allowance)

    def audits(self, reads: Sequence[str], lists: Sequence[str]) -> list[ReadRequest]:
        """A request for each record and for each list of children."""
        requests: list[ReadRequest] = [GetData(self._prefix, path, watch=False) for path in (*reads, *lists)]
        requests += [GetChildren(self._prefix, path, watch=False) for path in lists]
        return requests

    def answered(self, request: ReadRequest, size: int) -> None:
        """Nothing: every request is as small as possible."""

    def disarm(self, is_wanted: Callable[[str], bool]) -> Iterable[Request]:
        """Nothing: a watch ends with its znode."""
        return ()

    def missing_root(self) -> Exists:
        """Watches for the root's creation."""
        return Exists(self._prefix)
