"""The pack for Spark with Spark: failovers to the other master, to none, and back."""

from __future__ import annotations

import contextlib
from pathlib import Path

from exporter.demo.server import ZooKeeperServer
from tests.conftest import connected
from tests.support import eventually
from tests.systems.program import LIMIT, Program
from tests.systems.spark import application, driver, masters, worker
from tests.systems.watching import Watch, watching


def leads(watch: Watch, master: Program, candidates: int, changes: int) -> str:
    """Waits until a master leads, one of so many, after so many changes; returns its session, as the pack names it."""
    watch.says("master_candidates", {(): candidates})
    watch.says("master_owner_changes_total", {(): changes})
    eventually(lambda: master.asked()["status"] == "ALIVE", timeout=LIMIT, interval=0.5)
    [(owner,)] = watch.series("master_info", "owner")
    assert owner.startswith("session 0x")
    return owner


def recorded(watch: Watch, **counts: int) -> None:
    """Waits until the masters have recorded so many workers, applications and drivers."""
    for name, count in counts.items():
        watch.says(name, {(): count})


def test_failovers(tmp_path: Path, server: ZooKeeperServer) -> None:
    with contextlib.ExitStack() as world:
        first, second, address = world.enter_context(masters(server.hosts))
        works, runs, waits = (world.enter_context(one(address)) for one in (worker, application, driver))
        watch = world.enter_context(watching(tmp_path, server.hosts, "spark"))
        client = world.enter_context(connected(server.hosts))
        first.start()
        leader = leads(watch, first, candidates=1, changes=0)
        second.start()
        assert leads(watch, first, candidates=2, changes=0) == leader
        eventually(lambda: second.asked()["status"] == "STANDBY", timeout=LIMIT, interval=0.5)
        recorded(watch, workers=0, applications=0, drivers=0)
        for one in (works, runs, waits):
            one.start()
        recorded(watch, workers=1, applications=1, drivers=1)
        watch.alerts()
        first.kill()
        assert leads(watch, second, candidates=1, changes=1) != leader
        # A new leader forgets drivers that no worker has, unless they are supervised.
        recorded(watch, workers=1, applications=1, drivers=0)
        watch.alerts("SparkStandbyMissing")
        second.kill()
        # Curator makes the directory a container, and ZooKeeper deletes an empty one.
        eventually(lambda: client.exists("/spark/leader_election") is None, timeout=LIMIT)
        watch.says("master_candidates", {})
        watch.says("master_info", {}, "owner")
        watch.says("initialized", {(): 1})
        watch.alerts("SparkMasterMissing")
        first.start()
        leads(watch, first, candidates=1, changes=2)
        second.start()
        leads(watch, first, candidates=2, changes=2)
        recorded(watch, workers=1, applications=1, drivers=0)
        watch.alerts()
        works.kill()
        runs.stop()
        recorded(watch, workers=0, applications=0, drivers=0)
        watch.alerts("SparkWorkersMissing")
        first.stop()
        second.stop()
