"""Records: a znode as the raw bytes of its getData reply, decoded only on demand.

A record is the jute encoding of ``GetDataResponse`` (ZooKeeper's ``zookeeper.jute``): the data, preceded by its
length (-1 for null), then the 68 bytes of its ``Stat``. A record without data is the ``Stat`` alone. ``UNREADABLE``
stands for a znode whose data the session may not read.
"""

from __future__ import annotations

import struct

from kazoo.protocol.states import ZnodeStat

STAT_SIZE = 68
UNREADABLE = b""

_STAT = struct.Struct("!qqqqiiiqiiq")
_DATA_LENGTH = struct.Struct("!i")
#: A stat's zxids and times of creation and change, then its cversion, aversion and pzxid.
_HISTORY = struct.Struct("!qqqq4xii16xq")
#: Where a stat's mtime begins.
_MTIME = 24
_VERSION = struct.Struct("!8xq20xii16xq")
#: The numbers that only grow while a znode lives: mzxid, pzxid, cversion and aversion, in order of comparison.
Version = tuple[int, int, int, int]

#: A stat's ephemeralOwner, dataLength and numChildren, which stand together, and how far from its end they begin.
OWNER_SIZE_AND_CHILDREN = struct.Struct("!qii")
OWNER_FROM_END = 24
#: How far from its end a stat's numChildren begins; its pzxid follows, of so many bytes.
CHILDREN_FROM_END, PZXID_SIZE = 12, 8

#: ``ephemeralOwner`` values that are not a session's id (ZooKeeper's ``EphemeralType``).
_CONTAINER = -(1 << 63)
_TTL_MASK = 0xFFFF_FF00_0000_0000
_TTL_BITS = 0xFF00_0000_0000_0000


def data_of(record: bytes) -> bytes | None:
    """The znode's data; None if it is null on the server or was not kept."""
    if len(record) == STAT_SIZE or _DATA_LENGTH.unpack_from(record)[0] < 0:
        return None
    return record[_DATA_LENGTH.size : -STAT_SIZE]


def stat_of(record: bytes) -> ZnodeStat:
    """The znode's ``Stat`` as kazoo's ``ZnodeStat``."""
    return ZnodeStat._make(_STAT.unpack_from(record, -STAT_SIZE))


def without_data(record: bytes) -> bytes:
    """The same record with its data left out."""
    return record[-STAT_SIZE:]


def czxid_of(record: bytes) -> int:
    """The zxid of the transaction that created the znode."""
    return int.from_bytes(record[-STAT_SIZE : 8 - STAT_SIZE], "big", signed=True)


def modified_at(record: bytes) -> float:
    """When the znode's data was created or last changed, in Unix seconds by the server's clock."""
    return int.from_bytes(record[_MTIME - STAT_SIZE : _MTIME - STAT_SIZE + 8], "big", signed=True) / 1000


def history_of(record: bytes) -> tuple[tuple[int, int], tuple[int, int], Version]:
    """What distinguishes a znode from others at its path, its data from earlier data, and its version.

    The first two are a zxid and a time each: the times matter if an ensemble was wiped, since its zxids start again.
    """
    czxid, mzxid, ctime, mtime, cversion, aversion, pzxid = _HISTORY.unpack_from(record, -STAT_SIZE)
    return (czxid, ctime), (mzxid, mtime), (mzxid, pzxid, cversion, aversion)


def version_of(record: bytes) -> Version:
    """The version of a record."""
    mzxid, cversion, aversion, pzxid = _VERSION.unpack_from(record, -STAT_SIZE)
    return mzxid, pzxid, cversion, aversion


def reported_part(record: bytes) -> bytes:
    """The part that cannot change without a watch event: all but aversion, cversion, numChildren and pzxid.

    A change of an ACL sends no event, and neither do changes of unreadable children.
    """
    return record[:-32] + record[-OWNER_FROM_END:-CHILDREN_FROM_END]


def is_reported(held: bytes, record: bytes) -> bool:
    """Whether a watch event reports that the first record became the second.

    If only one of them has its data, which somebody has begun or ceased to keep, the data does not count.
    """
    if (len(held) == STAT_SIZE) != (len(record) == STAT_SIZE):
        held, record = without_data(held), without_data(record)
    return reported_part(held) != reported_part(record)


def pzxid_of(record: bytes) -> int:
    """The zxid of the transaction that last created or deleted a child of the znode."""
    return int.from_bytes(record[-PZXID_SIZE:], "big", signed=True)


def child_count(record: bytes) -> int:
    """How many children the server counted when it answered."""
    return int.from_bytes(record[-CHILDREN_FROM_END:-PZXID_SIZE], "big")


def owner_and_size(record: bytes) -> tuple[int, int]:
    """The znode's ``ephemeralOwner`` and the length of its data in bytes."""
    owner, size, _ = OWNER_SIZE_AND_CHILDREN.unpack_from(record, -OWNER_FROM_END)
    return owner, size


def size_and_children(record: bytes) -> tuple[int, int]:
    """The length of the znode's data in bytes, and how many children the server counted when it answered."""
    _, size, children = OWNER_SIZE_AND_CHILDREN.unpack_from(record, -OWNER_FROM_END)
    return size, children


def kind_of(owner: int) -> str:
    """The kind of a znode by its ``ephemeralOwner``: persistent or ephemeral.

    Servers do not send the values of containers and znodes with a time to live (ZooKeeper's ``EphemeralType``): from
    3.6.2 to 3.9.5 clients get 0 instead. If a server did send them, they would be recognized; with extended types off,
    the bits of a TTL belong to an ephemeral of the server with id 255.
    """
    is_persistent = owner in (0, _CONTAINER) or owner & _TTL_MASK == _TTL_BITS
    return "persistent" if is_persistent else "ephemeral"
