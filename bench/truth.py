"""Digests of trees, so that figures are printed only for caches that hold the same as the server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256

from bench.raw import BODY, Reader
from bench.trees import Shape
from exporter.zookeeper.records import data_of


def digest(contents: Iterable[tuple[str, bytes]]) -> str:
    """The SHA-256 of paths and data: each path in sorted order, a zero byte, its data and another zero byte."""
    found = sha256()
    for path, data in sorted(contents):
        found.update(b"%b\0%b\0" % (path.encode(), data))
    return found.hexdigest()


def digest_of_server(hosts: str, shape: Shape) -> str:
    """The digest of a tree on the server now."""
    return digest(_contents(hosts, shape))


def _contents(hosts: str, shape: Shape) -> Iterator[tuple[str, bytes]]:
    with Reader(hosts, shape) as reader:
        for request, reply in reader.replies():
            for path, record in zip(request.reads, request.decode(bytes(reply), BODY), strict=True):
                assert isinstance(record, bytes), f"{path} is answered with {record}"
                yield path, data_of(record) or b""
