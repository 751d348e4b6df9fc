"""TLS, digest and SASL by a configuration file, with real servers; and no output contains a secret."""

from __future__ import annotations

import base64
import contextlib
import gc
import hashlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from kazoo.security import make_acl, make_digest_acl

from exporter.config.source import load
from exporter.daemon.ensemble import WatchedEnsemble
from exporter.demo.ports import free_port
from exporter.demo.server import NETTY, ZooKeeperServer
from exporter.zookeeper.kazoo.seam import adapt
from tests import plainhttp
from tests.conftest import TICK_TIME, connected
from tests.integration.processes import STOP_LIMIT, Exporter, configured_exporter
from tests.support import eventually

# kazoo does not close a socket whose TLS handshake failed; the garbage collector does.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")

DIGEST_SECRET, OTHER_SECRET = "digest-hunter2", "other-hunter2"
SASL_SECRET, KEY_SECRET = "sasl-hunter2", "key-hunter2"

JAAS = """\
Server {
  org.apache.zookeeper.server.auth.DigestLoginModule required user_exporter="%s";
};
"""


def write_pem(folder: Path, certificate: trustme.LeafCert, password: bytes | None = None) -> None:
    """key.pem, cert.pem and, for Java, both.pem."""
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), password=None)
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    key_pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    for name, content in {"key": key_pem, "cert": chain, "both": key_pem + chain}.items():
        (folder / f"{name}.pem").write_bytes(content)


class SecureZooKeeper:
    """A server with a plain port, a port for TLS with client certificates, and users for SASL."""

    def __init__(self, folder: Path) -> None:
        authority, other = trustme.CA(), trustme.CA()
        self.folder = folder
        self.secure_port = free_port()
        for name, certificate, password in (
            ("server", authority.issue_cert("127.0.0.1"), None),
            ("client", authority.issue_cert("client@example.org"), KEY_SECRET.encode()),
            ("stranger", other.issue_cert("client@example.org"), None),
        ):
            (folder / name).mkdir()
            write_pem(folder / name, certificate, password)
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        other.cert_pem.write_to_path(str(folder / "other-ca.pem"))
        (folder / "jaas.conf").write_text(JAAS % SASL_SECRET)
        self.server = ZooKeeperServer(
            tick_time=TICK_TIME,
            system_properties={
                **NETTY,
                "java.security.auth.login.config": str(folder / "jaas.conf"),
                "zookeeper.authProvider.1": "org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
            },
            config={
                "secureClientPort": str(self.secure_port),
                "secureClientPortAddress": "127.0.0.1",
                "ssl.keyStore.location": str(folder / "server" / "both.pem"),
                "ssl.trustStore.location": str(folder / "ca.pem"),
                "ssl.clientAuth": "need",
                "ssl.hostnameVerification": "false",
            },
        )

    @property
    def secure_hosts(self) -> str:
        return f"127.0.0.1:{self.secure_port}"


@pytest.fixture(scope="module")
def zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureZooKeeper]:
    """A server with three znodes, readable by everyone, by a digest user and by a SASL user."""
    secure = SecureZooKeeper(tmp_path_factory.mktemp("secure"))
    with secure.server, connected(secure.server.hosts) as client:
        client.create("/tree")
        client.create("/tree/open")
        client.create("/tree/digest", acl=[make_digest_acl("reader", DIGEST_SECRET, read=True)])
        client.create("/tree/sasl", acl=[make_acl("sasl", "exporter", read=True)])
        yield secure


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Collects kazoo's garbage while its warnings are still expected."""
    yield
    gc.collect()


def configured(folder: Path, hosts: str, **ensemble: Any) -> Path:
    """A configuration file with one ensemble and the tree /tree."""
    config = folder / "config.yml"
    whole = {"name": "main", "hosts": hosts, "session_timeout": "2s", "trees": [{"path": "/tree"}], **ensemble}
    config.write_text(json.dumps({"ensembles": [whole]}))
    return config


@contextlib.contextmanager
def watching(config: Path) -> Iterator[WatchedEnsemble]:
    ensemble = WatchedEnsemble(*load(config))
    ensemble.start()
    try:
        yield ensemble
    finally:
        ensemble.stop()


def unreadable(ensemble: WatchedEnsemble) -> int | None:
    """The number of unreadable znodes once the tree is loaded."""
    stats = ensemble.source.caches["/tree"].stats()
    return stats.unreadable_nodes if stats.initialized else None


def nothing_tells(exporter: Exporter, *secrets: str) -> None:
    """No log, page, answer or metric contains a secret in any form, or the password of the session."""
    pages = [exporter.get(path).text for path in ("/", "/metrics", "/browse?ensemble=main&tree=/tree&path=/tree")]
    answers = [first_event(exporter), plainhttp.post(f"{exporter.url}/-/reload").text]
    connects = [line["event"] for line in exporter.log_lines() if "Connect(" in line["event"]]
    assert connects
    assert all("passwd='(credentials)'" in event for event in connects)
    told = "".join([*map(json.dumps, exporter.log_lines()), exporter.printed(), *pages, *answers])
    for secret in secrets:
        digest = base64.b64encode(hashlib.sha1(f"reader:{secret}".encode()).digest()).decode()
        for form in (secret, secret.encode().hex(), base64.b64encode(secret.encode()).decode(), digest):
            assert form not in told


def first_event(exporter: Exporter) -> str:
    """The first message to an open page."""
    with plainhttp.stream("GET", f"{exporter.url}/-/events") as response:
        return next(line for line in response.iter_lines() if line.startswith("data: {"))


def test_without_credentials_only_what_is_open_is_readable(tmp_path: Path, zookeeper: SecureZooKeeper) -> None:
    with watching(configured(tmp_path, zookeeper.server.hosts)) as ensemble:
        eventually(lambda: unreadable(ensemble) == 2)


def test_digest_from_a_file_and_from_the_environment(tmp_path: Path, zookeeper: SecureZooKeeper) -> None:
    (tmp_path / "password").write_text(DIGEST_SECRET + "\n")
    users = [{"username": "reader", "password_file": "password"}, {"username": "other", "password": "${OTHER}"}]
    config = configured(tmp_path, zookeeper.server.hosts, digest=users)
    with configured_exporter(config, ["--log.level=debug"], {"OTHER": OTHER_SECRET}) as exporter:
        exporter.wait_ready()
        assert exporter.metric("zookeeper_cache_unreadable_nodes") == 1
        # More if it had to connect again.
        assert len([line for line in exporter.log_lines() if line["event"].endswith("(credentials)")]) >= 2
        nothing_tells(exporter, DIGEST_SECRET, OTHER_SECRET)


def test_a_slip_in_the_configuration_tells_nothing_when_it_is_reloaded(
    tmp_path: Path, zookeeper: SecureZooKeeper
) -> None:
    config = configured(tmp_path, zookeeper.server.hosts)
    flags = ["--log.level=debug", "--web.enable-lifecycle"]
    with configured_exporter(config, flags, {"OTHER": OTHER_SECRET}) as exporter:
        exporter.wait_ready()
        users = [{"username": f"reader:{DIGEST_SECRET}", "password": "x"}, {"username": "u", "password": 1}]
        configured(tmp_path, zookeeper.server.hosts, digest=users)
        nothing_tells(exporter, DIGEST_SECRET, OTHER_SECRET)
        configured(tmp_path, zookeeper.server.hosts, digest=[{"username": "u", "password_file": "/${OTHER}"}])
        nothing_tells(exporter, DIGEST_SECRET, OTHER_SECRET)
        refusals = [line["reason"] for line in exporter.wait_logged("configuration refused", 3)]
        assert [reason.partition(": ")[2].partition(";")[0] for reason in refusals] == [
            "ensembles[0].digest[0].username: a colon ends the name in ZooKeeper's digest scheme",
            "ensembles[0].digest[1].password: not a string, or empty",
            "ensembles[0].digest[0].password_file=/${OTHER}: cannot be read: No such file or directory",
        ]


def test_a_wrong_sasl_password_is_tried_again_and_a_reload_mends_it(tmp_path: Path, zookeeper: SecureZooKeeper) -> None:
    (tmp_path / "password").write_text("wrong-hunter2")
    sasl = {"mechanism": "DIGEST-MD5", "username": "exporter", "password_file": "password"}
    config = configured(tmp_path, zookeeper.server.hosts, sasl=sasl)
    with configured_exporter(config, ["--log.level=debug"]) as exporter:
        failures = exporter.wait_logged("authentication failed", 2)
        assert [line["retry_in"] for line in failures[:2]] == ["1s", "2s"]
        eventually(lambda: exporter.metric("zookeeper_client_sessions_lost_total", reason="auth_failed") >= 2)
        (tmp_path / "password").write_text(SASL_SECRET)
        exporter.send_signal(signal.SIGHUP)
        exporter.wait_ready()
        eventually(lambda: exporter.metric("zookeeper_cache_unreadable_nodes") == 1)
        assert not exporter.logged("session lost")
        nothing_tells(exporter, "wrong-hunter2", SASL_SECRET)
        status, seconds = exporter.stop()
        assert status == 0
        assert seconds < STOP_LIMIT


def test_a_client_whose_password_becomes_right_goes_on_by_itself(
    tmp_path: Path, zookeeper: SecureZooKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("exporter.daemon.ensemble.FIRST_REVIVAL", 0.1)
    sasl = {"mechanism": "DIGEST-MD5", "username": "exporter", "password": "wrong"}
    with watching(configured(tmp_path, zookeeper.server.hosts, sasl=sasl)) as ensemble:
        eventually(lambda: ensemble.source.client.stats().sessions_lost["auth_failed"] == 2)
        # As if it had been fixed on the server.
        options = adapt(ensemble._client).sasl_options
        assert options is not None
        options["password"] = SASL_SECRET
        eventually(lambda: unreadable(ensemble) == 1)


# TLS


def tls(zookeeper: SecureZooKeeper, who: str = "client", **changes: Any) -> dict[str, Any]:
    files = {"cert_file": zookeeper.folder / who / "cert.pem", "key_file": zookeeper.folder / who / "key.pem"}
    options = {"ca_file": zookeeper.folder / "ca.pem", **files, **changes}
    if who == "client":
        options["key_password"] = KEY_SECRET
    return {key: str(value) if isinstance(value, Path) else value for key, value in options.items()}


@pytest.mark.parametrize(
    ("host", "changes"),
    [
        ("127.0.0.1", {}),
        ("127.0.0.1", {"ca_file": "other-ca.pem", "insecure_skip_verify": True}),
        ("localhost", {"check_hostname": False}),
    ],
)
def test_tls_to_a_server_that_is_trusted(zookeeper: SecureZooKeeper, host: str, changes: dict[str, Any]) -> None:
    config = configured(zookeeper.folder, f"{host}:{zookeeper.secure_port}", tls=tls(zookeeper, **changes))
    with watching(config) as ensemble:
        eventually(lambda: unreadable(ensemble) == 2)


@pytest.mark.parametrize(
    ("host", "who", "changes"),
    [
        ("127.0.0.1", "client", {"ca_file": "other-ca.pem"}),
        ("localhost", "client", {}),
        ("127.0.0.1", "stranger", {}),
    ],
)
def test_no_tls_with_a_stranger(zookeeper: SecureZooKeeper, host: str, who: str, changes: dict[str, Any]) -> None:
    config = configured(zookeeper.folder, f"{host}:{zookeeper.secure_port}", tls=tls(zookeeper, who, **changes))
    with watching(config) as ensemble:
        eventually(lambda: ensemble.source.client.stats().connection_attempts >= 2)
        assert ensemble.source.client.stats().transitions["connected"] == 0
        assert ensemble.source.client.stats().connection_failures["tls"] > 0


def test_nothing_tells_the_password_of_a_key(zookeeper: SecureZooKeeper) -> None:
    config = configured(zookeeper.folder, zookeeper.secure_hosts, tls=tls(zookeeper))
    with configured_exporter(config, ["--log.level=debug"]) as exporter:
        exporter.wait_ready()
        nothing_tells(exporter, KEY_SECRET)
