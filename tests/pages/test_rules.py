"""The rows of the page about the metrics from znodes: what they show, and what they leave out."""

from __future__ import annotations

from typing import Any

from exporter.pages.rules import metrics_from, rules_of
from exporter.treecache.events import TreeEvent
from exporter.treecache.outcome import Event
from exporter.treecache.view import View
from exporter.views.rules.rule import Rule
from exporter.views.rules.view import RulesView
from tests.simulation.znodes import Znode

TREES = {"config": "/app"}


def view_of(*rules: Rule, **znodes: bytes) -> RulesView:
    """A view of a complete tree of znodes directly below the root, by name."""
    view = RulesView(rules, "/app")
    for zxid, (name, data) in enumerate(znodes.items(), start=2):
        view.changed([Event(TreeEvent.NODE_ADDED, f"/{name}", Znode(data, zxid, zxid, zxid).record)])
    view.complete()
    return view


def shown(view: View) -> list[tuple[str, str, str, str]]:
    return [
        (row.metric, row.value.text, row.value.level, row.left_out.text)
        for row in rules_of("main", TREES, {"config": view})
    ]


def rule(**fields: Any) -> Rule:
    return Rule(**{"name": "value", "match": "/app/{name}", "value": "number", **fields})


def test_one_value_is_shown_and_of_several_their_number() -> None:
    name = "zookeeper_znode_value"
    assert shown(view_of(rule())) == [(name, "no series", "plain", "nothing")]
    assert shown(view_of(rule(), a=b"3")) == [(name, "a: 3", "plain", "nothing")]
    assert shown(view_of(rule(by=[], aggregate="sum"), a=b"3", b=b"0.5")) == [(name, "3.5", "plain", "nothing")]
    assert shown(view_of(rule(), a=b"3", b=b"4")) == [(name, "2 series", "plain", "nothing")]
    assert shown(view_of(rule(match="/app/leader", value="owner"), leader=b"host-1")) == [
        ("zookeeper_znode_value_info", "host-1", "plain", "nothing")
    ]


def test_nothing_is_shown_before_the_tree_is_complete_nor_after_a_failure() -> None:
    view = RulesView([rule()], "/app")
    assert shown(view) == [("zookeeper_znode_value", "waiting for the tree", "waiting", "")]
    view.failure = ValueError("no")
    assert shown(view) == [("zookeeper_znode_value", "failed: ValueError('no')", "bad", "")]
    assert rules_of("main", TREES, {"config": View()}) == []
    assert rules_of("main", {}, {"config": view}) == []


def test_what_is_left_out_is_named() -> None:
    znodes = {f"word-{number}": b"word" for number in range(5)} | {f"number-{number}": b"7" for number in range(3)}
    assert shown(view_of(rule(max_series=2), **znodes)) == [
        (
            "zookeeper_znode_value",
            "2 series",
            "plain",
            "1 series above the limit of 2; 5 znodes not a number: /app/word-0, /app/word-1, /app/word-2 and 2 more",
        )
    ]


def test_the_metrics_from_a_znode() -> None:
    view = view_of(rule(), rule(name="root", match="/app", value="children"))
    assert metrics_from(view, "/app/a") == ["zookeeper_znode_value"]
    assert metrics_from(view, "/app") == ["zookeeper_znode_root"]
    assert metrics_from(view, "/app/a/b") == metrics_from(View(), "/app/a") == metrics_from(None, "/app/a") == []
