"""TreeEvent and NodeData are the same tuples that kazoo's own cache gives."""

from __future__ import annotations

import pytest
from kazoo.recipe import cache as kazoo_cache

from exporter import NodeData, TreeEvent


def test_node_data_is_a_tuple_of_path_data_and_stat() -> None:
    made = NodeData.make("/a", b"x", None)
    assert tuple(made) == kazoo_cache.NodeData.make("/a", b"x", None)
    assert (made.path, made.data, made.stat) == ("/a", b"x", None)


def test_tree_event_is_a_tuple_of_type_and_data() -> None:
    data = NodeData.make("/a", b"x", None)
    made = TreeEvent.make(TreeEvent.NODE_ADDED, data)
    assert tuple(made) == kazoo_cache.TreeEvent.make(0, data)
    assert (made.event_type, made.event_data) == (0, data)


@pytest.mark.parametrize(
    "name",
    [
        "NODE_ADDED",
        "NODE_UPDATED",
        "NODE_REMOVED",
        "CONNECTION_SUSPENDED",
        "CONNECTION_RECONNECTED",
        "CONNECTION_LOST",
        "INITIALIZED",
    ],
)
def test_types_are_numbered_as_kazoos(name: str) -> None:
    assert getattr(TreeEvent, name) == getattr(kazoo_cache.TreeEvent, name)


def test_unknown_types_are_refused() -> None:
    with pytest.raises(AssertionError):
        TreeEvent.make(7, None)
