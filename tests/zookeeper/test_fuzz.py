"""Mutated recordings of all messages of a server: each is decoded, or ends the connection. Nothing else happens."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kazoo.client import KazooClient
from kazoo.exceptions import AuthFailedError, ConnectionDropped, SessionExpiredError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol import serialization
from kazoo.protocol.connection import CLOSE_RESPONSE
from kazoo.protocol.serialization import Close, Transaction

from exporter.zookeeper.frames import FrameBuffer
from exporter.zookeeper.kazoo.seam import adapt
from exporter.zookeeper.messages import Message, Reply
from exporter.zookeeper.protocol import MAX_HANDSHAKE, PROTOCOL_ERRORS, ProtocolError
from exporter.zookeeper.results import OwnResult
from exporter.zookeeper.session import Session
from exporter.zookeeper.wire import GetChildren, GetData, MultiRead
from tests.zookeeper import corpus

FRAMES = corpus.load()
HANDSHAKES = [name for name in FRAMES if name.startswith("handshake")]
#: The ends of the range, small numbers, and numbers larger than any message here.
NUMBERS = st.sampled_from([-(2**31), -101, -6, -4, -2, -1, 0, 1, 2, 4, 8, 68, 99, 2**16, 2**24, 2**28, 2**31 - 1])
#: The mutations of a message, with their places: a number or bytes overwritten, a cut, bytes inserted.
MUTATIONS = st.lists(
    st.tuples(
        st.sampled_from(["number", "number", "bytes", "cut", "insert"]),
        st.integers(0, 400),
        NUMBERS,
        st.binary(max_size=12),
    ),
    min_size=1,
    max_size=4,
)
EXAMPLES = settings(max_examples=100_000 if os.environ.get("SOAK") else 400, deadline=None)
SILENT = logging.getLogger("silent")
SILENT.setLevel(logging.CRITICAL + 1)


def mutated(frame: bytes, mutations: list[tuple[str, int, int, bytes]]) -> bytes:
    for kind, where, number, data in mutations:
        at = where % (len(frame) + 1)
        if kind == "cut":
            frame = frame[:at]
        elif kind == "insert":
            frame = frame[:at] + data + frame[at:]
        else:
            written = struct.pack("!i", number) if kind == "number" else data
            frame = frame[:at] + written + frame[at + len(written) :]
    return frame


def kazoos_request(name: str) -> Any:
    """kazoo's request whose answer was recorded under this name."""
    kind = getattr(serialization, name.split()[1])
    if kind in (Close, Transaction):
        return kind() if kind is Close else kind([])
    return kind(*["/tree"] * len(kind._fields))


def decode(reply: Message) -> None:
    """Decodes an answer as the engine does."""
    assert isinstance(reply, Reply)
    request = reply.request
    with contextlib.suppress(struct.error, ValueError):
        if isinstance(request, MultiRead | GetData | GetChildren):
            request.decode(reply.body, reply.offset)


class Scene:
    """A session that waits for the answer to one request."""

    def __init__(self, name: str) -> None:
        kazoo = KazooClient("127.0.0.1:1", logger=SILENT)
        self.receive = Session.attach(kazoo)._reception.on_frame
        self.client = adapt(kazoo)
        self.replies: list[Message] = []
        (xid,) = struct.unpack_from("!i", FRAMES[name])
        self.result: Any = None
        if name in corpus.OWN:
            request = corpus.OWN[name]
            self.client.pending.append((request, OwnResult(self.client, request, self.replies.append), xid))
        elif not name.startswith(("event", "ping")):
            # kazoo's Close has no result.
            self.result = None if name == "kazoo Close" else self.client.handler.async_result()
            request = serialization.Auth(0, "digest", "user:secret") if name == "auth" else kazoos_request(name)
            self.client.pending.append((request, self.result, xid))

    @property
    def is_forgotten(self) -> bool:
        """Whether the caller would wait forever: its request is neither answered nor will fail with the connection."""
        return self.result is not None and not self.result.ready() and not self.client.pending


@pytest.mark.long
@EXAMPLES
@given(st.sampled_from([name for name in FRAMES if name not in HANDSHAKES]), MUTATIONS)
def test_a_message_is_understood_or_costs_the_connection(name: str, mutations: list[Any]) -> None:
    scene, frame, reasons = Scene(name), mutated(FRAMES[name], mutations), list[str]()
    tracemalloc.start()
    try:
        assert scene.receive(frame) in (None, CLOSE_RESPONSE)
    except ConnectionDropped as error:
        reasons.append(getattr(error, "reason", PROTOCOL_ERRORS[0]))
    except AuthFailedError:
        assert name == "auth"
    finally:
        for reply in scene.replies:
            decode(reply)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert set(reasons) <= set(PROTOCOL_ERRORS)
    assert not scene.is_forgotten
    assert peak < 500_000 + 100 * len(frame)


@pytest.mark.parametrize("name", [name for name in FRAMES if name not in HANDSHAKES])
def test_what_was_recorded_is_understood(name: str) -> None:
    scene = Scene(name)
    scene.receive(FRAMES[name])
    assert len(scene.replies) == (name in corpus.OWN)
    for reply in scene.replies:
        decode(reply)
    assert not scene.client.pending
    assert not scene.is_forgotten


@contextlib.contextmanager
def saying(data: bytes) -> Iterator[socket.socket]:
    """A socket to a server that sends this and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        server, _ = listener.accept()
        with server:
            server.sendall(data)
            server.shutdown(socket.SHUT_WR)
            yield client


def framed(frame: bytes) -> bytes:
    return struct.pack("!i", len(frame)) + frame


def shake_hands(data: bytes, **options: Any) -> None:
    """Connects to a server that sends this and hangs up."""
    client = KazooClient("127.0.0.1:1", logger=SILENT, **options)
    Session.attach(client)
    with saying(data) as sock:
        client.handler.create_connection = lambda *args, **kwargs: sock
        adapt(client).connect("127.0.0.1", "127.0.0.1", 1)


@pytest.mark.long
@EXAMPLES
@given(st.sampled_from([0, 1]), MUTATIONS, st.one_of(st.none(), NUMBERS))
def test_a_handshake_succeeds_or_costs_the_connection(which: int, mutations: list[Any], length: int | None) -> None:
    frames = [FRAMES[name] for name in HANDSHAKES]
    frames[which] = mutated(frames[which], mutations)
    data = [framed(frame) for frame in frames]
    if length is not None:
        data[which] = struct.pack("!i", length) + frames[which]
    with contextlib.suppress(ConnectionDropped, SessionExpiredError, AuthFailedError, KazooTimeoutError):
        shake_hands(b"".join(data), auth_data=[("digest", "user:secret")])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (struct.pack("!i", -1), "bad_frame"),
        (struct.pack("!i", MAX_HANDSHAKE + 1), "frame_too_large"),
        (framed(b"short"), "bad_reply"),
        (framed(struct.pack("!iiqi", 0, 10_000, 7, -1)), "bad_reply"),
    ],
    ids=["negative length", "too long", "cut short", "no password"],
)
def test_a_handshake_that_is_none_is_refused_by_its_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        shake_hands(data)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    "answer",
    [b"\0" * 3, struct.pack("!iqi", 99, 1, 0), struct.pack("!iqi", 1, 1, -12345), struct.pack("!iqi", 1, 1, 0)],
)
def test_nonsense_in_sasl_is_no_refusal_of_credentials(answer: bytes) -> None:
    options = {"mechanism": "DIGEST-MD5", "username": "user", "password": "secret"}
    with pytest.raises(ProtocolError) as refused:
        shake_hands(framed(FRAMES["handshake"]) + framed(answer), sasl_options=options)
    assert refused.value.reason == "bad_reply"


@given(
    st.lists(
        st.one_of(st.binary(max_size=40).map(framed), st.binary(max_size=9), NUMBERS.map(struct.Struct("!i").pack))
    )
)
def test_frames_are_cut_as_their_lengths_say(parts: list[bytes]) -> None:
    data, at, is_broken = b"".join(parts), 0, False
    expected: list[bytes] = []
    found: list[bytes] = []
    while len(data) - at >= 4:
        (length,) = struct.unpack_from("!i", data, at)
        is_broken = not 0 <= length <= 100
        if is_broken or len(data) - at - 4 < length:
            break
        expected.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    buffer = FrameBuffer(limit=100)
    ours, servers = socket.socketpair()
    with ours, servers:
        servers.sendall(data)
        ours.setblocking(False)
        if data:
            buffer.receive(ours)
        try:
            found.extend(buffer.frames())
        except ProtocolError:
            assert is_broken
        else:
            assert not is_broken
            assert found == expected
