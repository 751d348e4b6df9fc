"""The jute requests that kazoo lacks (AddWatch, RemoveWatches, MultiRead), and requests whose raw answers are needed.

Layouts and opcodes are those of ZooKeeper's ``zookeeper.jute`` and ``ZooDefs.OpCode``. A request has the interface that
kazoo's connection needs: a ``type`` (the opcode) and ``serialize()``. Paths are the server's, chroot included.
"""

from __future__ import annotations

import copy
import struct
from collections.abc import Sequence
from typing import ClassVar

from exporter.zookeeper.paths import MANY, parts_of
from exporter.zookeeper.records import STAT_SIZE

OP_GET_DATA = 4
OP_GET_CHILDREN = 8
OP_CHECK = 13

OK = 0
CONNECTION_LOSS = -4
MARSHALLING_ERROR = -5
UNIMPLEMENTED = -6
NO_NODE = -101
NO_AUTH = -102
NOT_READ_ONLY = -119
THROTTLED = -127

#: The bytes that a path takes in a MultiRead request in addition to its length: header, length and watch flag.
READ_OVERHEAD = 14

_INT = struct.Struct("!i")
_MULTI_HEADER = struct.Struct("!iBi")
_RESULT = struct.Struct("!iBii")
#: The kind of an operation's answer, and the number that its body begins with: a length, a count or an error code.
_KIND_AND_NUMBER = struct.Struct("!i5xi")
#: More bytes than a name usually has.
_USUAL_NAME = 64
_RECORD_WITHOUT_DATA = _INT.size + STAT_SIZE

_GET_DATA_HEADER = _MULTI_HEADER.pack(OP_GET_DATA, False, -1)
_GET_CHILDREN_HEADER = _MULTI_HEADER.pack(OP_GET_CHILDREN, False, -1)
#: What precedes each record in an answer.
_RECORD_HEADER = _MULTI_HEADER.pack(OP_GET_DATA, False, 0)
#: How many records of an answer are compared at once.
_COMPARED = 64
_END_OF_MULTI = _MULTI_HEADER.pack(-1, True, -1)
_NO_WATCH = b"\0"
_WATCH = b"\1"

#: One operation's answer in a MultiRead: a record (getData), names (getChildren) or an error code.
ReadResult = bytes | list[str] | int


def encode_string(text: str) -> bytes:
    """A jute ustring: UTF-8 bytes preceded by their count."""
    encoded = text.encode()
    return _INT.pack(len(encoded)) + encoded


class Request:
    """One request of a session, compared by identity and sent at most once."""

    type: ClassVar[int]

    def serialize(self) -> bytes:
        """The request's body, without header and length."""
        raise NotImplementedError

    @property
    def size(self) -> int:
        """The bytes of the request's body; 0 if unknown before it is sent."""
        return len(self.serialize())

    @property
    def is_of_one_path(self) -> bool:
        """Whether it cannot be made shorter."""
        return True

    def refused(self, code: int) -> tuple[int, bytes]:
        """The error and body of an answer that has only this code."""
        return code, b""


class AddWatch(Request):
    """Sets a persistent recursive watch on a path, which need not exist."""

    type = 106
    _PERSISTENT_RECURSIVE = 1

    def __init__(self, path: str) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"AddWatch({self.path!r})"

    def serialize(self) -> bytes:
        return encode_string(self.path) + _INT.pack(self._PERSISTENT_RECURSIVE)


class RemoveWatches(Request):
    """Removes every watch that this session holds on exactly this path."""

    type = 18
    _ANY = 3

    def __init__(self, path: str) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"RemoveWatches({self.path!r})"

    def serialize(self) -> bytes:
        return encode_string(self.path) + _INT.pack(self._ANY)


class Sync(Request):
    """Makes the connected server catch up with its leader's commits."""

    type = 9

    def __init__(self, path: str) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"Sync({self.path!r})"

    def serialize(self) -> bytes:
        return encode_string(self.path)


class Check(Request):
    """A multi of the single operation ``check(path, -1)``: passes the quorum as a write does, and changes nothing.

    It needs at most READ on the path; the answer is equally good if the znode is missing or unreadable.
    """

    type = 14
    operations = 1
    _ANY_VERSION = -1

    def __init__(self, path: str) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"Check({self.path!r})"

    def serialize(self) -> bytes:
        check = encode_string(self.path) + _INT.pack(self._ANY_VERSION)
        return _MULTI_HEADER.pack(OP_CHECK, False, -1) + check + _END_OF_MULTI


class ReadRequest(Request):
    """A request that reads znodes: the data of some, the children of others.

    Args:
        prefix: precedes each path on the server.
        reads: paths whose data and stat to read.
        lists: paths whose children to read.
    """

    #: Whether the answer has data or children, not stats only.
    brings_content = True
    _size = 0

    def __init__(self, prefix: str, reads: Sequence[str], lists: Sequence[str]) -> None:
        self.prefix = prefix
        self.reads = reads
        self.lists = lists

    def __repr__(self) -> str:
        return f"{type(self).__name__}(reads={len(self.reads)}, lists={len(self.lists)})"

    @property
    def operations(self) -> int:
        """How many operations the request makes the server do."""
        return len(self.reads) + len(self.lists)

    @property
    def size(self) -> int:
        """The bytes of the request's body, 0 before it was serialized."""
        return self._size

    @property
    def first_path(self) -> str:
        """The server's path of the first znode."""
        return self.prefix + (*self.reads, *self.lists)[0] or "/"


class WatchingRead(ReadRequest):
    """Reads one znode and, with ``watch``, sets a one-shot watch on it."""

    def __init__(self, prefix: str, reads: Sequence[str], lists: Sequence[str], watch: bool) -> None:
        super().__init__(prefix, reads, lists)
        self.watch = watch

    def without_watch(self) -> WatchingRead:
        """The same request without the watch."""
        twin = copy.copy(self)
        twin.watch = False
        return twin

    @property
    def size(self) -> int:
        """The bytes of the request's body."""
        return self._size or len(self.serialize())

    @property
    def path(self) -> str:
        """The server's path of the znode."""
        return self.first_path

    def serialize(self) -> bytes:
        body = encode_string(self.path) + (_WATCH if self.watch else _NO_WATCH)
        self._size = len(body)
        return body


class GetData(WatchingRead):
    """Reads one znode's data and stat. The answer is a record."""

    type = OP_GET_DATA

    def __init__(self, prefix: str, path: str, watch: bool = True) -> None:
        super().__init__(prefix, (path,), (), watch)

    def decode(self, body: bytes, offset: int) -> bytes:
        """The record.

        Raises:
            struct.error, ValueError: the body is not the answer to this request.
        """
        (length,) = _INT.unpack_from(body, offset)
        if len(body) != offset + _INT.size + max(0, length) + STAT_SIZE:
            raise ValueError("the answer to a GetData has a wrong length")
        return body[offset:]


class GetChildren(WatchingRead):
    """Lists one znode's children, with its stat."""

    type = 12

    def __init__(self, prefix: str, path: str, watch: bool = True) -> None:
        super().__init__(prefix, (), (path,), watch)

    def decode(self, body: bytes, offset: int) -> tuple[list[str], bytes]:
        """The names, and the znode's stat as a record without data.

        Raises:
            struct.error, ValueError: the body is not the answer to this request.
        """
        (count,) = _INT.unpack_from(body, offset)
        names, offset = _decode_names(body, offset + _INT.size, count)
        if len(body) != offset + STAT_SIZE:
            raise ValueError("the answer to a GetChildren has a wrong length")
        return names, body[offset:]


class Exists(WatchingRead):
    """Watches for the creation of the root, which is the znode at the prefix itself."""

    type = 3
    brings_content = False

    def __init__(self, prefix: str, watch: bool = True) -> None:
        super().__init__(prefix, ("",), (), watch)


class MultiRead(ReadRequest):
    """Reads the data of some paths, and both data and children of others, in one request, without watches.

    Data and children of a listed path are one consistent pair.
    """

    type = 22

    @property
    def operations(self) -> int:
        """How many operations the request makes the server do."""
        return len(self.reads) + 2 * len(self.lists)

    @property
    def is_of_one_path(self) -> bool:
        """Whether it cannot be made shorter."""
        return len(self.reads) + len(self.lists) == 1

    def refused(self, code: int) -> tuple[int, bytes]:
        """Success, and a body that has this error for each operation."""
        return OK, _RESULT.pack(-1, 0, code, code) * self.operations

    def serialize(self) -> bytes:
        reads = self.reads
        if len(reads) == 1:
            parts = [_GET_DATA_HEADER + encode_string(self.prefix + reads[0] or "/")]
        else:
            parts = [_reads(self.prefix + stem, names) for stem, names in parts_of(reads) if names]
        for path in self.lists:
            encoded = encode_string(self.prefix + path or "/")
            parts += (_GET_DATA_HEADER + encoded, _GET_CHILDREN_HEADER + encoded)
        parts.append(_END_OF_MULTI)
        body = _NO_WATCH.join(parts)
        self._size = len(body)
        return body

    def differing(self, expected: Sequence[bytes], body: bytes, offset: int) -> dict[int, ReadResult]:
        """The answers to the reads that are not just the expected records, by their positions.

        Costs little where nothing differs, since the answer is compared as it is.

        Raises:
            struct.error, ValueError: the body is not the answer to this request.
        """
        odd: dict[int, ReadResult] = {}
        for start in range(0, len(expected), _COMPARED):
            records = expected[start : start + _COMPARED]
            same = _RECORD_HEADER + _RECORD_HEADER.join(records)
            if body.startswith(same, offset):
                offset += len(same)
                continue
            results, offset = _decode_results(body, offset, len(records))
            pairs = zip(results, records, strict=True)
            odd.update((start + at, result) for at, (result, record) in enumerate(pairs) if result != record)
        _check_end(body, offset)
        return odd

    def decode(self, body: bytes, offset: int) -> list[ReadResult]:
        """The answers in the order of the operations.

        Raises:
            struct.error, ValueError: the body is not the answer to this request.
        """
        results: list[ReadResult] = []
        if len(self.reads) >= MANY and (records := _decode_equally_long(body, offset, len(self.reads))) is not None:
            results += records
            offset += len(records) * (_MULTI_HEADER.size + len(records[0]))
        others, offset = _decode_results(body, offset, self.operations - len(results))
        _check_end(body, offset)
        return results + others


def _decode_results(body: bytes, offset: int, count: int) -> tuple[list[ReadResult], int]:
    """Decodes so many results; returns them, and where they end. Raises struct.error or ValueError."""
    results: list[ReadResult] = []
    append, unpack = results.append, _KIND_AND_NUMBER.unpack_from
    for _ in range(count):
        kind, number = unpack(body, offset)
        if kind == OP_GET_DATA:
            start = offset + _MULTI_HEADER.size
            offset = start + _RECORD_WITHOUT_DATA + (number if number > 0 else 0)
            append(body[start:offset])
            continue
        offset += _MULTI_HEADER.size
        if kind == OP_GET_CHILDREN:
            names, offset = _decode_names(body, offset + _INT.size, number)
            append(names)
        elif kind == -1:
            append(number)
            offset += _INT.size
        else:
            raise ValueError(f"operation {kind} in the answer to a MultiRead")
    return results, offset


def _check_end(body: bytes, offset: int) -> None:
    if offset > len(body):
        raise ValueError("the answer to a MultiRead is cut short")


def _reads(prefix: str, paths: Sequence[str]) -> bytes:
    """The operations that read these paths, each behind the prefix."""
    paths = paths if prefix else [path or "/" for path in paths]
    if len(paths) < MANY:
        return _NO_WATCH.join([_GET_DATA_HEADER + encode_string(prefix + path) for path in paths])
    return _joined_ascii(prefix, paths) if prefix.isascii() and all(map(str.isascii, paths)) else _joined(prefix, paths)


def _joined(prefix: str, reads: Sequence[str]) -> bytes:
    """The same for many."""
    in_front, paths = prefix.encode(), [path.encode() for path in reads]
    before = {size: _GET_DATA_HEADER + _INT.pack(len(in_front) + size) + in_front for size in set(map(len, paths))}
    return _NO_WATCH.join([before[len(path)] + path for path in paths])


def _joined_ascii(prefix: str, reads: Sequence[str]) -> bytes:
    """The same for many at half the cost, if all is ASCII: as text, in which each byte is a character."""
    headers = {size: _GET_DATA_HEADER + _INT.pack(len(prefix) + size) for size in set(map(len, reads))}
    before = {size: header.decode("latin-1") + prefix for size, header in headers.items()}
    between = _NO_WATCH.decode()
    if len(before) == 1:
        (front,) = before.values()
        text = front + (between + front).join(reads)
    else:
        text = between.join([before[len(path)] + path for path in reads])
    return text.encode("latin-1")


def _decode_equally_long(body: bytes, offset: int, count: int) -> Sequence[bytes] | None:
    """Decodes as many records at once, at half the cost; returns None unless all are there and have the same length."""
    beginning = body[offset : offset + _KIND_AND_NUMBER.size]
    if len(beginning) < _KIND_AND_NUMBER.size:
        return None
    kind, number = _KIND_AND_NUMBER.unpack(beginning)
    size = _RECORD_WITHOUT_DATA + max(0, number)
    last = offset + (count - 1) * (_MULTI_HEADER.size + size)
    # The last one tells in most cases.
    if kind != OP_GET_DATA or body[last : last + len(beginning)] != beginning:
        return None
    return _pieces(body, offset, count, _MULTI_HEADER.size, size, len(beginning))


def _pieces(body: bytes, offset: int, count: int, front: int, size: int, common: int) -> Sequence[bytes] | None:
    """As many pieces of `size` bytes, each behind `front` more.

    Returns None unless all are there, and the first `common` bytes are the same for each.
    """
    step = front + size
    block = body[offset : offset + count * step]
    if len(block) < count * step or any(block[at::step] != block[at : at + 1] * count for at in range(common)):
        return None
    # `struct.unpack` would keep the format, which is as long as the answer, for the next time.
    return struct.Struct(f"{front}x{size}s" * count).unpack(block)


def _decode_names(body: bytes, offset: int, count: int) -> tuple[list[str], int]:
    """Decodes a jute vector of ustrings; returns it, and where it ends. Raises struct.error or ValueError."""
    size = len(body)
    if not -1 <= count <= (size - offset) // _INT.size:
        raise ValueError(f"{count} names in {size - offset} bytes")
    if count >= MANY:
        found = _decode_equally_long_names(body, offset, count) or _decode_short_names(body, offset, count)
        if found is not None:
            return found
    names = []
    unpack = _INT.unpack_from
    for _ in range(count):
        start = offset + _INT.size
        (length,) = unpack(body, offset)
        if length <= 0:
            raise ValueError(f"a name of {length} bytes")
        offset = start + length
        names.append(body[start:offset].decode())
    if offset > size:
        raise ValueError(f"a name ends {offset - size} bytes after the answer's end")
    if "/" in "".join(names):
        raise ValueError("a name contains a slash")
    return names, offset


def _decode_equally_long_names(body: bytes, offset: int, count: int) -> tuple[list[str], int] | None:
    """Decodes names of one length, such as those of sequential znodes, all at once; returns None if they differ."""
    (length,) = _INT.unpack_from(body, offset)
    pieces = _pieces(body, offset, count, _INT.size, length, _INT.size) if length > 0 else None
    if pieces is None:
        return None
    names = b"/".join(pieces).decode().split("/")
    if len(names) != count:
        raise ValueError("a name contains a slash")
    return names, offset + count * (_INT.size + length)


def _decode_short_names(body: bytes, offset: int, count: int) -> tuple[list[str], int] | None:
    """Decodes names of less than 256 bytes, at a third of the cost; returns None if a name is longer.

    A name has no zero byte, so the three zero bytes that begin its length, and nothing else, separate two names.
    """
    separator = b"\0\0\0"
    parts = body[offset : offset + count * _USUAL_NAME].split(separator, count)
    if len(parts) <= count or parts.pop(0):
        return None
    parts[-1] = parts[-1][: 1 + parts[-1][0]] if parts[-1] else b""
    sizes = list(map(len, parts))
    if (
        min(sizes) < 2
        or max(sizes) > 256
        or b"".join([part[:1] for part in parts]) != bytes([size - 1 for size in sizes])
    ):
        return None
    names = b"/".join([part[1:] for part in parts]).decode().split("/")
    if len(names) != count:
        raise ValueError("a name contains a slash")
    return names, offset + sum(sizes) + len(separator) * count
