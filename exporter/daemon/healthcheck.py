"""Healthcheck: asks the exporter on this machine whether it is healthy, for probes that can only run a command."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import os
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.config.settings import Address, ListenAddress, SettingsError, UnixAddress, in_brackets
from exporter.config.web import TlsConfig, WebConfig
from exporter.process.stdout import OutputError, say
from exporter.web.probes import HEALTHY_PATH, READY_PATH

#: Seconds for each step of the exchange: the connection, the handshake, the answer.
TIMEOUT = 3.0
#: Where to ask if the exporter listens on every address: the first of these that accepts a connection.
_LOOPBACK = ("127.0.0.1", "::1")
#: The maximum number of bytes of an answer that are read.
_ANSWER_LIMIT = 200


@dataclass(frozen=True)
class Certificate:
    """A client certificate for an exporter that requires one, as PEM files."""

    cert_file: Path
    key_file: Path


def run(
    addresses: Sequence[Address],
    web: WebConfig | None,
    *,
    route_prefix: str = "",
    ready: bool = False,
    certificate: Certificate | None = None,
) -> int:
    """Asks `/-/healthy`, or `/-/ready` if `ready`; prints the answer in one line and returns 0 for status 200, else 1.

    The first address that answers decides, since one process serves all of them. `route_prefix` is the exporter's. Uses
    TLS if `web` has it, without verifying the server's certificate: that is for another name than the loopback address,
    nothing secret is sent, and a process that could take the address could answer the probe anyway. Presents
    `certificate` if clients need one, by default the server's own.

    Raises SettingsError if a certificate cannot be used.
    """
    path = route_prefix + (READY_PATH if ready else HEALTHY_PATH)
    context = None if web is None or web.tls is None else _context(web.path, web.tls, certificate)
    scheme = "http" if context is None else "https"
    reasons = []
    for address in addresses:
        url = f"{scheme}://localhost{path} by {address}"
        if isinstance(address, ListenAddress):
            url = f"{scheme}://{in_brackets(address.host)}:{address.port}{path}"
        status, said = _ask(_connections(address, context), path)
        if status is not None:
            _say(f"{url}: {said}")
            return 0 if status == http.HTTPStatus.OK else 1
        reasons.append(f"{url}: {said}")
    _say("; ".join(reasons))
    return 1


def _say(text: str) -> None:
    """Prints a text. The health is the exit status, which does not depend on who reads the text."""
    with contextlib.suppress(OutputError):
        say(text)


def _connections(address: Address, context: ssl.SSLContext | None) -> list[http.client.HTTPConnection]:
    """The connections to try, not connected yet."""
    if isinstance(address, UnixAddress):
        return [_UnixConnection(address.path, context)]
    return [_connection(host, address.port, context) for host in _hosts(address)]


def _hosts(address: ListenAddress) -> Sequence[str]:
    if not address.host:
        return _LOOPBACK
    try:
        unspecified = ipaddress.ip_address(address.host).is_unspecified
    except ValueError:
        return (address.host,)
    return _LOOPBACK if unspecified else (address.host,)


def _ask(connections: Sequence[http.client.HTTPConnection], path: str) -> tuple[int | None, str]:
    """The status and the first line of the answer; without an answer, None and the reasons."""
    reasons = []
    for connection in connections:
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            response = connection.getresponse()
            text = response.read(_ANSWER_LIMIT).decode(errors="replace")
            return response.status, f"{response.status} {_first_line(text)}"
        except (OSError, http.client.HTTPException) as error:
            reasons.append(f"no answer from {connection.host}: {_reason(error)}")
        finally:
            connection.close()
    return None, "; ".join(reasons)


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket, with TLS if there is a context."""

    def __init__(self, path: Path, context: ssl.SSLContext | None) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path
        self._context = context

    def connect(self) -> None:
        """Connects, with the timeout for each step."""
        connected = socket.socket(socket.AF_UNIX)
        try:
            connected.settimeout(TIMEOUT)
            connected.connect(os.fsencode(self._path))
            self.sock = connected if self._context is None else self._context.wrap_socket(connected)
        except OSError:
            connected.close()
            raise


def _connection(host: str, port: int, context: ssl.SSLContext | None) -> http.client.HTTPConnection:
    if context is None:
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    return http.client.HTTPSConnection(host, port, timeout=TIMEOUT, context=context)


def _context(path: Path, tls: TlsConfig, certificate: Certificate | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate is None and tls.client_auth_type == "NoClientCert":
        return context
    shown = certificate or Certificate(tls.cert_file, tls.key_file)
    try:
        context.load_cert_chain(shown.cert_file, shown.key_file, password="")
    except (OSError, ValueError) as error:
        setting = f"{path}: tls_server_config.cert_file" if certificate is None else "--tls.cert-file"
        problem = f"cannot be used with key_file {shown.key_file}: {_reason(error)}"
        raise SettingsError(
            setting, str(shown.cert_file), f"{problem}; accepted: PEM files without a passphrase"
        ) from None
    return context


def _first_line(text: str) -> str:
    return (text.splitlines() or [""])[0]


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return str(error.reason or "TLS failed").lower().replace("_", " ")
    if isinstance(error, TimeoutError):
        return f"none within {TIMEOUT:g} s"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__
