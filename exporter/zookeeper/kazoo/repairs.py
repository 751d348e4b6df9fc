"""Repairs: kazoo's defects, each repaired in one place: forgotten requests, replies out of order, credentials."""

from __future__ import annotations

import atexit
from collections import deque
from collections.abc import Callable
from typing import Any

from kazoo.exceptions import EXCEPTIONS, AuthFailedError, ConnectionLoss, SessionExpiredError
from kazoo.handlers.threading import SequentialThreadingHandler
from kazoo.protocol.connection import AUTH_XID
from kazoo.protocol.serialization import Connect, ReplyHeader, int_struct
from kazoo.protocol.states import KeeperState

from exporter.zookeeper.client import Client, Methods, Queued
from exporter.zookeeper.protocol import MAX_HANDSHAKE, ProtocolError

#: The states in which kazoo fails a request immediately.
OVER = (KeeperState.AUTH_FAILED, KeeperState.CLOSED, KeeperState.EXPIRED_SESSION)


# Requests


def fail_forgotten(client: Client, queue: deque[Queued], request: Any, result: Any) -> None:
    """Fails a request that was put into this queue while the session ended.

    kazoo fails the queued requests then and makes a new queue; it would forget a request that comes in between.
    """
    errors = {KeeperState.AUTH_FAILED: AuthFailedError, KeeperState.CLOSED: ConnectionLoss}
    if _take_out(queue, (request, result)) and result is not None:
        result.set_exception(errors.get(client.client_state, SessionExpiredError)())


def _take_out(queue: deque[Any], entry: object) -> bool:
    """Removes an entry from a queue that others take from; returns False if they have taken it."""
    while True:
        try:
            queue.remove(entry)
        except IndexError:
            continue
        except ValueError:
            return False
        return True


# Replies


def overtaken(client: Client, xid: int) -> list[Any]:
    """The requests that wait for a reply with this xid, which is not the next one.

    A server refuses an unknown request immediately, before it answers earlier requests, and hangs up. kazoo would take
    that reply for the answer to the oldest request.
    """
    return [request for request, _, pending_xid in client.pending if pending_xid == xid]


def answer_auth(client: Client, error: int) -> None:
    """Answers the auth request itself, whose reply the server may send before the replies to earlier requests.

    kazoo would answer the oldest request instead. And if the credentials are refused, it would connect once more, to be
    refused again.

    Raises:
        ProtocolError: no auth request is waiting.
        AuthFailedError: the credentials are refused, which ends the session.
    """
    pending = client.pending
    position = next((i for i, (_, _, xid) in enumerate(pending) if xid == AUTH_XID), None)
    if position is None:
        raise ProtocolError("unexpected_reply", "a reply to an authentication that was not requested")
    _, result, _ = pending[position]
    del pending[position]
    if error:
        result.set_exception(AuthFailedError())
        client.change_state(KeeperState.AUTH_FAILED)
        raise AuthFailedError("the server refuses the credentials")
    result.set(True)


def answer_oldest(client: Client, header: tuple[int, int, int], frame: bytes, offset: int, result: Any) -> Any:
    """Makes kazoo answer the oldest request, by a header of xid, zxid and error; returns kazoo's result.

    Without this, a reply that kazoo cannot decode would end its client, with the request removed already.

    Raises:
        ProtocolError: the reply cannot be decoded.
    """
    error = header[2]
    if error and error not in EXCEPTIONS:
        raise ProtocolError("bad_reply", f"a reply with the unknown error code {error}")
    try:
        return client.read_response(ReplyHeader(*header), frame, offset)
    except Exception as failure:
        if result is not None:
            result.set_exception(failure)
        raise ProtocolError("bad_reply", f"a reply that cannot be decoded: {failure}") from failure


# Connecting


def resolve(client: Client, expand_hosts: Callable[[], list[Any]]) -> list[Any]:
    """The addresses to try; none on errors that would end kazoo's connection forever.

    Those are too many open files, and an impossible host name.
    """
    try:
        return expand_hosts()
    except (OSError, UnicodeError) as error:
        client.logger.warning("Cannot resolve any host: %s", error)
        return []


def check_length(length: int) -> None:
    """Raises ProtocolError for an impossible length of a handshake's message, for which kazoo would allocate memory."""
    if length < 0:
        raise ProtocolError("bad_frame", f"a frame of {length} bytes")
    if length > MAX_HANDSHAKE:
        raise ProtocolError("frame_too_large", f"a handshake of {length} bytes; at most {MAX_HANDSHAKE} are read")


def exchange(client: Client, originals: Methods, timeout: float, request: Any, xid: Any) -> Any:
    """kazoo's own exchange; the one that opens a session is replaced by one that checks it and logs no traceback.

    Raises:
        ProtocolError: the answer that opens a session cannot be decoded.
    """
    if not isinstance(request, Connect):
        return originals.invoke(timeout, request, xid)
    client.submit(request, timeout, xid)
    (length,) = int_struct.unpack(client.read(int_struct.size, timeout))
    reply = client.read(length, timeout)
    try:
        connected, _ = request.deserialize(reply, 0)
    except Exception as error:
        raise ProtocolError("bad_reply", f"a handshake that cannot be decoded: {error}") from error
    if connected.time_out > 0 and not connected.passwd:
        raise ProtocolError("bad_reply", "a session without a password")
    return connected, None


# Forks


def forget_end(client: Client) -> None:
    """In a fork's child: keeps kazoo's handler from stopping its threads at Python's exit, since there are none.

    One of them may have held its lock at the fork.
    """
    if isinstance(client.handler, SequentialThreadingHandler):
        atexit.unregister(client.handler.stop)
