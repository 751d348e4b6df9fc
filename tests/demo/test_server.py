"""The launcher of a real ZooKeeper server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from kazoo.client import KazooClient

from exporter.demo.java import LaunchError, find_jars
from exporter.demo.ports import Port
from exporter.demo.server import ZooKeeperServer, four_letter_word
from tests.conftest import ClientFactory, ZooKeeper, connected
from tests.support import alive, eventually


def test_serves_a_client_when_start_returns(own_zookeeper: ZooKeeperServer) -> None:
    with connected(own_zookeeper.hosts) as client:
        assert client.get_children("/") == ["zookeeper"]
    assert own_zookeeper.mntr()["zk_server_state"] == "standalone"
    assert four_letter_word(own_zookeeper.port, b"ruok") == "imok"
    assert "java" in Path(f"/proc/{own_zookeeper.pid}/cmdline").read_text()


def test_stop_leaves_neither_process_nor_directory() -> None:
    with ZooKeeperServer() as server:
        pid, directory = server.pid, server.directory
        assert directory.is_dir()
    assert not alive(pid)
    assert not directory.exists()
    server.stop()


def test_restart_keeps_port_and_data(own_zookeeper: ZooKeeperServer) -> None:
    hosts, pid = own_zookeeper.hosts, own_zookeeper.pid
    with connected(hosts) as client:
        client.create("/kept", b"data")
    own_zookeeper.restart()
    assert own_zookeeper.hosts == hosts
    assert own_zookeeper.pid != pid
    with connected(hosts) as client:
        assert client.get("/kept")[0] == b"data"


def test_a_suspended_server_is_silent_until_it_is_resumed(own_zookeeper: ZooKeeperServer) -> None:
    own_zookeeper.suspend()
    with pytest.raises(OSError, match="timed out"):
        own_zookeeper.four_letter_word(b"ruok", timeout=0.2)
    own_zookeeper.resume()
    assert own_zookeeper.four_letter_word(b"ruok") == "imok"


def test_config_and_system_properties_reach_the_server() -> None:
    with ZooKeeperServer(
        tick_time=321,
        config={"autopurge.snapRetainCount": "7"},
        system_properties={"jute.maxbuffer": "12345"},
    ) as server:
        assert "tickTime=321" in server.four_letter_word(b"conf")
        assert "-Djute.maxbuffer=12345\0" in Path(f"/proc/{server.pid}/cmdline").read_text()
        assert "autopurge.snapRetainCount=7" in (server.directory / "zoo.cfg").read_text()


def test_a_taken_port_is_refused_with_the_reason(own_zookeeper: ZooKeeperServer) -> None:
    second = ZooKeeperServer(port=own_zookeeper.port)
    with pytest.raises(LaunchError, match=rf"(?s)port {own_zookeeper.port}.*BindException"):
        second.start()


def test_a_home_without_jars_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LaunchError, match=rf"no ZooKeeper found in {tmp_path} .*apt-get install"):
        find_jars(tmp_path)
    monkeypatch.setenv("ZOOKEEPER_HOME", str(tmp_path))
    with pytest.raises(LaunchError, match=str(tmp_path)):
        find_jars()


@pytest.mark.parametrize("folder", [".", "lib", "libexec/lib"])
def test_an_explicit_home_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    jar = tmp_path / folder / "zookeeper-3.9.3.jar"
    jar.parent.mkdir(parents=True, exist_ok=True)
    jar.touch()
    monkeypatch.setenv("ZOOKEEPER_HOME", "/nowhere")
    assert find_jars(tmp_path) == [jar]
    monkeypatch.chdir(tmp_path.parent)
    assert find_jars(tmp_path.name) == [jar]


def test_without_java_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError, match=r"no java found in PATH .*default-jre-headless"):
        ZooKeeperServer().start()


PARENT = """
import subprocess, sys
from exporter.demo.server import ZooKeeperServer
server = ZooKeeperServer()
server.start()
sibling = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL, close_fds=False)
print(server.pid, sibling.pid, server.directory, flush=True)
sys.stdin.read()
"""


def test_killing_the_parent_kills_java_and_removes_its_directory() -> None:
    """Even while another child of the parent is running: it has not inherited the pipe that guards java."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        java, sibling, directory = parent.stdout.readline().split()
        assert alive(int(java))
        parent.send_signal(signal.SIGKILL)
    try:
        eventually(lambda: not alive(int(java)))
        eventually(lambda: not Path(directory).exists())
        assert alive(int(sibling))
    finally:
        os.kill(int(sibling), signal.SIGKILL)


def test_the_fixtures_give_each_test_a_root_of_its_own(
    zookeeper: ZooKeeper, client: KazooClient, client_factory: ClientFactory
) -> None:
    client.create("/here", b"")
    assert client_factory(zookeeper.server.hosts).get_children(zookeeper.root) == ["here"]


RESERVE = "from exporter.demo.ports import free_port; import sys; print(free_port(), flush=True); sys.stdin.read()"


def test_a_port_stays_its_owners_while_the_server_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports are also reserved against other processes, until this one ends."""
    with subprocess.Popen(
        [sys.executable, "-c", RESERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        taken = int(other.stdout.readline())
        monkeypatch.setattr("exporter.demo.ports.PORTS", range(taken, taken + 1))
        with pytest.raises(LaunchError, match=f"no free loopback port between {taken} and {taken}"):
            Port.reserve()
        other.kill()
    port = Port.reserve()
    assert port.number == taken
    with pytest.raises(LaunchError):
        Port.reserve()
    port.release()
    Port.reserve().release()
