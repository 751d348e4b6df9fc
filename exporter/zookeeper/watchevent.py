"""Watch events as a server sends them: jute's ``WatcherEvent``, decoded with checks."""

from __future__ import annotations

import struct

from exporter.zookeeper.protocol import ProtocolError
from exporter.zookeeper.stats import WATCH_EVENTS
from exporter.zookeeper.wire import encode_string

_WATCH_EVENT = struct.Struct("!iii")
_HEAD = struct.Struct("!ii")
#: The state in events while the session has a connection: ``KeeperState.SyncConnected``.
_CONNECTED = 3


def decode(frame: bytes, offset: int) -> tuple[int, str]:
    """The kind and path of the event at an offset. Raises ProtocolError if it cannot be decoded."""
    try:
        kind, _, length = _WATCH_EVENT.unpack_from(frame, offset)
        start = offset + _WATCH_EVENT.size
        if not 0 <= length <= len(frame) - start:
            raise ValueError(f"a path of {length} bytes in {len(frame) - start} bytes")
        path = frame[start : start + length].decode()
        is_path = path == "/" or (path.startswith("/") and not path.endswith("/") and "//" not in path)
        if 1 <= kind <= len(WATCH_EVENTS) and not is_path:
            raise ValueError(f"an event with the path {path[:100]!r}")
    except (struct.error, ValueError) as error:
        raise ProtocolError("bad_event", f"a watch event that cannot be decoded: {error}") from error
    return kind, path


def encode(kind: int, path: str) -> bytes:
    """The event as a server would send it."""
    return _HEAD.pack(kind, _CONNECTED) + encode_string(path)
