"""Failures: why a server cannot be asked, as one of a few reasons and in words."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl

#: Errors of a connection that the server, or something before it, ended.
_HUNG_UP = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, asyncio.IncompleteReadError, ssl.SSLEOFError)
HUNG_UP = "the server closed the connection without an answer"
CUT_SHORT = "the server closed the connection in the middle of its answer"
#: Errors of this process, not of the server.
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


class PollError(Exception):
    """A source that gave no numbers: the reason, one of the catalogue's `SERVER_FAILURES`, and what happened.

    `is_ours` if that says nothing about the server: the exporter is out of file descriptors or memory.
    """

    def __init__(self, reason: str, text: str, *, is_ours: bool = False) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text
        self.is_ours = is_ours


def failure_of(error: BaseException) -> PollError:
    """Classifies an error of a connection.

    A server that hangs up counts as not serving: some with Netty do so without a quorum (``NettyServerCnxnFactory``,
    before any TLS), all do so when one address has too many connections (`maxClientCnxns`).
    """
    if isinstance(error, PollError):
        return error
    if isinstance(error, socket.gaierror):
        return PollError("dns", f"the name cannot be resolved: {error.strerror}")
    if isinstance(error, TimeoutError):
        return PollError("timeout", "no answer in time")
    if isinstance(error, ConnectionRefusedError):
        return PollError("refused", "connection refused")
    if isinstance(error, _HUNG_UP):
        return PollError("not_serving", HUNG_UP)
    if isinstance(error, ssl.SSLError):
        return PollError("tls", _tls_in_words(error))
    if isinstance(error, OSError) and error.errno:
        is_ours = error.errno in _EXHAUSTED
        whose = " (of the exporter)" if is_ours else ""
        return PollError("other", os.strerror(error.errno).lower() + whose, is_ours=is_ours)
    return PollError("other", f"{type(error).__name__}: {error}")


def _tls_in_words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the certificate is not trusted: {error.verify_message}"
    return f"TLS: {str(getattr(error, 'reason', None) or error).lower().replace('_', ' ')}"
