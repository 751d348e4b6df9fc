"""RecursiveStrategy: one persistent recursive watch and bulk reads, for ZooKeeper 3.6 and newer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from exporter.treecache.agenda import ALL_LOADS, NO_LOADS, Agenda, Loads
from exporter.treecache.reading import AUDITED, WORTHWHILE, BatchSize
from exporter.treecache.strategy import Sending
from exporter.zookeeper.messages import CHANGED, CHILD
from exporter.zookeeper.paths import Paths, byte_length
from exporter.zookeeper.wire import AddWatch, MultiRead, ReadRequest, Request


class RecursiveStrategy:
    """Watches the root and everything below it by one watch, and reads in batches.

    Args:
        root: the server's path of the root.
        batch_size: the maximum number of operations in one request.
        window: the maximum number of outstanding requests, not counting those of an audit.
        lists_root: whether the root's children are sure to be wanted.
    """

    mode = "recursive"

    def __init__(self, root: str, batch_size: int, window: int, *, lists_root: bool = False) -> None:
        self._root = root
        self._lists_root = lists_root
        self._prefix = "" if root == "/" else root
        self._window = window
        self._batch_size = BatchSize(batch_size)

    def limit(self, request_bytes: int) -> None:
        """Limits the length of requests to what the connected server accepts."""
        self._batch_size.limit(request_bytes)

    def arm(self) -> AddWatch | None:
        """The recursive watch. It precedes the first read, so that a change after the read is an event."""
        return AddWatch(self._root)

    def lists_leaf(self, path: str) -> bool:
        """False: the watch reports new children everywhere."""
        return False

    def watches_from(self, path: str) -> bool:
        """True for the root."""
        return not path

    def dirty(self, kind: int, path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The path, and its parent if a child came or went.

        A recursive watch sends no child events, so a parent's stat changes without one; child events that do come
        belong to other recipes' watches.
        """
        if kind == CHILD:
            return (), ()
        if path and kind != CHANGED:
            return (path, path[: path.rindex("/")]), ()
        return (path,), ()

    def requests(
        self, agenda: Agenda, in_flight: int, allowance: int | None, children_of: Callable[[str], int]
    ) -> Iterator[Sending]:
        """Batches of dirty paths first, then of lists, then of the survey.

        Refreshes gather while an answer is under way: low latency when idle, large batches under load.
        """
        while in_flight < self._window:
            if in_flight and len(agenda) < WORTHWHILE and agenda.loaded:
                # A few paths wait for the answer under way, so that later ones may join them.
                return
            sending = self.next_batch(agenda, allowance, children_of)
            if sending is None:
                return
            in_flight += 1
            if allowance is not None:
                allowance -= sending.request.operations
            yield sending

    def refresh(self, path: str) -> MultiRead | None:
        """A batch of one read."""
        return MultiRead(self._prefix, (path,), ())

    def audit_room(self, in_flight: int, audited: int, allowance: int | None) -> int:
        """Small batches, as many as the window has room for."""
        room = AUDITED * max(0, self._window - in_flight - audited)
        if allowance is None:
            return room
        # Of an allowance that comes bit by bit, few large batches are made.
        return min(room, allowance) if allowance >= AUDITED or not audited else 0

    def audits(self, reads: Sequence[str], lists: Sequence[str]) -> list[ReadRequest]:
        """Batches that are small, in operations and in bytes."""
        parts = []
        while reads or lists:
            listed = lists[: AUDITED // 2]
            read = reads[: AUDITED - 2 * len(listed)]
            parts.append((read, listed))
            reads, lists = reads[len(read) :], lists[len(listed) :]
        return [request for part in parts for request in self._short_enough(*part)]

    def _short_enough(self, reads: Sequence[str], lists: Sequence[str]) -> list[ReadRequest]:
        """One batch, or several if the paths are too long for one."""
        request, reads_half, lists_half = MultiRead(self._prefix, reads, lists), len(reads) // 2, (len(lists) + 1) // 2
        size = byte_length(reads) + 2 * byte_length(lists)
        if request.is_of_one_path or self._batch_size.takes(len(self._prefix), request.operations, size):
            return [request]
        first = self._short_enough(reads[:reads_half], lists[:lists_half])
        return first + self._short_enough(reads[reads_half:], lists[lists_half:])

    def answered(self, request: ReadRequest, size: int) -> None:
        """Adapts the size of batches."""
        # Names are no measure of what a read brings.
        self._batch_size.answered(request.operations, None if request.lists else size)

    def disarm(self, is_wanted: Callable[[str], bool]) -> Iterable[Request]:
        """Nothing: the one watch stays."""
        return ()

    def missing_root(self) -> None:
        """Nothing: the recursive watch reports the root's creation."""

    def next_batch(self, agenda: Agenda, allowance: int | None, children_of: Callable[[str], int]) -> Sending | None:
        """A request with as many waiting paths as fit; None if none wait."""
        if len(agenda) == 1 and agenda.loaded and allowance != 0 and agenda.first_list() is None:
            # Most refreshes; the first path always fits.
            read, _ = agenda.take_read()
            return Sending(MultiRead(self._prefix, (read,), ()), NO_LOADS)
        room = self._batch_size.room(len(self._prefix.encode()), allowance)
        reads, loads, read_bytes = agenda.take_reads(room.operations, room.bytes, room.overhead)
        room.take(len(reads), read_bytes)
        lists: list[str] = []
        while room.operations and (path := agenda.first_list()) is not None and self.belongs_in_batch(path):
            size = 2 * byte_length((path,))
            if (reads or lists) and not room.fits(2, size, children_of(path)):
                break
            _, load = agenda.take_list()
            lists.append(path)
            loads += Paths.of((path,) if load else ())
            room.take(2, size, children_of(path))
        is_empty = not reads and not lists
        surveyed = agenda.take_surveyed(room.operations, room.bytes, room.overhead, alone=is_empty)
        reads += surveyed
        loads += surveyed
        if not reads and not lists:
            return None
        if len(loads) == len(reads) + len(lists):
            if self._lists_root and not lists and len(reads) == 1 and not reads[0] and not children_of(""):
                # A load begins, or the root has no children yet.
                return Sending(MultiRead(self._prefix, (), ("",)), ALL_LOADS)
            return Sending(MultiRead(self._prefix, reads, lists), ALL_LOADS)
        # Parents first: a znode that was created again must not remove what was just read below it.
        request = MultiRead(self._prefix, sorted(reads), lists)
        return Sending(request, Loads(frozenset(loads), False, len(loads)) if loads else NO_LOADS)

    def belongs_in_batch(self, path: str) -> bool:
        """Whether a list may be read in a batch."""
        return True
