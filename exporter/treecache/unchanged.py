"""Unchanged: compares an answer with a tree before it is taken apart: most of a resync or an audit is as it was."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.treecache.tree import Tree
from exporter.zookeeper.paths import runs_of
from exporter.zookeeper.wire import MultiRead, ReadResult


def differing(tree: Tree, request: MultiRead, body: bytes, offset: int) -> Sequence[tuple[str, ReadResult]] | None:
    """The results of reading leaves of a tree that are not just the records held, with their paths.

    None unless the request lists none, and all that it reads are held, can be read, and are said to have no children.

    Raises:
        struct.error, ValueError: the body is not the answer to this request.
    """
    if request.lists:
        return None
    held: list[bytes] = []
    for run in runs_of(request.reads):
        records = tree.leaves(run)
        if records is None:
            return None
        held += records
    odd = request.differing(held, body, offset)
    paths = list(request.reads) if odd else ()
    return [(paths[at], result) for at, result in odd.items()]
