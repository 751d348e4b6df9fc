"""Sizes of znodes: with a real ZooKeeper they are what the server's replies weigh."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from kazoo.client import KazooClient
from prometheus_client.parser import text_string_to_metric_families

from exporter.zookeeper.session import Session
from tests.conftest import ClientFactory, ZooKeeper
from tests.integration.processes import Exporter, configured_exporter
from tests.support import eventually

NAMES = [f"größe-{number:05}" for number in range(300)]


def configured(folder: Path, hosts: str, **limits: Any) -> Path:
    """A configuration of one tree with these limits."""
    trees = [{"path": "/sizes", "limits": limits}]
    (config := folder / "config.yml").write_text(
        json.dumps({"ensembles": [{"name": "main", "hosts": hosts, "trees": trees}]})
    )
    return config


def sizes(exporter: Exporter) -> dict[tuple[str, ...], float]:
    """The metrics of sizes, by what follows `zookeeper_cache_` in their names, and their own label."""
    found = {}
    for family in text_string_to_metric_families(exporter.get("/metrics").text):
        for sample in family.samples:
            name = sample.name.removeprefix("zookeeper_cache_")
            if name.startswith(("largest", "limit", "nodes_near", "subtree")):
                own = {key: value for key, value in sample.labels.items() if key not in ("ensemble", "tree")}
                found[(name, *own.values())] = sample.value
    return found


def reply_bytes(client: KazooClient, path: str) -> int:
    """How many bytes the server sends in reply to getChildren, without the length of the frame."""
    session = Session.attach(client)
    before = session.stats().received_bytes
    client.get_children(path)
    return session.stats().received_bytes - before - 4


def fill(client: KazooClient) -> None:
    client.create("/sizes/wide", makepath=True)
    for start in range(0, len(NAMES), 100):
        transaction = client.transaction()
        for name in NAMES[start : start + 100]:
            transaction.create(f"/sizes/wide/{name}", b"12")
        transaction.commit()
    client.create("/sizes/large", b"x" * 9_000)


def test_the_largest_are_what_the_server_sends(
    tmp_path: Path, zookeeper: ZooKeeper, client_factory: ClientFactory
) -> None:
    client = client_factory()
    fill(client)
    with configured_exporter(configured(tmp_path, zookeeper.hosts, jute_maxbuffer=10_000, subtrees=1)) as exporter:
        exporter.wait_ready()
        assert sizes(exporter) == {
            ("largest_node_bytes",): 9_000,
            ("largest_children_count",): 300,
            ("largest_children_list_bytes",): reply_bytes(client, "/sizes/wide"),
            ("limit_bytes",): 10_000,
            ("nodes_near_limit", "data"): 1,
            ("nodes_near_limit", "children_list"): 0,
            ("subtree_nodes", "wide"): 301,
            ("subtree_bytes", "wide"): 600,
            ("subtree_nodes", "other"): 1,
            ("subtree_bytes", "other"): 9_000,
        }
        assert "1 znode near the size limit of 9.8 KiB: /sizes/large" in exporter.get("/").text
        by_size = exporter.get("/browse?ensemble=main&tree=/sizes&path=/sizes&sort=size").text
        assert by_size.index(">large<") < by_size.index(">wide<")
        by_children = exporter.get("/browse?ensemble=main&tree=/sizes&path=/sizes&sort=children").text
        assert by_children.index(">wide<") < by_children.index(">large<")
        client.delete("/sizes/large")
        eventually(lambda: sizes(exporter)["largest_node_bytes",] == 2)
        for name in NAMES[:200]:
            client.delete(f"/sizes/wide/{name}")
        eventually(lambda: sizes(exporter)["largest_children_count",] == 100)
        assert sizes(exporter)["largest_children_list_bytes",] == 0
        assert [line["path"] for line in exporter.wait_logged("znode near the size limit")] == ["/sizes/large"]


def test_other_limits_apply_after_a_reload_without_reading_again(
    tmp_path: Path, zookeeper: ZooKeeper, client_factory: ClientFactory
) -> None:
    fill(client_factory())
    with configured_exporter(configured(tmp_path, zookeeper.hosts)) as exporter:
        exporter.wait_ready()
        assert sizes(exporter)["limit_bytes",] == 1_048_575
        configured(tmp_path, zookeeper.hosts, jute_maxbuffer=9_500)
        exporter.send_signal(signal.SIGHUP)
        eventually(lambda: sizes(exporter).get(("limit_bytes",)) == 9_500)
        assert sizes(exporter)["nodes_near_limit", "data"] == 1
        assert exporter.metric("zookeeper_cache_syncs_total", reason="start") == 1
