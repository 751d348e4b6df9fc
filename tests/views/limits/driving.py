"""Driving: a view of sizes, for tests that only need some."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.treecache.events import TreeEvent
from exporter.treecache.outcome import Event
from exporter.views.limits.view import Limits, LimitsView
from tests.simulation.znodes import Znode


def sized(data: Mapping[str, bytes], limit: int) -> LimitsView:
    """The view of a complete tree of these znodes, by path below its root."""
    view = LimitsView(Limits(jute_maxbuffer=limit), lambda _: [])
    nodes = {"": b"", **data}
    view.changed([Event(TreeEvent.NODE_ADDED, path, Znode(of_it, 1, 1, 1).record) for path, of_it in nodes.items()])
    view.complete()
    return view
