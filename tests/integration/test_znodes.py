"""Metrics of what is in znodes: with a real ZooKeeper they say what is there, and nothing else."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

from kazoo.client import KazooClient
from kazoo.security import make_digest_acl
from prometheus_client import CollectorRegistry

from exporter import Rule, Shard, TreeCache, ZnodeMetrics
from exporter.demo.server import ZooKeeperServer
from exporter.treecache.events import TreeEvent
from exporter.treecache.outcome import Event
from exporter.views.rules.view import RulesView
from tests.conftest import ClientFactory, ZooKeeper
from tests.faults.conftest import BRIEF_SESSION, quick_client, started
from tests.faults.size import size
from tests.integration.processes import Exporter, configured_exporter, preview
from tests.support import eventually, expire

#: Znodes of a rule that shows 100 of them.
MANY = size(2_000, 10_000)
OWNS = """
import sys, time
from kazoo.client import KazooClient
client = KazooClient(sys.argv[1], timeout=float(sys.argv[2]))
client.start()
client.create(sys.argv[3], ephemeral=True)
print("created", flush=True)
time.sleep(600)
"""


def configured(folder: Path, hosts: str, *rules: Mapping[str, Any], **ensemble: Any) -> Path:
    """A configuration of one tree, called tree, with these rules."""
    trees = [{"path": "/", "name": "tree", "metrics": rules}]
    (config := folder / "config.yml").write_text(
        json.dumps({"ensembles": [{"name": "main", "hosts": hosts, "trees": trees, **ensemble}]})
    )
    return config


def series(exporter: Exporter, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """The series of a rule's metric, by the values of these labels."""
    samples = exporter.samples(f"zookeeper_znode_{name}")
    assert all((one.labels["ensemble"], one.labels["tree"]) == ("main", "tree") for one in samples)
    return {tuple(one.labels[label] for label in labels): one.value for one in samples}


def test_an_instance_that_is_killed_is_counted_no_more(
    tmp_path: Path, zookeeper: ZooKeeper, client_factory: ClientFactory
) -> None:
    client_factory().ensure_path("/services/web")
    rule = {"name": "instances", "match": "/services/{service}/{id}", "value": "count", "by": ["service"]}
    config = configured(tmp_path, zookeeper.hosts, rule | {"kind": "ephemeral"})
    with configured_exporter(config) as exporter, ExitStack() as processes:
        exporter.wait_ready()
        assert series(exporter, "instances", "service") == {}
        command = [sys.executable, "-c", OWNS, zookeeper.hosts, str(BRIEF_SESSION)]
        owners = [
            processes.enter_context(
                subprocess.Popen([*command, f"/services/web/{number}"], stdout=subprocess.PIPE, text=True)
            )
            for number in range(3)
        ]
        for owner in owners:
            processes.callback(owner.kill)
        eventually(lambda: series(exporter, "instances", "service") == {("web",): 3})
        os.kill(owners[0].pid, signal.SIGKILL)
        eventually(lambda: series(exporter, "instances", "service") == {("web",): 2})


def test_an_election_counts_each_new_leader(
    tmp_path: Path, zookeeper: ZooKeeper, client_factory: ClientFactory
) -> None:
    client_factory().ensure_path("/election")
    rule = {"name": "leader", "match": "/election", "value": "election"}
    config = configured(tmp_path, zookeeper.hosts, rule)
    with configured_exporter(config) as exporter, ExitStack() as candidates:
        exporter.wait_ready()
        assert series(exporter, "leader_candidates") == {(): 0}
        waiting: list[tuple[KazooClient, str]] = []
        for number in range(23):
            name = f"node-{number}"
            if len(waiting) == 3:
                leader, _ = waiting.pop(0)
                assert leader.client_id is not None
                expire(leader.client_id, zookeeper.hosts)
                (_, led_by), *_ = waiting
                eventually(lambda led_by=led_by: series(exporter, "leader_info", "owner") == {(led_by,): 1})  # type: ignore[misc]
            client = candidates.enter_context(started(quick_client(zookeeper.hosts)))
            client.create("/election/guid-lock-", name.encode(), ephemeral=True, sequence=True)
            waiting.append((client, name))
            eventually(lambda: series(exporter, "leader_candidates") == {(): len(waiting)})
        assert series(exporter, "leader_owner_changes_total") == {(): 20}


def test_the_oldest_of_too_many_znodes_stay(
    tmp_path: Path, zookeeper: ZooKeeper, client_factory: ClientFactory
) -> None:
    client = client_factory()
    client.ensure_path("/many")
    for result in [client.create_async(f"/many/{number:05}", b"%d" % number) for number in range(MANY)]:
        result.get(timeout=60)
    rule = {"name": "size", "match": "/many/{number}", "value": "number", "max_series": 100}
    with configured_exporter(configured(tmp_path, zookeeper.hosts, rule)) as exporter:
        exporter.wait_ready()
        assert series(exporter, "size", "number") == {(f"{number:05}",): number for number in range(100)}
        assert series(exporter, "rule_dropped_series", "rule") == {("size",): MANY - 100}
        client.delete("/many/00000")
        eventually(lambda: ("00100",) in series(exporter, "size", "number"))
        assert series(exporter, "rule_dropped_series", "rule") == {("size",): MANY - 101}


def test_what_a_rule_cannot_use_is_counted_by_its_reason(
    tmp_path: Path, zookeeper: ZooKeeper, client_factory: ClientFactory
) -> None:
    client = client_factory()
    client.ensure_path("/app")
    client.create("/app/word", b"word")
    client.create("/app/huge", b'"%s"' % (b"x" * 900_000))
    client.create("/app/number", b"3")
    owner = client_factory(auth_data=[("digest", "user:secret")])
    owner.create("/app/hidden", b"4", acl=[make_digest_acl("user", "secret", all=True)])
    rule = {"name": "value", "match": "/app/{name}", "value": "json", "key": ""}
    with configured_exporter(configured(tmp_path, zookeeper.hosts, rule)) as exporter:
        exporter.wait_ready()

        def unusable() -> dict[tuple[str, ...], float]:
            return {key: value for key, value in series(exporter, "rule_unusable", "reason").items() if value}

        assert series(exporter, "value", "name") == {("number",): 3}
        assert unusable() == {("not_json",): 1, ("too_large",): 1, ("unreadable",): 1}
        page = exporter.get("/").text
        assert all(f"1 znode {words}" in page for words in ("not JSON: /app/word", "too large: /app/huge"))
        assert "zookeeper_znode_value" in exporter.get("/browse?ensemble=main&tree=tree&path=/app/word").text
        client.delete("/app/number")
        client.create("/app/number", b"5")
        client.set("/app/word", b"6.5")
        client.set("/app/huge", b"true")
        owner.set_acls("/app/hidden", [*client.get_acls("/")[0]])
        client.delete("/app/hidden")
        expected = {("number",): 5, ("word",): 6.5, ("huge",): 1}
        eventually(lambda: series(exporter, "value", "name") == expected)
        assert unusable() == {}


def test_values_stay_while_zookeeper_stands_still(tmp_path: Path, own_zookeeper: ZooKeeperServer) -> None:
    with started(quick_client(own_zookeeper.hosts)) as client:
        client.create("/queue", b"7")
        client.create("/queue/task")
    rules = [{"name": value, "match": "/queue", "value": value} for value in ("children", "number", "child_changes")]
    config = configured(tmp_path, own_zookeeper.hosts, *rules, session_timeout=f"{1000 * BRIEF_SESSION:g}ms")
    with configured_exporter(config) as exporter:
        exporter.wait_ready()
        own_zookeeper.suspend()
        try:
            eventually(lambda: exporter.metric("zookeeper_client_up") == 0)
            assert [series(exporter, name) for name in ("children", "number", "child_changes_total")] == [
                {(): 1},
                {(): 7},
                {(): 0},
            ]
        finally:
            own_zookeeper.resume()


def test_a_reload_changes_the_rules(tmp_path: Path, zookeeper: ZooKeeper, client_factory: ClientFactory) -> None:
    client_factory().create("/config", b"3")
    first = {"name": "first", "match": "/config", "value": "number"}
    config = configured(tmp_path, zookeeper.hosts, first)
    with configured_exporter(config) as exporter:
        exporter.wait_ready()
        assert series(exporter, "first") == {(): 3}
        configured(tmp_path, zookeeper.hosts, {**first, "name": "second"})
        exporter.send_signal(signal.SIGHUP)
        eventually(lambda: series(exporter, "second") == {(): 3})
        assert series(exporter, "first") == {}
        assert "zookeeper_znode_second" in exporter.get("/metrics?name[]=zookeeper_znode_second").text
        configured(tmp_path, zookeeper.hosts, {**first, "value": "nonsense"})
        exporter.send_signal(signal.SIGHUP)
        eventually(lambda: exporter.metric("treecache_exporter_config_last_reload_successful") == 0)
        assert series(exporter, "second") == {(): 3}
        configured(tmp_path, zookeeper.hosts)
        exporter.send_signal(signal.SIGHUP)
        eventually(lambda: series(exporter, "second") == {})
        assert exporter.metric("zookeeper_client_sessions_lost_total") == 0


def test_other_rules_for_the_same_data_do_not_read_the_tree_again(
    tmp_path: Path, zookeeper: ZooKeeper, client_factory: ClientFactory
) -> None:
    client = client_factory()
    client.create("/config", b"3")
    first = {"name": "first", "match": "/config", "value": "number"}
    with configured_exporter(configured(tmp_path, zookeeper.hosts, first)) as exporter:
        exporter.wait_ready()
        second = {"name": "second", "match": "/{any}", "value": "created"}
        configured(tmp_path, zookeeper.hosts, {**first, "name": "renamed"}, second)
        exporter.send_signal(signal.SIGHUP)
        eventually(lambda: series(exporter, "renamed") == {(): 3})
        assert ("config",) in series(exporter, "second_timestamp_seconds", "any")
        client.set("/config", b"4")
        eventually(lambda: series(exporter, "renamed") == {(): 4})
        assert exporter.metric("zookeeper_cache_syncs_total") == 1
        # That of the config is not kept for a rule that reads all data.
        configured(tmp_path, zookeeper.hosts, {**first, "match": "/{any}"})
        exporter.send_signal(signal.SIGHUP)
        eventually(lambda: series(exporter, "first", "any") == {("config",): 4})


# The preview


def test_a_preview_says_what_rules_make_and_what_they_leave_out(
    tmp_path: Path, zookeeper: ZooKeeper, client_factory: ClientFactory
) -> None:
    client = client_factory()
    for name, data in {"a": b"1", "b": b"2.5", "c": b"word"}.items():
        client.create(f"/app/{name}", data, makepath=True)
    rules: list[dict[str, Any]] = [
        {"name": "value", "match": "/app/{name}", "value": "number", "max_series": 1},
        {"name": "all", "match": "/app/*", "value": "count"},
    ]
    ended = preview(f"--config.file={configured(tmp_path, zookeeper.hosts, *rules)}")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        "main tree: 5 znodes",
        "  value: 1 series",
        '    zookeeper_znode_value{name="a"} 1',
        "    left out: 1 series above the limit of 1",
        "    left out: 1 znode not a number: /app/c",
        "  all: 1 series",
        "    zookeeper_znode_all 3",
    ]
    assert client.get("/app")[1].cversion == 3


def test_a_preview_of_a_tree_that_does_not_load_says_why(tmp_path: Path) -> None:
    config = configured(tmp_path, "127.0.0.1:1", {"name": "x", "match": "/x", "value": "exists"})
    ended = preview(f"--config.file={config}", "--timeout=1s")
    assert ended.returncode == 1
    assert re.fullmatch(
        r"main tree: not complete \(disconnected; connecting failed: refused \([0-9]+\)\)\n", ended.stdout
    )


def test_a_preview_needs_rules(tmp_path: Path) -> None:
    ended = preview(f"--config.file={configured(tmp_path, '127.0.0.1:1')}")
    assert (ended.returncode, ended.stdout) == (0, "No tree has rules.\n")


# Every kind of cache

#: Rules whose series add up over shards: each znode below the root is in one of them.
RULES = [
    *(
        Rule(name=f"each_{value}", match="/app/{child}", value=value, key="/n" if value == "json" else None)
        for value in (
            "count",
            "exists",
            "children",
            "bytes",
            "number",
            "json",
            "version",
            "created",
            "modified",
            "info",
        )
    ),
    *(
        Rule(name=f"all_{value}", match="/app/**/{leaf:[ab].*}", value=value, by=(), aggregate="sum")
        for value in ("children", "bytes", "number", "version")
    ),
    Rule(name="all_count", match="/app/**/{leaf}", value="count", by=(), kind="persistent"),
]
STAT = struct.Struct("!qqqqiiiqiiq")


def said(views: Sequence[RulesView]) -> dict[str, Any]:
    """The series of all views together, and the znodes that rules cannot use, by reason; sums over the views."""
    total: dict[str, Any] = {}
    for snapshot in (snapshot for view in views for snapshot in view.snapshots()):
        for name, numbers in ((snapshot.rule.name, snapshot.series[0][1]), ("unusable", snapshot.unusable)):
            of_it = total.setdefault(f"{snapshot.rule.name} {name}", {})
            for key, number in numbers.items():
                of_it[key] = of_it.get(key, 0) + number
    return total


def from_a_walk(client: KazooClient) -> RulesView:
    """A view of the znodes below the root, which it gets one by one as kazoo reads them."""
    view, left = RulesView(RULES, "/app"), [f"/app/{child}" for child in client.get_children("/app")]
    while left:
        path = left.pop()
        data, stat = client.get(path)
        record = struct.pack("!i", len(data)) + data + STAT.pack(*stat)
        view.changed([Event(TreeEvent.NODE_ADDED, path.removeprefix("/app"), record)])
        left += [f"{path}/{child}" for child in client.get_children(path)]
    view.complete()
    return view


def agree(views: Sequence[RulesView], expected: Mapping[str, Any]) -> bool:
    assert said(views) == expected
    return True


def churn(client: KazooClient, random: Random, changes: int) -> None:
    """Creates, changes and deletes znodes."""
    for _ in range(changes):
        path = "/app" + "".join(f"/{random.choice('abc')}{random.randrange(3)}" for _ in range(random.randint(1, 3)))
        data = random.choice([b"1", b"2.5", b"word", b"", b'{"n": 7}', b'{"n": "x"}'])
        if client.exists(path) is None:
            client.create(path, data, makepath=True)
        elif random.random() < 0.4:
            client.delete(path, recursive=True)
        else:
            client.set(path, data)


def test_every_kind_of_cache_says_what_a_walk_finds(client_factory: ClientFactory) -> None:
    writer, random = client_factory(), Random(1)
    writer.ensure_path("/app")
    churn(writer, random, 60)
    kinds: dict[str, list[Mapping[str, Any]]] = {
        "recursive": [{"mode": "recursive"}],
        "classic": [{"mode": "classic"}],
        "sharded": [{"shard": Shard(ordinal, 2)} for ordinal in range(2)],
    }
    with ExitStack() as caches:
        views: dict[str, list[RulesView]] = {kind: [] for kind in kinds}
        for kind, options in ((kind, options) for kind, of_it in kinds.items() for options in of_it):
            cache = TreeCache(client_factory(), "/app", keep_data=False, **options)
            views[kind].append(ZnodeMetrics(cache, RULES, registry=CollectorRegistry()).view)
            assert caches.enter_context(cache).wait_initialized(60)
        for _ in range(20):
            churn(writer, random, 30)
            expected = said([from_a_walk(writer)])
            assert expected["each_count each_count"]
            for of_it in views.values():
                eventually(functools.partial(agree, of_it, expected))
