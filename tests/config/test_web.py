"""The web configuration: exporter-toolkit's format, and one clear line for each mistake in a file."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.config.sections import parse
from exporter.config.settings import SettingsError
from exporter.config.web import CIPHER_SUITES, CURVES, HEADERS, TlsConfig, WebConfig, interpret, load
from exporter.config.yamlfile import SIZE_LIMIT
from tests.faults.size import size

EXAMPLE = Path(__file__).parents[2] / "examples" / "web-config.yml"
DOCUMENT = Path(__file__).parents[2] / "docs" / "web-configuration.md"
HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "web.yml"


def loaded(file: Path, text: str) -> WebConfig:
    file.write_text(text)
    return load(file)


def complaint(file: Path, text: str) -> str:
    """The complaint about a file, without its path."""
    file.write_text(text)
    with pytest.raises(SettingsError) as raised:
        load(file)
    assert str(raised.value).startswith(f"{file}:")
    return str(raised.value).removeprefix(f"{file}:")


def test_the_example_is_what_it_says() -> None:
    config = load(EXAMPLE)
    assert config.tls == TlsConfig(EXAMPLE.parent / "exporter.crt", EXAMPLE.parent / "exporter.key")
    assert config.headers == {"Strict-Transport-Security": "max-age=31536000"}
    assert list(config.users) == ["prometheus"]


def test_everything_at_once(file: Path) -> None:
    config = loaded(
        file,
        f"""
        tls_server_config:
          cert_file: a.crt
          key_file: /etc/a.key
          client_auth_type: RequireAndVerifyClientCert
          client_ca_file: ca.crt
          client_allowed_sans: [prometheus.example]
          min_version: TLS13
          max_version: TLS13
          cipher_suites: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
          prefer_server_cipher_suites: false
          curve_preferences: [CurveP256]
        http_server_config:
          http2: false
          headers: {{X-Frame-Options: sameorigin, Content-Security-Policy: ""}}
        basic_auth_users: {{alice: {HASH}}}
        """,
    )
    assert config.tls == TlsConfig(
        cert_file=file.parent / "a.crt",
        key_file=Path("/etc/a.key"),
        client_auth_type="RequireAndVerifyClientCert",
        client_ca_file=file.parent / "ca.crt",
        client_allowed_sans=("prometheus.example",),
        min_version="TLS13",
        cipher_suites=("TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        prefer_server_cipher_suites=False,
        curve="CurveP256",
    )
    assert config.headers == {"X-Frame-Options": "sameorigin", "Content-Security-Policy": ""}
    assert config.users == {"alice": HASH.encode()}


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "tls_server_config: {}\nbasic_auth_users: {}\nhttp_server_config:\n",
        "tls_server_config: {}",
    ],
)
def test_no_tls_and_no_users(file: Path, text: str) -> None:
    assert loaded(file, text) == WebConfig(file)


TLS = "tls_server_config:\n  cert_file: a\n  key_file: b\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1", "1: a: unknown key; accepted: basic_auth_users, http_server_config, tls_server_config"),
        ("\nrate_limit: {burst: 1}", "2: rate_limit: not supported; "),
        (TLS + "  cret: x", "4: tls_server_config.cret: unknown key; accepted: cert_file, "),
        (TLS + "  min_version: TLS9", "4: tls_server_config.min_version=TLS9: accepted: TLS12, TLS13"),
        (
            TLS + "  min_version: TLS13\n  max_version: TLS12",
            "4: tls_server_config.min_version=TLS13: accepted: at most",
        ),
        (TLS + "  client_auth_type: x", "4: tls_server_config.client_auth_type=x: accepted: NoClientCert, "),
        (
            TLS + "  client_auth_type: RequestClientCert",
            "4: tls_server_config.client_auth_type=RequestClientCert: not su",
        ),
        (
            TLS + "  client_ca_file: x",
            "4: tls_server_config.client_ca_file=x: has no effect without client_auth_type; ",
        ),
        (
            TLS + "  client_allowed_sans: [x]",
            "4: tls_server_config.client_allowed_sans: accepted: with client_auth_type",
        ),
        (TLS + "  cipher_suites: [RC4]", "4: tls_server_config.cipher_suites=RC4: accepted: TLS_AES_128_GCM_SHA256, "),
        (
            TLS + "  cipher_suites: RC4",
            "4: tls_server_config.cipher_suites: wrong type; accepted: a list of strings",
        ),
        (
            TLS + "  curve_preferences: [X25519, CurveP256]",
            "4: tls_server_config.curve_preferences=X25519, CurveP256: ",
        ),
        (
            TLS + "  prefer_server_cipher_suites: 3",
            "4: tls_server_config.prefer_server_cipher_suites=3: accepted: true, ",
        ),
        (TLS + "  cert: inline", "4: tls_server_config.cert: not supported; accepted: cert_file"),
        (TLS + "  key: secret", "4: tls_server_config.key: not supported; accepted: key_file"),
        ("tls_server_config:\n  cert_file: a", "2: tls_server_config.key_file: required for TLS; "),
        ("tls_server_config:\n  key_file: a", "2: tls_server_config.cert_file: required for TLS; "),
        (
            "tls_server_config: on",
            "1: tls_server_config: wrong type; accepted: a mapping",
        ),
        (
            "http_server_config:\n  headers:\n    Server: x",
            "3: http_server_config.headers.Server: not a header that can be set",
        ),
        (
            "http_server_config: {headers: {X-Frame-Options: y}}",
            "1: http_server_config.headers.X-Frame-Options=y: accepted",
        ),
        (
            'http_server_config: {headers: {X-XSS-Protection: "a\\nb"}}',
            "1: http_server_config.headers.X-XSS-Protection=a",
        ),
        (
            "basic_auth_users:\n  alice: letmein",
            "2: basic_auth_users.alice: not a bcrypt hash; accepted: what `htpasswd",
        ),
        (
            f"basic_auth_users: {{alice: {HASH.replace('10', '31')}}}",
            "1: basic_auth_users.alice: a bcrypt hash of cost 31",
        ),
        (f"basic_auth_users: {{'a:b': {HASH}}}", "1: basic_auth_users.a:: not a user name for basic authentication; "),
        ("a: 1\na: 2", "2: a: given twice; accepted: once"),
        ("- a", "1: the file is not a mapping; accepted: a YAML mapping in UTF-8"),
        ("a: [", "1: "),
        ("[" * 600, "1: nested too deeply"),
        ("? [a]\n: b", "1: a key is not a string"),
        ("a: 1\n---\nb: 2", "2: but found another document"),
    ],
)
def test_a_clear_line_for_what_is_wrong(file: Path, text: str, said: str) -> None:
    line = complaint(file, text)
    assert line.startswith(said)
    assert "\n" not in line
    assert "letmein" not in line
    assert "secret" not in line


@pytest.mark.parametrize(
    "text",
    [
        "basic_auth_users: alice:letmein",
        "basic_auth_users: [alice:letmein]",
        "basic_auth_users: {alice:letmein}",
        "basic_auth_users: {alice:letmein: x, alice:letmein: x}",
        "basic_auth_users: {alice: [letmein]}",
        "basic_auth_users: {alice: {letmein: x}}",
        "basic_auth_users: {alice: *letmein}",
        "basic_auth_users: {alice: *let'letmein}",
        "basic_auth_users: {alice: !letmein!x y}",
        "basic_auth_users: {alice: 'letmein",
        "basic_auth_users: {alice: letmein: x}",
        "basic_auth_users:\n  alice:letmein\n",
        "basic_auth_users: {alice: &letmein }",
        "http_server_config: alice:letmein",
        "alice:letmein: x",
    ],
)
def test_no_complaint_shows_a_secret(file: Path, text: str) -> None:
    assert "letmein" not in complaint(file, text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.yml", tmp_path):
        with pytest.raises(SettingsError, match=rf"^{path}: cannot be read: \w"):
            load(path)
    (tmp_path / "latin.yml").write_bytes(b"a: \xe4")
    with pytest.raises(SettingsError, match=r"latin.yml:1: not UTF-8; accepted: "):
        load(tmp_path / "latin.yml")
    (tmp_path / "huge.yml").write_bytes(b"#" * (SIZE_LIMIT + 1))
    with pytest.raises(SettingsError, match=r"huge.yml: too large; accepted: "):
        load(tmp_path / "huge.yml")


def test_the_hashes_do_not_show_themselves(file: Path) -> None:
    assert HASH not in repr(loaded(file, f"basic_auth_users: {{alice: {HASH}}}"))


def test_the_document_names_every_key_and_value() -> None:
    text = DOCUMENT.read_text()
    keys = {field.name for field in fields(TlsConfig)} - {"curve"}
    missing = [name for name in (*CIPHER_SUITES, *CURVES, *HEADERS, *keys) if f"`{name}`" not in text]
    assert not missing


KEYS = ["tls_server_config", "cert_file", "min_version", "TLS12", "cipher_suites", "basic_auth_users", "headers"]
SYNTAX = [
    ": ",
    "\n",
    "  ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "!!map ",
    "? ",
    "|",
    "'",
    '"',
    "<<",
    "\t",
    "#",
    "%",
    HASH,
]
words = st.lists(st.sampled_from(KEYS + SYNTAX), max_size=30).map(lambda some: "".join(some).encode())


@settings(max_examples=size(300, 200_000), suppress_health_check=list(HealthCheck))
@given(st.one_of(st.binary(max_size=200), words))
def test_any_file_is_a_configuration_or_one_clear_line(content: bytes) -> None:
    path, said = Path("/nowhere/web.yml"), "/nowhere/web.yml:1: "
    try:
        interpret(path, parse(path, content))
    except SettingsError as error:
        said = str(error)
    assert re.fullmatch(r"/nowhere/web\.yml:\d+: .*", said)
