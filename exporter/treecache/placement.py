"""Placement: which thread takes a turn of the engine.

A refresh is short, and each change of threads would delay it. So the thread that has read the messages from the
connection takes that turn itself, and immediately sends the requests that follow. The first steps of a load are as
short, and so are most steps of an audit. Everything that may take longer is left to the engine's own thread: loads,
resyncs, large batches, lists of children, removals of subtrees and work due by timers. So pings and the replies to
other users of the client wait for a short turn at most.
"""

from __future__ import annotations

import struct
from collections.abc import Collection

from exporter.treecache.reading import SHORT_BYTES
from exporter.treecache.replica import Replica
from exporter.treecache.tree import Branch
from exporter.zookeeper.messages import Barrier, Reply, WatchEvent
from exporter.zookeeper.wire import NO_NODE, ReadRequest

#: The maximum number of messages of a short turn; also that of operations of a request whose answer is applied in it,
#: and that of znodes of a tree that is being read.
SHORT = 64

#: Messages that arrive from the server, on the connection's thread.
ARRIVING = (WatchEvent, Reply, Barrier)
#: How a MultiRead's answer says that a znode is not there.
_NO_NODE = struct.pack("!ii", NO_NODE, NO_NODE)


def is_short(replica: Replica, messages: Collection[object], time_left: float) -> bool:
    """Whether the turn that applies these messages is short; other work is due after `time_left` seconds."""
    if time_left <= 0 or not replica.audit.is_brief:
        return False
    if not replica.is_in_sync and len(replica.tree) + replica.tree.unreadable > SHORT:
        return False
    if len(messages) > SHORT or replica.waiting_paths > SHORT:
        return False
    return all(_is_small(message, replica) for message in messages)


def _is_small(message: object, replica: Replica) -> bool:
    if not isinstance(message, Reply):
        return isinstance(message, ARRIVING)
    request = message.request
    if not isinstance(request, ReadRequest):
        return True
    if request in replica.audit.comparison.requests:
        # It is small, and what it compares is neither changed nor removed.
        return not request.lists
    if request.operations > SHORT or len(message.body) > SHORT_BYTES:
        return False
    if replica.others and "" in request.reads:
        # A shard checks all children of its root then.
        return False
    # What was read of a znode with children may be that it is gone, with all below it; a list may lack any of them.
    may_remove = message.error == NO_NODE or _NO_NODE in message.body
    for path in (*request.reads, *request.lists) if may_remove else request.lists:
        if isinstance(replica.tree.find(path), Branch):
            return False
    return True
