"""View: the base class of objects that are derived from the contents of a tree; its cache keeps them up to date.

It is here, and not with the views in `exporter.views`, because the cache drives it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exporter.treecache.events import NodeData
from exporter.treecache.outcome import AddedRun, Event, each
from exporter.zookeeper.records import data_of, stat_of

#: Changes in their order. A run is many added siblings, as one object.
Batch = Sequence[Event | AddedRun]


class View:
    """What follows from the contents of a tree; override what you need, and give it to `TreeCache.add_view`.

    The cache calls its methods where it is kept up to date, one at a time: on the connection's thread, or on the
    engine's. The client and its session wait for them. So they must return in microseconds; they do no I/O, wait for
    nothing, take no lock that anybody holds for longer than that, and call neither client nor cache. What other threads
    read, such as a scrape, should be replaced as a whole, or copied by one operation that is atomic (``dict.copy()``).

    An exception ends the view, and nothing else: it is a fault of kind ``view`` of the cache, the view gets no more
    calls but `failed`, and other views go on.

    The order of calls is that of the changes:

    - `changed`, while the cache loads and ever after;
    - `complete`, when the tree is whole: after the changes that made it so. From now on a change arrives as ZooKeeper
      reports it;
    - `incomplete`, when the connection is lost or the tree is read again, before the changes that this finds. What the
      view has derived is then as old as this call, and a mixture of old and new until `complete`;
    - `reset`, when the cache forgets its znodes, as at its end: no removals come for them.
    """

    #: The type of the `Event` with which a view learns that a znode is there but cannot be read; listeners get none.
    NODE_UNREADABLE = 7

    #: Why the view gets no more calls; None while it does.
    failure: BaseException | None = None

    #: Whether `reads` may be true for any znode. If not, the cache never asks, which takes a part of a load's time.
    reads_anything = True

    def reads(self, path: str) -> bool:
        """Whether the view needs the data of the znode at this path, below the root (``""`` is the root itself).

        With ``keep_data=False`` the cache keeps only the data that a view reads. The answer for a path must always be
        the same, and needs no I/O; by default it is no.
        """
        return False

    def reads_below(self, path: str) -> bool:
        """Whether `reads` may be true for a child of the znode at this path.

        The cache asks this once for many children, and `reads` for each of them if the answer is yes, the default.
        """
        return True

    def changed(self, batch: Batch) -> None:
        """Znodes were added, updated or removed, or became unreadable, in this order.

        An `AddedRun` has the paths and records of several new children of one znode. An `Event` is of one of the types

        - ``TreeEvent.NODE_ADDED``: ``record`` is the new znode's;
        - ``TreeEvent.NODE_UPDATED``: anything of it differs from ``old``, the record before; unlike a listener, a view
          also learns that only the number or versions of its children differ, or the version of its ACL;
        - ``TreeEvent.NODE_REMOVED``: ``record`` and ``old`` are the last one; both are None if it was unreadable;
        - `NODE_UNREADABLE`: it is there, but the session may not read it, or it exceeds the limits of replies. If it
          was known before, it was removed just before. It ends as an added or a removed znode.

        Paths are relative to the root of the tree. The batch belongs to the cache: do not change it. `each` gives the
        changes of runs one by one, and `node` decodes a record.
        """

    def complete(self) -> None:
        """The tree is whole."""

    def incomplete(self) -> None:
        """The connection is lost, or the tree is read again; it was whole before."""

    def reset(self) -> None:
        """The tree is forgotten."""

    def failed(self, error: BaseException) -> None:
        """The view raised this exception, and gets no more calls."""
        self.failure = error

    @staticmethod
    def each(batch: Batch) -> Iterator[Event]:
        """The changes of a batch one by one, for views that have no use for runs."""
        return iter(each(batch))

    @staticmethod
    def node(path: str, record: bytes) -> NodeData:
        """What a record says: the path as given, the data, None if it is null or not kept, and the `ZnodeStat`."""
        return NodeData.make(path, data_of(record), stat_of(record))
