"""Packs with a real ZooKeeper: a flag is enough, and a reload turns them on and off without another session."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

from kazoo.recipe.election import Election

from tests.conftest import ClientFactory, ZooKeeper
from tests.integration.processes import Exporter, configured_exporter, preview, running_exporter
from tests.support import eventually, expire


def series(exporter: Exporter, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    """The series of a metric of a pack, by the values of these labels."""
    return exporter.series(f"zookeeper_znode_{name}", *labels)


def test_a_flag_is_enough(tmp_path: Path, zookeeper: ZooKeeper, client_factory: ClientFactory) -> None:
    brokers = [client_factory() for _ in range(2)]
    for number, broker in enumerate(brokers):
        broker.create(f"/brokers/ids/{number}", b'{"version":5}', ephemeral=True, makepath=True)
    controller = json.dumps({"version": 2, "brokerid": 0, "timestamp": "1700000000000"}).encode()
    brokers[0].create("/controller", controller, ephemeral=True)
    brokers[1].create("/service/main/initialize", b"7300000000000000000", makepath=True)
    brokers[1].create("/service/main/leader", b"pg-1", ephemeral=True)
    with running_exporter(tmp_path, zookeeper.hosts, flags=("--pack=kafka", "--pack=patroni")) as exporter:
        exporter.wait_ready()
        assert series(exporter, "kafka_brokers", "tree") == {("/",): 2}
        assert series(exporter, "kafka_controller_info", "owner") == {("0",): 1}
        assert series(exporter, "patroni_leader_info", "scope", "owner") == {("main", "pg-1"): 1}
        assert brokers[0].client_id is not None
        expire(brokers[0].client_id, zookeeper.hosts)
        eventually(lambda: series(exporter, "kafka_brokers") == {(): 1})
        assert series(exporter, "kafka_controller_info", "owner") == {}
        brokers[1].create("/controller", controller.replace(b": 0", b": 1"), ephemeral=True)
        eventually(lambda: series(exporter, "kafka_controller_owner_changes_total") == {(): 1})


def test_a_reload_turns_packs_on_and_off(tmp_path: Path, zookeeper: ZooKeeper, client_factory: ClientFactory) -> None:
    client = client_factory()
    client.create("/prod/spark/master_status/worker_worker-1", b"\xac\xed", makepath=True)
    election = Election(client, "/prod/spark/leader_election", "spark://host-1:7077")

    def configured(*packs: str) -> Path:
        trees: list[dict[str, Any]] = [{"path": "/prod/spark", "packs": packs}]
        file = tmp_path / "config.yml"
        file.write_text(json.dumps({"ensembles": [{"name": "main", "hosts": zookeeper.hosts, "trees": trees}]}))
        return file

    with configured_exporter(configured()) as exporter:
        exporter.wait_ready()
        assert series(exporter, "spark_workers") == {}
        configured("spark")
        exporter.send_signal(signal.SIGHUP)
        eventually(lambda: series(exporter, "spark_workers") == {(): 1})

        def leads() -> None:
            owner = {("spark://host-1:7077",): 1.0}
            eventually(lambda: series(exporter, "spark_master_info", "owner") == owner)

        election.run(leads)
        configured()
        exporter.send_signal(signal.SIGHUP)
        eventually(lambda: series(exporter, "spark_workers") == {})
        assert exporter.metric("zookeeper_client_sessions_lost_total") == 0


def test_a_preview_takes_flags_that_name_trees_and_packs_or_a_file_that_does(
    tmp_path: Path, zookeeper: ZooKeeper, client_factory: ClientFactory
) -> None:
    client = client_factory()
    client.create("/prod/spark/master_status/worker_worker-1", b"\xac\xed", makepath=True)
    client.create("/hbase/rs/host-1,16020,1700000000000", ephemeral=True, makepath=True)
    hosts = f"--zookeeper.hosts={zookeeper.hosts}"
    ended = preview(hosts, "--zookeeper.name=main", "--treecache.path=/prod/spark", "--pack=spark")
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert lines[0] == "main /prod/spark: 3 znodes"
    assert "    zookeeper_znode_spark_workers 1" in lines
    trees = [{"path": "/prod/spark", "packs": ["spark"]}]
    file = tmp_path / "config.yml"
    file.write_text(json.dumps({"ensembles": [{"name": "main", "hosts": zookeeper.hosts, "trees": trees}]}))
    assert preview(f"--config.file={file}").stdout == ended.stdout
    # The trees at the roots of the packs.
    of_both = preview(hosts, "--pack=hbase", "--pack=spark").stdout.splitlines()
    assert [line for line in of_both if not line.startswith(" ")] == [
        "default /hbase: 3 znodes",
        "default /spark: 0 znodes",
    ]
    assert "    zookeeper_znode_hbase_regionservers 1" in of_both
