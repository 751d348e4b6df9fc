"""TreeEvent and NodeData: the events that listeners get, as the same tuples that kazoo's own cache gives."""

from __future__ import annotations

import operator
from typing import Any


class NodeData(tuple[Any, ...]):
    """One znode of the cache: its path, its data (bytes, or None if null) and its `ZnodeStat`."""

    __slots__ = ()

    path = property(operator.itemgetter(0))
    data = property(operator.itemgetter(1))
    stat = property(operator.itemgetter(2))

    @classmethod
    def make(cls, path: str, data: bytes | None, stat: Any) -> NodeData:
        """Makes a NodeData of an absolute path, the znode's data and its stat."""
        return cls((path, data, stat))


class TreeEvent(tuple[Any, ...]):
    """A change of the cache: `event_type`, one of the numbers below, and `event_data`.

    ``event_data`` is the `NodeData` of an added or updated znode, the last known one of a removed znode, and None
    for the other types. ``old_data``, if the cache has the option of that name, is the previous `NodeData` of an
    updated znode, the last one of a removed znode, and None otherwise. It is not part of the tuple.
    """

    old_data: NodeData | None = None

    NODE_ADDED = 0
    NODE_UPDATED = 1
    NODE_REMOVED = 2
    CONNECTION_SUSPENDED = 3
    CONNECTION_RECONNECTED = 4
    CONNECTION_LOST = 5
    INITIALIZED = 6

    event_type = property(operator.itemgetter(0))
    event_data = property(operator.itemgetter(1))

    @classmethod
    def make(cls, event_type: int, event_data: NodeData | None, old_data: NodeData | None = None) -> TreeEvent:
        """Makes an event of one of the types above."""
        assert cls.NODE_ADDED <= event_type <= cls.INITIALIZED
        event = cls((event_type, event_data))
        if old_data is not None:
            event.old_data = old_data
        return event
