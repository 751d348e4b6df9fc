"""The servers' own numbers, from real servers: the same that mntr says, through elections, reloads and hangs."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from kazoo.client import KazooClient

from exporter.config.settings import Ensemble as Settings
from exporter.config.settings import Servers, Tree
from exporter.daemon.ensemble import WatchedEnsemble
from exporter.demo.ports import free_port
from exporter.demo.server import ZooKeeperServer, mntr
from exporter.servers.collector import ServersCollector
from exporter.telemetry.collecting import registry_of
from exporter.telemetry.sources import EnsembleSource
from tests.conftest import ZooKeeper
from tests.faults.ensemble import Ensemble, Member
from tests.integration.processes import running_exporter
from tests.support import eventually

#: Often enough to see an election; patient enough for a busy machine.
OFTEN = Servers(interval=0.1, timeout=5.0)
#: Numbers that no poll changes, and nothing else while a test looks on.
STEADY = (
    "zk_znode_count",
    "zk_ephemerals_count",
    "zk_watch_count",
    "zk_approximate_data_size",
    "zk_max_file_descriptor_count",
    "zk_global_sessions",
    "zk_quorum_size",
)

Samples = Mapping[tuple[str, str], float]


@contextmanager
def watching(settings: Settings) -> Iterator[WatchedEnsemble]:
    watched = WatchedEnsemble(settings)
    watched.start()
    try:
        yield watched
    finally:
        watched.stop()


def samples(source: EnsembleSource) -> Samples:
    """The values of the samples that have no labels of their own, by name and server."""
    families = ServersCollector([source]).collect()
    return {
        (sample.name, sample.labels["zk_host"]): sample.value
        for family in families
        for sample in family.samples
        if sample.labels.keys() == {"ensemble", "zk_host"}
    }


def clients(source: EnsembleSource) -> dict[str, float]:
    """The connections of each client, by address."""
    return {
        sample.labels["client_address"]: sample.value
        for family in ServersCollector([source]).collect()
        for sample in family.samples
        if sample.name == "zookeeper_ensemble_client_connections"
    }


def leaders(found: Samples) -> float:
    """The sum of `zk_server_leader`."""
    return sum(value for (name, _), value in found.items() if name == "zk_server_leader")


def up(found: Samples) -> dict[str, float]:
    return {host: value for (name, host), value in found.items() if name == "zk_up"}


@contextmanager
def history(look: Callable[[], float]) -> Iterator[list[float]]:
    """The values that are seen from before the block to its end, each once in a row."""
    seen, ended = [look()], threading.Event()

    def keep_looking() -> None:
        while not ended.wait(0.02):
            seen.append(look())

    thread = threading.Thread(target=keep_looking)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()
        seen[:] = [value for value, _ in itertools.groupby(seen)]


@pytest.fixture(scope="module")
def of_all_tests() -> Iterator[Ensemble]:
    with Ensemble() as running:
        yield running


@pytest.fixture
def ensemble(of_all_tests: Ensemble) -> Iterator[Ensemble]:
    """Three servers; what a test stops is started again."""
    yield of_all_tests
    of_all_tests.heal()


@pytest.fixture(scope="module")
def watched(of_all_tests: Ensemble) -> Iterator[WatchedEnsemble]:
    client = KazooClient(of_all_tests.hosts)
    client.start(30)
    client.create("/services", b"x" * 100)
    client.stop()
    client.close()
    with watching(Settings("main", of_all_tests.hosts, (Tree("/", "/"),), servers=OFTEN)) as watched:
        yield watched


def until(watched: WatchedEnsemble, condition: Callable[[Samples], bool]) -> Samples:
    return eventually(lambda: found if condition(found := samples(watched.source)) else {}, timeout=60)


def test_numbers_are_those_of_mntr(ensemble: Ensemble, watched: WatchedEnsemble) -> None:
    def all_equal() -> bool:
        found = samples(watched.source)
        for member in ensemble.members:
            said = mntr(member.port)
            for name in STEADY:
                assert found.get((name, member.client_address)) == float(said[name]), name
        return True

    assert eventually(all_equal, timeout=60)
    assert up(samples(watched.source)) == {member.client_address: 1 for member in ensemble.members}


def test_connections_are_counted_by_client(ensemble: Ensemble, watched: WatchedEnsemble) -> None:
    def counted(*addresses: str) -> list[float | None]:
        found = clients(watched.source)
        return [found.get(address) for address in addresses]

    with contextlib.ExitStack() as opened:
        # ZooKeeper lists a connection that has no session too.
        for member, source in zip(ensemble.members, ("127.0.0.3", "127.0.0.4", "127.0.0.4"), strict=True):
            address = (member.host, member.port)
            opened.enter_context(socket.create_connection(address, 30, source_address=(source, 0)))
        eventually(lambda: counted("127.0.0.3", "127.0.0.4") == [1, 2], timeout=60)
        # The polls themselves.
        assert eventually(lambda: (counted("127.0.0.1")[0] or 0) >= 3, timeout=60)
    assert eventually(lambda: clients(watched.source).keys() == {"127.0.0.1"}, timeout=60)


def test_adminserver_says_whose_connections_there_are() -> None:
    admin = free_port()
    config = {
        # `conf` for the launcher.
        "4lw.commands.whitelist": "srvr, conf",
        "admin.enableServer": "true",
        "admin.serverAddress": "127.0.0.1",
        "admin.serverPort": str(admin),
    }
    servers = replace(OFTEN, admin=f"http://{{host}}:{admin}")
    with (
        ZooKeeperServer(config=config) as server,
        socket.create_connection(("127.0.0.1", server.port), 30, source_address=("127.0.0.3", 0)),
        watching(Settings("admin", server.hosts, (Tree("/", "/"),), servers=servers)) as watched,
    ):
        eventually(lambda: clients(watched.source) == {"127.0.0.1": 1, "127.0.0.3": 1}, timeout=60)


def test_a_killed_leader_is_missed_and_replaced(ensemble: Ensemble, watched: WatchedEnsemble) -> None:
    until(watched, lambda found: leaders(found) == 1 and sum(up(found).values()) == 3)
    leader = ensemble.leader
    with history(lambda: leaders(samples(watched.source))) as seen:
        leader.kill()
        eventually(lambda: 0 in seen and seen[-1] == 1, timeout=60)
    assert seen == [1, 0, 1]
    found = samples(watched.source)
    # Nothing but this of the server that is gone.
    assert {name: value for (name, of), value in found.items() if of == leader.client_address} == {
        "zk_up": 0,
        "zookeeper_server_malformed_lines_total": 0,
    }
    ensemble.heal()
    until(watched, lambda found: sum(up(found).values()) == 3)


def test_a_server_without_a_quorum_is_down(ensemble: Ensemble, watched: WatchedEnsemble) -> None:
    until(watched, lambda found: sum(up(found).values()) == 3)
    ensemble.lose_quorum()
    alone = ensemble.members[2].client_address
    found = until(watched, lambda found: up(found) == {member.client_address: 0 for member in ensemble.members})
    assert leaders(found) == 0

    def why() -> str:
        assert watched.source.servers is not None
        return next(server.problem for server in watched.source.servers.stats() if server.zk_host == alone)

    # It may hang up instead, as Netty's servers of some releases do.
    closed = "mntr: the server closed the connection without an answer"
    said = "mntr: the server says that it is not serving; it has no quorum, is starting, or leads with leaderServes=no"
    assert eventually(lambda: why() in (closed, said), timeout=60)
    ensemble.heal()
    until(watched, lambda found: sum(up(found).values()) == 3)


def test_a_server_that_hangs_delays_no_scrape(ensemble: Ensemble, watched: WatchedEnsemble) -> None:
    until(watched, lambda found: sum(up(found).values()) == 3)
    registry = registry_of([ServersCollector([watched.source])])
    follower = ensemble.followers[0]
    follower.suspend()
    try:
        began = time.monotonic()
        list(registry.collect())
        # A scrape that waited for it would take that long.
        assert time.monotonic() - began < OFTEN.timeout
        until(watched, lambda found: not up(found)[follower.client_address])
        others = [member for member in ensemble.members if member is not follower]
        assert all(up(samples(watched.source))[member.client_address] for member in others)
        (stats,) = (server for server in watched.source.servers.stats() if server.zk_host == follower.client_address)  # type: ignore[union-attr]
        assert stats.problem == "mntr: no answer in time"
    finally:
        follower.resume()
    until(watched, lambda found: sum(up(found).values()) == 3)


def test_servers_are_those_of_the_dynamic_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_client_port(member: Member) -> str:
        return f"{plain(member)}{':participant' if member.number < 3 else ''};{member.client_address}"

    plain = Member.address.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(Member, "address", property(with_client_port))
    with Ensemble(voters=2, observer=True) as ensemble:
        hosts = ensemble.members[0].client_address + "/chroot/that/does/not/exist"
        settings = Settings("discovering", hosts, (Tree("/", "/"),), servers=replace(OFTEN, discover=True))
        with watching(settings) as watched:
            found = until(watched, lambda found: sum(up(found).values()) == 3)
            assert up(found).keys() == {member.client_address for member in ensemble.members}
            assert leaders(found) == 1


def test_the_daemon_shows_servers_by_default(tmp_path: Path, zookeeper: ZooKeeper) -> None:
    with running_exporter(tmp_path, zookeeper.hosts, "/") as exporter:
        zk_host = zookeeper.server.hosts
        eventually(lambda: exporter.metric("zk_up", ensemble="default", zk_host=zk_host) == 1)
        assert exporter.metric("zk_server_state", state="standalone") == 1
        assert exporter.metric("zookeeper_server_source_info", source="mntr") == 1
        assert exporter.metric("treecache_exporter_collector_success", collector="servers") == 1
        probed = exporter.get(f"/probe?target={zk_host}").text
        assert 'zk_server_leader{ensemble="default"} 1.0\n' in probed
        assert exporter.get("/probe?target=127.0.0.1:1").status_code == 400
        assert zk_host in exporter.get("/").text.partition("Servers of default")[2].partition("</table>")[0]


def test_servers_can_be_left_alone(tmp_path: Path, zookeeper: ZooKeeper) -> None:
    with running_exporter(tmp_path, zookeeper.hosts, "/", flags=("--zookeeper.servers=off",)) as exporter:
        exporter.wait_ready()
        assert "\nzk_" not in exporter.get("/metrics").text
        assert "Servers of" not in exporter.get("/").text
        assert exporter.get(f"/probe?target={zookeeper.server.hosts}").status_code == 400


def test_a_reload_changes_polls_without_a_new_session(zookeeper: ZooKeeper) -> None:
    settings = Settings("alone", zookeeper.hosts, (Tree("/", "/"),), servers=None)
    with watching(settings) as watched:
        eventually(lambda: watched.source.client.stats().session_id)
        session = watched.source.client.stats().session_id
        assert watched.source.servers is None
        wanted = replace(settings, servers=OFTEN)
        assert watched.can_become(wanted)
        watched.update(wanted)
        until(watched, lambda found: list(up(found).values()) == [1])
        watched.update(replace(settings, servers=replace(OFTEN, all_names=True)))
        until(watched, lambda found: any(name == "zk_response_packet_cache_hits" for name, _ in found))
        watched.update(settings)
        assert watched.source.servers is None
        assert samples(watched.source) == {}
        assert watched.source.client.stats().session_id == session
    assert "servers of alone" not in {thread.name for thread in threading.enumerate()}
