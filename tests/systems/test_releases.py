"""The servers' own numbers from other releases of ZooKeeper: the same names for the same numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config.settings import Ensemble as Settings
from exporter.config.settings import Tree
from exporter.demo.server import mntr
from exporter.servers.names import LISTED_IN_MNTR
from tests.faults.ensemble import Ensemble, Member
from tests.integration.test_servers import OFTEN, STEADY, clients, samples, watching
from tests.support import eventually

#: `make .releases/3.1.3/.stamp` and so on installs them, by the versions of pyspark.
RELEASES = {"3.1.3": "3.4.14", "3.5.9": "3.6.3", "4.3.0": "3.9"}
INSTALLED = Path(__file__).parents[2] / ".releases"
#: Numbers that stand still while nobody writes, by the names of 3.4 and of later releases.
SAME = {*STEADY, "zk_followers", "zk_learners", "zk_synced_followers"}


@pytest.mark.parametrize(("pyspark", "release"), RELEASES.items(), ids=RELEASES.values())
def test_a_release_gives_the_same_names(pyspark: str, release: str) -> None:
    (jars,) = (INSTALLED / pyspark).glob("lib/python3*/site-packages/pyspark/jars")
    assert [jar for jar in jars.glob("zookeeper-[0-9]*.jar") if jar.stem.startswith(f"zookeeper-{release}")]
    with (
        Ensemble(voters=2, home=str(jars)) as ensemble,
        watching(Settings("main", ensemble.hosts, (Tree("/", "/"),), servers=OFTEN)) as watched,
    ):

        def agrees(member: Member) -> bool:
            said, found = mntr(member.port), samples(watched.source)
            given = {name: found[name, zk_host] for name, zk_host in found if zk_host == member.client_address}
            missing = (said.keys() & LISTED_IN_MNTR) - given.keys()
            assert not missing
            assert {name: given[name] for name in SAME & said.keys()} == {
                name: float(said[name]) for name in SAME & said.keys()
            }
            return True

        for member in ensemble.members:
            assert eventually(lambda member=member: agrees(member), timeout=60)  # type: ignore[misc]
        found = samples(watched.source)
        assert sorted(found["zk_server_leader", member.client_address] for member in ensemble.members) == [0, 1]
        assert all(found["zk_up", member.client_address] for member in ensemble.members)
        # The polls themselves.
        assert eventually(lambda: clients(watched.source).get("127.0.0.1", 0) >= 2, timeout=60)
