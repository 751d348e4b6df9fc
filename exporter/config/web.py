"""Web configuration: the file of `--web.config.file`, in exporter-toolkit's format, read and checked.

The format is that of https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md. Options that
Python's ssl module does not support are refused; docs/web-configuration.md lists them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from exporter.config.sections import Section, UnprotectedError, read

VERIFY_IF_GIVEN = "VerifyClientCertIfGiven"
REQUIRE_AND_VERIFY = "RequireAndVerifyClientCert"
CLIENT_AUTH_TYPES = ("NoClientCert", VERIFY_IF_GIVEN, REQUIRE_AND_VERIFY)
#: Go's servers can request a certificate without verifying it; Python's cannot.
_UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")

TLS_VERSIONS = ("TLS12", "TLS13")
#: Go's names of the cipher suites it deems secure (crypto/tls, CipherSuites), and OpenSSL's. Those of TLS 1.3 are
#: always on, in Go as in OpenSSL.
CIPHER_SUITES = {
    "TLS_AES_128_GCM_SHA256": None,
    "TLS_AES_256_GCM_SHA384": None,
    "TLS_CHACHA20_POLY1305_SHA256": None,
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
#: Go's names of elliptic curves, and OpenSSL's.
CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}

#: The headers that exporter-toolkit lets a configuration set, with their values where it prescribes them.
HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}

#: A bcrypt hash: its version, its cost and, in 53 characters, salt and digest.
_BCRYPT = re.compile(r"\$2[abxy]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{53}")
#: A higher cost takes most of a minute for each attempt.
_BCRYPT_COSTS = range(4, 19)
_BCRYPT_ACCEPTED = "accepted: what `htpasswd -nBC 10 USER` prints after the colon, of a cost from 4 to 18"


@dataclass(frozen=True)
class TlsConfig:
    """`tls_server_config`: paths are absolute, names are Go's, and `curve` None means OpenSSL's own choice."""

    cert_file: Path
    key_file: Path
    client_auth_type: str = "NoClientCert"
    client_ca_file: Path | None = None
    client_allowed_sans: tuple[str, ...] = ()
    min_version: str = "TLS12"
    max_version: str = "TLS13"
    cipher_suites: tuple[str, ...] = ()
    prefer_server_cipher_suites: bool = True
    curve: str | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read again when certificates change."""
        return (self.cert_file, self.key_file, *filter(None, [self.client_ca_file]))


@dataclass(frozen=True)
class WebConfig:
    """A web configuration: `path` is its file, `headers` are set on each response, `users` are bcrypt hashes."""

    path: Path
    tls: TlsConfig | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    users: Mapping[str, bytes] = field(default_factory=dict, repr=False)


def load(path: str | Path) -> WebConfig:
    """Reads a web configuration; the files that it names are not opened.

    Raises SettingsError for a bad file, in one line with file, line, key, value and what is accepted; its subclass
    UnprotectedError for an empty file.
    """
    path = Path(path).absolute()
    return interpret(path, read(path))


def interpret(path: Path, top: Section) -> WebConfig:
    """Turns a file's sections into a web configuration. Raises SettingsError if they cannot be used."""
    for protection in ("tls_server_config", "basic_auth_users"):
        top.check_not_null(protection)
    config = WebConfig(
        path,
        tls=_tls(path.parent, top.section("tls_server_config")),
        headers=_headers(top.section("http_server_config")),
        users=_users(top.section("basic_auth_users")),
    )
    if "rate_limit" in top:
        raise top.error("rate_limit", None, "not supported; accepted: a limit in a proxy before the exporter")
    top.end()
    return config


def check_no_less_protected(new: WebConfig, old: WebConfig) -> None:
    """Raises UnprotectedError if `new` would admit clients who needed a secret before, without a restart.

    A file that an editor or a full disk has truncated may still be valid.
    """
    what = [name for name, protection in _PROTECTIONS.items() if protection(old) and not protection(new)]
    if what:
        problem = f"{what[0]} cannot be removed without a restart; the old configuration stays in use"
        raise UnprotectedError(str(new.path), None, f"{problem}; accepted: a file that still has it, or a restart")


#: The protections against clients, and whether a configuration has each.
_PROTECTIONS: Mapping[str, Callable[[WebConfig], bool]] = {
    "tls_server_config": lambda config: config.tls is not None,
    "the last of basic_auth_users": lambda config: bool(config.users),
    "the requirement of client certificates": lambda config: (
        config.tls is not None and config.tls.client_auth_type == REQUIRE_AND_VERIFY
    ),
    "client_ca_file": lambda config: config.tls is not None and config.tls.client_ca_file is not None,
    "client_allowed_sans": lambda config: config.tls is not None and bool(config.tls.client_allowed_sans),
}


def _tls(folder: Path, section: Section) -> TlsConfig | None:
    for inline in ("cert", "key", "client_ca"):
        if inline in section:
            raise section.error(inline, None, f"not supported; accepted: {inline}_file")
    cert, key, authority = (section.text(name) for name in ("cert_file", "key_file", "client_ca_file"))
    client_auth_type = _client_auth_type(section)
    allowed_sans = section.texts("client_allowed_sans")
    if authority and client_auth_type == CLIENT_AUTH_TYPES[0]:
        raise section.error(
            "client_ca_file", authority, "has no effect without client_auth_type; " + _CLIENT_AUTH_ACCEPTED
        )
    if allowed_sans and client_auth_type != REQUIRE_AND_VERIFY:
        raise section.error("client_allowed_sans", None, f"accepted: with client_auth_type {REQUIRE_AND_VERIFY}")
    tls = TlsConfig(
        cert_file=folder / cert,
        key_file=folder / key,
        client_auth_type=client_auth_type,
        client_ca_file=folder / authority if authority else None,
        client_allowed_sans=allowed_sans,
        min_version=_version(section, "min_version", TLS_VERSIONS[0]),
        max_version=_version(section, "max_version", TLS_VERSIONS[-1]),
        cipher_suites=_known(section, "cipher_suites", CIPHER_SUITES),
        prefer_server_cipher_suites=section.boolean("prefer_server_cipher_suites", True),
        curve=_curve(section),
    )
    if tls.min_version > tls.max_version:
        raise section.error("min_version", tls.min_version, f"accepted: at most max_version, {tls.max_version}")
    section.end()
    for name, file in (("cert_file", cert), ("key_file", key)):
        if not file and (cert or key or authority or client_auth_type != CLIENT_AUTH_TYPES[0]):
            raise section.error(name, None, "required for TLS; accepted: the name of a PEM file")
    return tls if cert else None


_CLIENT_AUTH_ACCEPTED = f"accepted: {', '.join(CLIENT_AUTH_TYPES)}"


def _client_auth_type(section: Section) -> str:
    text = section.text("client_auth_type") or CLIENT_AUTH_TYPES[0]
    if text in _UNVERIFIED:
        problem = "not supported, it would admit clients with any certificate"
        raise section.error("client_auth_type", text, f"{problem}; {_CLIENT_AUTH_ACCEPTED}")
    if text not in CLIENT_AUTH_TYPES:
        raise section.error("client_auth_type", text, _CLIENT_AUTH_ACCEPTED)
    return text


def _version(section: Section, key: str, default: str) -> str:
    text = section.text(key, default)
    if text not in TLS_VERSIONS:
        raise section.error(key, text, f"accepted: {', '.join(TLS_VERSIONS)}")
    return text


def _known(section: Section, key: str, accepted: Collection[str]) -> tuple[str, ...]:
    texts = section.texts(key)
    for text in texts:
        if text not in accepted:
            raise section.error(key, text, f"accepted: {', '.join(accepted)}")
    return texts


def _curve(section: Section) -> str | None:
    curves = _known(section, "curve_preferences", CURVES)
    if len(curves) > 1:
        problem = "Python supports one curve only; accepted: a list of one, or none for OpenSSL's own preferences"
        raise section.error("curve_preferences", ", ".join(curves), problem)
    return curves[0] if curves else None


def _headers(section: Section) -> Mapping[str, str]:
    # Accepted and ignored: every client that speaks HTTP/2 also speaks HTTP/1.1.
    section.boolean("http2", True)
    given = section.section("headers")
    headers = {name: given.text(name) for name in given.names()}
    section.end()
    for name, value in headers.items():
        if name not in HEADERS:
            raise given.error(name, None, f"not a header that can be set here; accepted: {', '.join(HEADERS)}")
        if HEADERS[name] and value not in HEADERS[name]:
            raise given.error(name, value, f"accepted: {', '.join(HEADERS[name])}")
        if not (value.isascii() and value.isprintable()):
            raise given.error(name, value, "accepted: printable ASCII text")
    return headers


def _users(section: Section) -> Mapping[str, bytes]:
    users = {}
    for name in section.names():
        if not name or ":" in name:
            raise section.error(name, None, "not a user name for basic authentication; accepted: text without a colon")
        match = _BCRYPT.fullmatch(section.text(name))
        if match is None:
            raise section.error(name, None, f"not a bcrypt hash; {_BCRYPT_ACCEPTED}")
        if int(match["cost"]) not in _BCRYPT_COSTS:
            raise section.error(name, None, f"a bcrypt hash of cost {match['cost']}; {_BCRYPT_ACCEPTED}")
        users[name] = match[0].encode()
    return users
