"""TLS: turns a web configuration's `tls_server_config` into a context of Python's ssl module."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterable
from pathlib import Path

from exporter.config.settings import SettingsError
from exporter.config.web import CIPHER_SUITES, CURVES, REQUIRE_AND_VERIFY, VERIFY_IF_GIVEN, TlsConfig, WebConfig

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_VERIFY = {VERIFY_IF_GIVEN: ssl.CERT_OPTIONAL, REQUIRE_AND_VERIFY: ssl.CERT_REQUIRED}


def server_context(config: WebConfig) -> ssl.SSLContext | None:
    """The server's TLS context, None without TLS.

    Raises SettingsError if a file cannot be used.
    """
    tls = config.tls
    if tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    context.minimum_version = _VERSIONS[tls.min_version]
    context.maximum_version = _VERSIONS[tls.max_version]
    _choose_ciphers(context, tls)
    if tls.curve is not None:
        try:
            context.set_ecdh_curve(CURVES[tls.curve])
        except (ssl.SSLError, ValueError):
            # OpenSSL may be built without the curve.
            accepted = "not supported by this OpenSSL; accepted: another curve, or none for OpenSSL's own preferences"
            raise SettingsError(f"{config.path}: tls_server_config.curve_preferences", tls.curve, accepted) from None
    _load_certificate(context, config.path, tls)
    _load_authorities(context, config.path, tls)
    return context


def has_allowed_name(names: Iterable[tuple[str, str]], allowed: Iterable[str]) -> bool:
    """Whether one of a certificate's subject alternative names, in ssl's format, is allowed."""
    return not {_normal(kind, name) for kind, name in names}.isdisjoint(allowed)


def _normal(kind: str, name: str) -> str:
    """An IP address in its canonical notation; any other name unchanged."""
    try:
        return str(ipaddress.ip_address(name)) if kind == "IP Address" else name
    except ValueError:
        return name


def _choose_ciphers(context: ssl.SSLContext, tls: TlsConfig) -> None:
    if not tls.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if not tls.cipher_suites:
        return
    older = [name for suite in tls.cipher_suites if (name := CIPHER_SUITES[suite])]
    if older:
        context.set_ciphers(":".join(older))
    else:
        context.minimum_version = ssl.TLSVersion.TLSv1_3


def _load_certificate(context: ssl.SSLContext, path: Path, tls: TlsConfig) -> None:
    for key, file in (("cert_file", tls.cert_file), ("key_file", tls.key_file)):
        _check_readable(path, key, file)
    try:
        # Without a password, OpenSSL would prompt for the passphrase of an encrypted key on the terminal.
        context.load_cert_chain(tls.cert_file, tls.key_file, password="")
    except (ssl.SSLError, ValueError, OSError) as error:
        problem = f"cannot be used with key_file {tls.key_file}: {_reason(error)}; accepted: PEM without a passphrase"
        raise _error(path, "cert_file", tls.cert_file, problem) from None


def _load_authorities(context: ssl.SSLContext, path: Path, tls: TlsConfig) -> None:
    context.verify_mode = _VERIFY.get(tls.client_auth_type, ssl.CERT_NONE)
    if context.verify_mode == ssl.CERT_NONE:
        return
    if tls.client_ca_file is None:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
        return
    _check_readable(path, "client_ca_file", tls.client_ca_file)
    try:
        context.load_verify_locations(tls.client_ca_file)
    except (ssl.SSLError, ValueError, OSError) as error:
        problem = f"holds no PEM certificate: {_reason(error)}"
        raise _error(path, "client_ca_file", tls.client_ca_file, problem) from None


def _check_readable(path: Path, key: str, file: Path) -> None:
    try:
        with file.open("rb"):
            pass
    except (OSError, ValueError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise _error(path, key, file, f"cannot be read: {reason}; accepted: a PEM file") from None


def _reason(error: Exception) -> str:
    return (isinstance(error, ssl.SSLError) and error.reason) or " ".join(str(error).split()) or "unreadable"


def _error(path: Path, key: str, file: Path, problem: str) -> SettingsError:
    return SettingsError(f"{path}: tls_server_config.{key}", str(file), problem)
