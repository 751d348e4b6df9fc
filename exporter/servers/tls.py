"""TLS: the context for the servers of an ensemble, made anew when its files change."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from exporter.config.settings import Tls
from exporter.servers.failures import PollError

#: A file's inode, modification time and size, None if there is none.
_Mark = tuple[int, int, int] | None


class Context:
    """The TLS context of one ensemble; without settings, that of a client that trusts the system's authorities.

    Not thread-safe.
    """

    def __init__(self, tls: Tls | None) -> None:
        self._tls = tls or Tls()
        self._marks: list[_Mark] = []
        self._made: ssl.SSLContext | None = None

    def current(self) -> ssl.SSLContext:
        """The context. Raises PollError if a file cannot be used."""
        files = (self._tls.ca_file, self._tls.cert_file, self._tls.key_file)
        marks = [_mark(file) for file in files if file is not None]
        if self._made is None or marks != self._marks:
            try:
                self._made, self._marks = _context(self._tls), marks
            except (OSError, ValueError) as error:
                reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
                raise PollError("tls", f"TLS: a file of the configuration cannot be used: {reason}") from None
        return self._made


def _mark(file: Path) -> _Mark:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _context(tls: Tls) -> ssl.SSLContext:
    """A context that verifies as kazoo's does."""
    # Not ssl.create_default_context: from Python 3.13 on it is stricter, and would refuse what the client accepts.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    context.check_hostname = tls.check_hostname and not tls.insecure_skip_verify
    context.verify_mode = ssl.CERT_NONE if tls.insecure_skip_verify else ssl.CERT_REQUIRED
    if tls.ca_file is not None:
        context.load_verify_locations(tls.ca_file)
    if tls.cert_file is not None and tls.key_file is not None:
        # An empty password rather than None, with which OpenSSL would prompt on the terminal.
        password = "" if tls.key_password is None else tls.key_password.get_secret_value()
        context.load_cert_chain(tls.cert_file, tls.key_file, password)
    return context
