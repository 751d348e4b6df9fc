"""The cache over TLS: a real server with a secure port, PEM files and client certificates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from kazoo.client import KazooClient

from exporter import TreeCache, TreeEvent
from exporter.config.settings import Servers, Tls
from exporter.demo.ports import free_port
from exporter.demo.server import NETTY, ZooKeeperServer
from exporter.servers.polling import Polling
from exporter.zookeeper.kazoo.seam import adapt
from tests.conftest import TICK_TIME, connected
from tests.support import LONG_SESSIONS, eventually

NODES = 2_000
DATA = b"x" * 4_000


@dataclass(frozen=True)
class Secure:
    """A server with a secure port, and what a client needs to connect to it."""

    server: ZooKeeperServer
    options: dict[str, Any]
    port: int

    def client(self) -> Any:
        """A started TLS client, for a with statement."""
        return connected(f"127.0.0.1:{self.port}", use_ssl=True, check_hostname=True, **self.options)


def write_pem(path: Path, certificate: trustme.LeafCert) -> tuple[str, str, str]:
    """Writes a certificate and its key in two files and, for Java with the key in PKCS 8, in one."""
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), password=None)
    encryption = serialization.NoEncryption()
    key_pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    parts = {"key": key_pem, "cert": chain, "both": key_pem + chain}
    for name, content in parts.items():
        (path / f"{name}.pem").write_bytes(content)
    return str(path / "key.pem"), str(path / "cert.pem"), str(path / "both.pem")


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    authority = trustme.CA()
    trust = tmp_path_factory.mktemp("trust") / "ca.pem"
    authority.cert_pem.write_to_path(str(trust))
    _, _, store = write_pem(tmp_path_factory.mktemp("server"), authority.issue_cert("127.0.0.1", "localhost"))
    key, cert, _ = write_pem(tmp_path_factory.mktemp("client"), authority.issue_cert("client@example.org"))
    port = free_port()
    config = {
        "secureClientPort": str(port),
        "secureClientPortAddress": "127.0.0.1",
        "ssl.keyStore.location": store,
        "ssl.trustStore.location": str(trust),
        "ssl.clientAuth": "need",
        "ssl.hostnameVerification": "false",
        **LONG_SESSIONS,
    }
    with ZooKeeperServer(tick_time=TICK_TIME, system_properties=NETTY, config=config) as server:
        yield Secure(server, {"ca": str(trust), "certfile": cert, "keyfile": key}, port)


@pytest.fixture
def client(secure: Secure) -> Iterator[KazooClient]:
    with secure.client() as client:
        yield client


@pytest.fixture(scope="module")
def large_tree(secure: Secure) -> str:
    """The path of a tree whose replies have many TLS records."""
    with secure.client() as client:
        client.create("/large")
        for creation in [client.create_async(f"/large/{number}", DATA) for number in range(NODES)]:
            creation.get(20)
    return "/large"


@pytest.mark.parametrize("mode", ["recursive", "classic"])
def test_a_large_tree_is_loaded(client: KazooClient, large_tree: str, mode: str) -> None:
    with TreeCache(client, large_tree, mode=mode) as cache:
        assert cache.wait_initialized(30)
        assert len(cache) == NODES + 1
        assert all(cache.get_data(f"{large_tree}/{number}").data == DATA for number in range(NODES))
        assert cache.stats().mode == mode


def test_live_events_and_a_reconnection(client: KazooClient, secure: Secure, large_tree: str) -> None:
    kinds: list[int] = []
    cache = TreeCache(client, large_tree)
    cache.listen(lambda event: kinds.append(event.event_type))
    with cache, secure.client() as writer:
        assert cache.wait_initialized(30)
        for number in range(50):
            writer.create(f"{large_tree}/n{number}", DATA)
        eventually(lambda: len(cache) == NODES + 51)
        adapt(client).hang_up()
        eventually(lambda: TreeEvent.CONNECTION_RECONNECTED in kinds)
        writer.set(f"{large_tree}/0", b"new")
        eventually(lambda: cache.get_data(f"{large_tree}/0").data == b"new")
        for number in range(50):
            writer.delete(f"{large_tree}/n{number}")
        writer.set(f"{large_tree}/0", DATA)
        eventually(lambda: len(cache) == NODES + 1 and cache.get_data(f"{large_tree}/0").data == DATA)


@pytest.mark.parametrize("is_known", [True, False])
def test_the_server_is_asked_for_its_numbers_over_tls(secure: Secure, is_known: bool) -> None:
    ca, cert, key = (Path(secure.options[name]) for name in ("ca", "certfile", "keyfile"))
    tls = Tls(ca, cert, key) if is_known else Tls(ca)
    polling = Polling("main", f"127.0.0.1:{secure.port}", Servers(interval=0.2, timeout=20.0), tls)
    polling.start()
    try:
        (server,) = eventually(lambda: [one for one in polling.stats() if one.is_up is not None], timeout=60)
        assert (server.is_up, server.source) == ((True, "mntr") if is_known else (False, None))
        assert ("zk_znode_count" in server.numbers) == is_known
        # Without a certificate the server sends an alert, and hangs up; the latter may come first.
        assert {reason for reason, count in server.failures.items() if count} <= {"tls", "not_serving"}
        assert any(server.failures.values()) != is_known
    finally:
        polling.stop()


def test_every_change_of_a_burst_arrives(client: KazooClient, secure: Secure) -> None:
    with TreeCache(client, "/burst") as cache, secure.client() as writer:
        assert cache.wait_initialized(10)
        for number in range(3_000):
            writer.create_async(f"/burst/{number}")
        eventually(lambda: len(cache) == 3_001, timeout=20)
