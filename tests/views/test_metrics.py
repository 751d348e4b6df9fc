"""ZnodeMetrics: what a scrape of a registry says of the rules of its caches."""

from __future__ import annotations

import gc
import re
import weakref

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from exporter import Rule, TreeCache, ZnodeMetrics
from exporter.treecache.events import TreeEvent
from exporter.treecache.outcome import AddedRun, Event
from exporter.views.rules.rule import VALUES
from tests.simulation.znodes import Znode


def cache_of(path: str = "/app", **options: object) -> TreeCache:
    return TreeCache(KazooClient(), path, **options)  # type: ignore[arg-type]


def fill(metrics: ZnodeMetrics) -> None:
    """Has a view see three services, and is complete."""
    root = Event(TreeEvent.NODE_ADDED, "", Znode(b"", 1, 1, 1).record)
    services = AddedRun(["/web", "/db"], [Znode(b"3", 2, 2, 2, ctime=5000, mtime=6000).record] * 2)
    odd = Event(TreeEvent.NODE_ADDED, '/o"d\\d', Znode(b"no", 3, 3, 3, owner=7).record)
    metrics.view.changed([root, services, odd])
    metrics.view.complete()


def scraped(registry: CollectorRegistry) -> list[str]:
    """The samples of a scrape."""
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_a_scrape_has_the_series_and_what_is_left_out() -> None:
    registry = CollectorRegistry()
    metrics = ZnodeMetrics(
        cache_of(),
        [
            Rule(name="replicas", match="/app/{service}", value="number", max_series=1, help="Replicas."),
            Rule(name="leader", match="/app/{service}", value="owner", kind="ephemeral"),
            Rule(name="changes", match="/app/web", value="changes"),
        ],
        registry=registry,
        ensemble="main",
    )
    assert scraped(registry) == [], "nothing before the tree is complete"
    fill(metrics)
    lines = scraped(registry)
    assert lines[:5] == [
        'zookeeper_znode_replicas{ensemble="main",service="db",tree="/app"} 3.0',
        r'zookeeper_znode_leader_info{ensemble="main",owner="no",service="o\"d\\d",tree="/app"} 1.0',
        r'zookeeper_znode_leader_owner_changes_total{ensemble="main",service="o\"d\\d",tree="/app"} 0.0',
        r'zookeeper_znode_leader_owner_since_timestamp_seconds{ensemble="main",service="o\"d\\d",tree="/app"} 0.0',
        'zookeeper_znode_changes_total{ensemble="main",tree="/app"} 0.0',
    ]
    assert len(lines) == 5 + 3 * 7, "of each rule what was dropped, and what is unusable by six reasons"
    assert 'zookeeper_znode_rule_dropped_series{ensemble="main",rule="replicas",tree="/app"} 1.0' in lines
    unusable = 'zookeeper_znode_rule_unusable{ensemble="main",reason="not_a_number",rule="replicas",tree="/app"} 1.0'
    assert unusable in lines
    text = generate_latest(registry).decode()
    assert "# HELP zookeeper_znode_replicas Replicas.\n# TYPE zookeeper_znode_replicas gauge\n" in text
    assert "# TYPE zookeeper_znode_changes_total counter\n" in text


def test_both_formats_have_every_value() -> None:
    registry = CollectorRegistry()
    rules = [
        Rule(name=f"of_{value}", match="/app/{service}", value=value, key="/a" if value == "json" else None)
        for value in VALUES
    ]
    fill(ZnodeMetrics(cache_of(), rules, registry=registry))
    for text, families in (
        (generate_latest(registry).decode(), parse),
        (generate_openmetrics(registry).decode(), parse_openmetrics),  # type: ignore[no-untyped-call]
    ):
        samples = {sample.name for family in families(text) for sample in family.samples}
        assert {family.name for rule in rules for family in rule.families} - samples == {
            # No znode is JSON, and none has a candidate.
            "zookeeper_znode_of_json",
            "zookeeper_znode_of_election_info",
            "zookeeper_znode_of_election_owner_since_timestamp_seconds",
        }


def test_caches_of_a_registry_share_metrics() -> None:
    registry, rule = CollectorRegistry(), Rule(name="services", match="/*/{service}", value="count", by=[])
    first = ZnodeMetrics(cache_of("/a"), [rule], registry=registry)
    second = ZnodeMetrics(cache_of("/b"), [rule], registry=registry)
    fill(first)
    fill(second)
    name = "zookeeper_znode_services"
    assert [line for line in scraped(registry) if line.startswith(name)] == [
        f'{name}{{ensemble="default",tree="/a"}} 3.0',
        f'{name}{{ensemble="default",tree="/b"}} 3.0',
    ]
    first.close()
    first.close()
    assert [line for line in scraped(registry) if line.startswith(name)] == [
        f'{name}{{ensemble="default",tree="/b"}} 3.0'
    ]
    second.close()
    assert scraped(registry) == []


def test_what_collides_is_refused_and_changes_nothing() -> None:
    registry, rule = CollectorRegistry(), Rule(name="services", match="/*/{service}", value="count", by=[])
    Gauge("taken", "An application's own.", registry=registry)
    metrics = ZnodeMetrics(cache_of("/a"), [rule], registry=registry)
    fill(metrics)
    before = scraped(registry)
    with pytest.raises(ValueError, match=re.escape("has the rules of the tree '/a' of ensemble 'default' already")):
        ZnodeMetrics(cache_of("/a"), [rule], registry=registry)
    with pytest.raises(ValueError, match="collides with zookeeper_znode_services"):
        ZnodeMetrics(cache_of("/b"), [Rule(name="services", match="/*/{service}", value="count")], registry=registry)
    with pytest.raises(ValueError, match="taken"):
        ZnodeMetrics(
            cache_of("/b"), [Rule(name="x", match="/*/{service}", value="count", metric="taken")], registry=registry
        )
    closed = cache_of("/b")
    closed._state = closed.STATE_CLOSED
    with pytest.raises(KazooException, match="closed cache"):
        ZnodeMetrics(closed, [rule], registry=registry)
    assert scraped(registry) == before


def test_a_closed_cache_has_no_metrics() -> None:
    registry, cache = CollectorRegistry(), cache_of("/a")
    fill(ZnodeMetrics(cache, [Rule(name="x", match="/*/{x}", value="count")], registry=registry))
    assert scraped(registry)
    cache._state = cache.STATE_CLOSED
    assert scraped(registry) == []


def test_a_registry_that_is_gone_leaves_nothing() -> None:
    registry = CollectorRegistry()
    ZnodeMetrics(cache_of("/a"), [Rule(name="x", match="/*/{x}", value="count")], registry=registry)
    gone = weakref.ref(registry)
    del registry
    gc.collect()
    assert gone() is None
