"""TLS and users over real connections: who is admitted, and what changes when the files change."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path

import bcrypt
import httpx
import pytest
import structlog

from exporter.config.settings import SettingsError
from exporter.config.web import load
from exporter.web import current
from exporter.web.current import CurrentConfig
from exporter.web.tls import has_allowed_name
from tests import plainhttp
from tests.support import being_read, eventually
from tests.web.certificates import Authority
from tests.web.process import received
from tests.web.running import Running, running

SERVER = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
MUTUAL = SERVER + "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(current, "PACE", 0.05)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    made = Authority(tmp_path)
    made.issue("server", "127.0.0.1")
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "web.yml"


def replace_file(file: Path, text: str) -> None:
    """Replaces the file, as tools that rotate certificates do."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, file)


def serial(server: Running, authority: Authority) -> str:
    """The certificate that a new connection gets."""
    with (
        socket.create_connection(("127.0.0.1", server.port)) as plain,
        authority.client_context().wrap_socket(plain, server_hostname="127.0.0.1") as encrypted,
    ):
        return str((encrypted.getpeercert() or {})["serialNumber"])


@pytest.mark.starts
def test_https(file: Path, authority: Authority) -> None:
    file.write_text(SERVER)
    with running(config=load(file)) as server:
        assert server.url.startswith("https://")
        with httpx.Client(base_url=server.url, verify=authority.client_context()) as client:
            for _ in range(2):
                response = client.get("/metrics")
                assert response.status_code == 200
                assert response.headers["x-content-type-options"] == "nosniff"
        assert plainhttp.get(server.url.replace("https", "http")).status_code == 400


@pytest.mark.starts
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "OPTIONS"])
@pytest.mark.parametrize("is_slow", [False, True], ids=["at once", "byte by byte"])
@pytest.mark.usefixtures("authority")
def test_http_where_tls_is_spoken_is_answered_as_by_go(file: Path, method: str, is_slow: bool) -> None:
    file.write_text(SERVER)
    with running(config=load(file)) as server, socket.create_connection(("127.0.0.1", server.port)) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        words = f"{method} /metrics HTTP/1.1\r\n".encode()
        for part in [words[:1], words[1:3], words[3:5]] if is_slow else [words]:
            plain.sendall(part)
        assert received(plain) == (b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")


@pytest.mark.starts
def test_a_hello_may_come_byte_by_byte(file: Path, authority: Authority) -> None:
    file.write_text(SERVER)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = authority.client_context().wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with running(config=load(file)) as server, socket.create_connection(("127.0.0.1", server.port), 10) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                for byte in outgoing.read():
                    plain.sendall(bytes([byte]))
                incoming.write(plain.recv(65536))
        client.write(b"GET /-/healthy HTTP/1.0\r\n\r\n")
        plain.sendall(outgoing.read())
        incoming.write(plain.recv(65536))
        while True:
            try:
                assert client.read().startswith(b"HTTP/1.1 200 ")
                break
            except ssl.SSLWantReadError:
                incoming.write(plain.recv(65536))


@pytest.mark.starts
def test_client_certificates(file: Path, authority: Authority, tmp_path: Path) -> None:
    file.write_text(MUTUAL + "  client_allowed_sans: [prometheus.example, 'fd00::1']\n")
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    contexts = {
        "by name": authority.client_context(authority.issue("a", "prometheus.example")),
        "by address": authority.client_context(authority.issue("b", "fd00::1")),
        "another name": authority.client_context(authority.issue("c", "grafana.example")),
        "another authority": authority.client_context(stranger.issue("d", "prometheus.example")),
        "none": authority.client_context(),
    }
    with running(config=load(file)) as server:
        welcome = {name for name, context in contexts.items() if answers(server, context)}
    assert welcome == {"by name", "by address"}


def answers(server: Running, context: ssl.SSLContext) -> bool:
    try:
        with httpx.Client(base_url=server.url, verify=context) as client:
            return client.get("/metrics").status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.starts
@pytest.mark.parametrize(
    ("options", "maximum", "agreed"),
    [
        ("", None, ("TLSv1.3", "TLS_AES_256_GCM_SHA384")),
        ("  max_version: TLS12\n", None, ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")),
        ("  cipher_suites: [TLS_AES_128_GCM_SHA256]\n", ssl.TLSVersion.TLSv1_2, None),
        (
            "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n  curve_preferences: [CurveP256]\n",
            ssl.TLSVersion.TLSv1_2,
            ("TLSv1.2", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ),
        ("  min_version: TLS13\n", ssl.TLSVersion.TLSv1_2, None),
    ],
)
def test_versions_and_ciphers(
    file: Path, authority: Authority, options: str, maximum: ssl.TLSVersion | None, agreed: tuple[str, str] | None
) -> None:
    file.write_text(SERVER + options)
    context = authority.client_context()
    if maximum is not None:
        context.maximum_version = maximum
    with running(config=load(file)) as server, socket.create_connection(("127.0.0.1", server.port)) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as encrypted:
                cipher = encrypted.cipher()
                found = (encrypted.version() or "", cipher[0] if cipher else "")
        except ssl.SSLError:
            found = None
    assert found == agreed


@pytest.mark.starts
def test_renewed_certificates_are_used_without_a_restart(file: Path, authority: Authority) -> None:
    file.write_text(SERVER)
    with running(config=load(file)) as server:
        first = serial(server, authority)
        authority.issue("server", "127.0.0.1")
        eventually(lambda: serial(server, authority) != first)


@pytest.mark.starts
def test_a_bad_certificate_leaves_the_last_good_one_and_is_logged_once(file: Path, authority: Authority) -> None:
    file.write_text(SERVER)
    certificate = file.with_name("server.crt")
    with structlog.testing.capture_logs() as logged, running(config=load(file)) as server:
        first = serial(server, authority)
        replace_file(certificate, "no certificate")
        eventually(lambda: logged)
        assert [serial(server, authority) for _ in range(3)] == [first] * 3
        assert [entry["log_level"] for entry in logged] == ["error"]
        assert f"cert_file={certificate}: cannot be used with key_file" in logged[0]["reason"]
        authority.issue("server", "127.0.0.1")
        eventually(lambda: serial(server, authority) != first)
    assert logged[-1]["event"] == "web configuration reloaded"


@pytest.mark.starts
def test_users_come_and_go_without_a_restart(file: Path) -> None:
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    file.write_text(f"basic_auth_users: {{alice: {hashed}}}")
    with (
        structlog.testing.capture_logs() as logged,
        running(config=load(file)) as server,
        plainhttp.Client(base_url=server.url) as client,
    ):
        assert client.get("/metrics", auth=("alice", "secret")).status_code == 200
        replace_file(file, f"basic_auth_users: {{bob: {hashed}}}")
        eventually(lambda: client.get("/metrics", auth=("alice", "secret")).status_code == 401)
        assert client.get("/metrics", auth=("bob", "secret")).status_code == 200
        replace_file(file, "basic_auth_users: {")
        eventually(lambda: len(logged) == 2)
        assert client.get("/metrics").status_code == 401
        file.unlink()
        eventually(lambda: len(logged) == 3)
        assert client.get("/metrics").status_code == 401
        replace_file(file, "")
        eventually(lambda: len(logged) == 4)
        assert client.get("/metrics").status_code == 401


@pytest.mark.starts
def test_a_file_that_hangs_holds_up_nobody(file: Path) -> None:
    file.write_text("{}")
    with running(config=load(file)) as server:
        file.unlink()
        os.mkfifo(file)
        with being_read(file):
            assert plainhttp.get(f"{server.url}/metrics").status_code == 200


def test_tls_neither_comes_nor_goes_without_a_restart(file: Path, authority: Authority) -> None:
    file.write_text(SERVER)
    now = CurrentConfig(load(file))
    with structlog.testing.capture_logs() as logged:
        replace_file(file, "{}")
        for _ in range(3):
            now.refresh()
        assert now.config.tls is not None
    assert len(logged) == 1
    assert "tls_server_config cannot be removed without a restart" in logged[0]["reason"]


def test_a_file_that_a_bad_configuration_names_is_waited_for(file: Path, authority: Authority) -> None:
    file.write_text(SERVER)
    now = CurrentConfig(load(file))
    replace_file(file, SERVER.replace("server.", "later."))
    now.refresh()
    assert now.config.tls is not None
    assert now.config.tls.cert_file.name == "server.crt"
    authority.issue("later", "127.0.0.1")
    now.refresh()
    assert now.config.tls.cert_file.name == "later.crt"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            {"server.crt": None},
            "cert_file=.*/server.crt: cannot be read: No such file or directory; accepted: a PEM file",
        ),
        (
            {"server.key": None},
            "key_file=.*/server.key: cannot be read: No such file or directory; accepted: a PEM file",
        ),
        ({"server.crt": ""}, "cert_file=.*/server.crt: cannot be used with key_file"),
        ({"server.key": "?"}, "cert_file=.*/server.crt: cannot be used with key_file"),
        ({"ca.crt": "?"}, "client_ca_file=.*/ca.crt: holds no PEM certificate"),
    ],
)
def test_files_that_cannot_be_used(file: Path, authority: Authority, files: dict[str, str | None], said: str) -> None:
    for name, text in files.items():
        if text is None:
            file.with_name(name).unlink()
        else:
            file.with_name(name).write_text(text)
    file.write_text(MUTUAL)
    with pytest.raises(SettingsError, match=rf"^{file}: tls_server_config\.{said}"):
        CurrentConfig(load(file))


def test_names_in_certificates() -> None:
    names = [("DNS", "a.example"), ("IP Address", "FD00:0:0:0:0:0:0:1"), ("URI", "spiffe://a/b"), ("email", "a@b")]
    for allowed in ("a.example", "fd00::1", "spiffe://a/b", "a@b"):
        assert has_allowed_name(names, [allowed, "x"])
    assert not has_allowed_name(names, ["b.example"])
    assert not has_allowed_name([], ["b.example"])


HASH = "$2y$04$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"


@pytest.mark.parametrize("left", ["", "# nothing\n", "basic_auth_users:\n", "basic_auth_users: {}\n", "{}"])
def test_passwords_do_not_go_with_what_a_file_loses(tmp_path: Path, left: str) -> None:
    (file := tmp_path / "web.yml").write_text(f"basic_auth_users:\n  alice: {HASH}\n")
    now = CurrentConfig(load(file))
    file.write_text(left)
    with structlog.testing.capture_logs() as logged:
        now.refresh()
        now.refresh()
    assert now.config.users == {"alice": HASH.encode()}
    assert [line["log_level"] for line in logged] == ["warning"]
    assert str(file) in logged[0]["reason"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "basic_auth_users:\n", "tls_server_config:\n"])
def test_a_file_that_has_lost_its_content_is_refused_at_the_start(tmp_path: Path, text: str) -> None:
    (file := tmp_path / "web.yml").write_text(text)
    with pytest.raises(SettingsError, match=r"accepted: .*\{\}"):
        load(file)
