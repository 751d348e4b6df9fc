"""A server that violates ZooKeeper's protocol ends a connection, and does no other harm."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kazoo.client import KazooClient

from exporter import TreeCache
from exporter.demo.server import ZooKeeperServer
from exporter.zookeeper import watchevent
from exporter.zookeeper.frames import FrameBuffer
from exporter.zookeeper.protocol import PROTOCOL_ERRORS, Mistrust, ProtocolError
from exporter.zookeeper.session import Session
from exporter.zookeeper.wire import GetChildren, GetData, MultiRead
from tests.conftest import ZooKeeper, connected
from tests.faults.proxy import Proxy
from tests.support import eventually

HEADER = struct.Struct("!iqi")
STAT = bytes(68)
#: Lengths that break decoders: the ends of the range, and small numbers.
LENGTHS = st.sampled_from([-(2**31), -4, -1, 0, 1, 4, 68, 2**31 - 1])
#: Replies of parts that look like jute's: right and wrong lengths, operation headers, stats, bytes.
PARTS = st.one_of(
    LENGTHS.map(lambda number: struct.pack("!i", number)),
    st.tuples(st.sampled_from([4, 8, -1, 12]), LENGTHS).map(lambda told: struct.pack("!iBii", told[0], 0, 0, told[1])),
    st.just(STAT),
    st.binary(max_size=80),
)
REPLIES = st.lists(PARTS, max_size=12).map(b"".join)


@given(REPLIES)
def test_a_reply_is_decoded_or_refused(body: bytes) -> None:
    """Nothing else ever happens, and the result is never larger than the reply."""
    multi = MultiRead("", ["/a", "/b"], ["/c"])
    with suppress(ValueError, struct.error):
        assert sum(map(len, (result for result in multi.decode(body, 0) if isinstance(result, bytes)))) <= len(body)
    with suppress(ValueError, struct.error):
        names, _ = GetChildren("", "/c").decode(body, 0)
        assert 4 * len(names) <= len(body)
    with suppress(ValueError, struct.error):
        GetData("", "/a").decode(body, 0)


def test_names_that_go_back_are_refused() -> None:
    endless = struct.pack("!ii", 2**31 - 1, -4) + bytes(16)
    with pytest.raises(ValueError, match="2147483647 names in 20 bytes"):
        GetChildren("", "/c").decode(endless, 0)
    back = struct.pack("!ii", 2, -4) + bytes(16)
    with pytest.raises(ValueError, match="a name of -4 bytes"):
        GetChildren("", "/c").decode(back, 0)


@given(REPLIES)
def test_a_watch_event_is_decoded_or_refused(body: bytes) -> None:
    with suppress(ProtocolError):
        _, path = watchevent.decode(body, 0)
        assert len(path.encode()) <= len(body)


@pytest.mark.parametrize(("length", "reason"), [(-1, "bad_frame"), (-(2**31), "bad_frame"), (101, "frame_too_large")])
def test_a_frame_is_bounded(length: int, reason: str) -> None:
    ours, servers = socket.socketpair()
    with ours, servers:
        buffer = FrameBuffer(limit=100)
        servers.sendall(struct.pack("!i", 3) + b"abc" + struct.pack("!i", length))
        ours.setblocking(False)
        buffer.receive(ours)
        frames = buffer.frames()
        assert next(frames) == b"abc"
        with pytest.raises(ProtocolError) as refused:
            next(frames)
    assert refused.value.reason == reason


def test_a_server_that_goes_on_is_asked_less_and_less() -> None:
    mistrust, pauses = Mistrust(), []
    for now in range(8):
        assert mistrust.broken("zk1:2181", float(now)) == (now == 0)
        pauses.append(mistrust.remaining("zk1:2181", float(now)))
    assert pauses == pytest.approx([0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0])
    assert mistrust.remaining("zk1:2181", 8.5) == pytest.approx(0.5)
    assert mistrust.remaining("zk1:2181", 60.0) == 0.0
    assert mistrust.remaining("zk2:2181", 7.0) == 0.0
    assert mistrust.broken("zk1:2181", 100.0)
    assert mistrust.remaining("zk1:2181", 100.0) == 0.0


def test_a_session_outlives_the_pause() -> None:
    mistrust = Mistrust()
    for now in range(8):
        mistrust.broken("zk1:2181", float(now), session_timeout=2.0)
    assert mistrust.remaining("zk1:2181", 7.0) == pytest.approx(0.5)


FRAMES = {
    "no header": (b"\0" * 15, "bad_frame"),
    "negative length": (-1, "bad_frame"),
    "a gigabyte": (2**30, "frame_too_large"),
    "event with a long path": (HEADER.pack(-1, -1, 0) + struct.pack("!iii", 3, 3, 99), "bad_event"),
    "event that is no text": (HEADER.pack(-1, -1, 0) + struct.pack("!iii", 3, 3, 2) + b"\xff\xff", "bad_event"),
    "event of no znode": (HEADER.pack(-1, -1, 0) + struct.pack("!iii", 1, 3, 1) + b"x", "bad_event"),
    "event cut short": (HEADER.pack(-1, -1, 0) + b"\0", "bad_event"),
    "reply to nothing": (HEADER.pack(12345, 1, 0), "unexpected_reply"),
    "auth reply to nothing": (HEADER.pack(-4, 1, 0), "unexpected_reply"),
}


@pytest.mark.parametrize(("frame", "reason"), FRAMES.values(), ids=FRAMES.keys())
def test_the_session_outlives_what_a_server_does_wrong(zookeeper: ZooKeeper, frame: bytes | int, reason: str) -> None:
    with Proxy(zookeeper.server.port) as proxy, connected(proxy.hosts + zookeeper.root, timeout=20) as client:
        session_id, session = client.client_id[0], Session.attach(client)
        with TreeCache(client, "/app") as cache:
            assert cache.wait_initialized(60)
            proxy.inject(struct.pack("!i", frame) if isinstance(frame, int) else struct.pack("!i", len(frame)) + frame)
            eventually(lambda: session.stats().protocol_errors[reason] == 1)
            eventually(lambda: session.stats().transitions["connected"] == 1)
            client.create("/app/later")
            eventually(lambda: cache.get_children("/app") == {"later"})
        assert client.client_id[0] == session_id
        assert sum(session.stats().protocol_errors.values()) == 1
        assert set(session.stats().protocol_errors) == set(PROTOCOL_ERRORS)


@pytest.fixture(scope="module")
def patient() -> Iterator[ZooKeeperServer]:
    """A server whose sessions outlive the pauses of a busy machine."""
    with ZooKeeperServer(config={"tickTime": "3000"}) as server:
        yield server


def all_but_handshakes(corrupt: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Corrupts all messages except the one that opens a session, which has 41 bytes with its length."""
    return lambda frame: frame if len(frame) == 41 else corrupt(frame)


@pytest.mark.starts
@pytest.mark.parametrize(
    ("corrupt", "reason"),
    [
        (lambda frame: b"\xff" * len(frame), "bad_frame"),
        (all_but_handshakes(lambda frame: b"\x7f" * len(frame)), "frame_too_large"),
        (all_but_handshakes(lambda frame: frame[:4] + bytes(len(frame) - 4)), "unexpected_reply"),
        (all_but_handshakes(lambda frame: frame[:4] + b"\xff" * (len(frame) - 4)), "bad_event"),
        (all_but_handshakes(lambda frame: struct.pack("!i", 17) + frame[4:20] + b"x"), "bad_reply"),
    ],
    ids=["handshakes", "lengths", "xids", "events", "bodies"],
)
def test_a_server_that_only_sends_garbage_is_connected_to_ever_less_often(
    patient: ZooKeeperServer, caplog: pytest.LogCaptureFixture, corrupt: Callable[[bytes], bytes], reason: str
) -> None:
    """Even if each connection is made at once: kazoo's own pause between attempts restarts with each."""
    with Proxy(patient.port) as proxy, connected(proxy.hosts, timeout=60) as client:
        session_id, session = client.client_id[0], Session.attach(client)
        with TreeCache(client, f"/{reason}", mode="recursive") as cache:
            assert cache.wait_initialized(60)
            begun, connections = time.monotonic(), proxy.accepted
            proxy.corrupt = corrupt
            proxy.cut()
            eventually(lambda: session.stats().protocol_errors[reason] >= 5)
            # 0.1, 0.2 and 0.4 seconds after all violations except the first.
            assert time.monotonic() - begun >= 0.7
            assert proxy.accepted - connections <= sum(session.stats().protocol_errors.values()) + 2
            proxy.heal()
            client.retry(client.ensure_path, f"/{reason}/later")
            eventually(lambda: cache.get_children(f"/{reason}") == {"later"})
        assert client.client_id[0] == session_id
    # An inquiry that was just ending has a log of its own.
    said = [record for record in caplog.records if record.name == "kazoo.client" and "violated" in record.getMessage()]
    assert len(said) == 1


@pytest.mark.parametrize("mode", ["recursive", "classic"])
def test_what_is_too_long_to_be_read_at_once_is_read_in_parts(client: KazooClient, mode: str) -> None:
    """A server limits the length of requests, but not of replies."""
    client.ensure_path("/app")
    for number in range(40):
        client.create(f"/app/{number}", bytes(100_000))
    session = Session.attach(client)
    with TreeCache(client, "/app", mode=mode, max_reply_bytes=1024 * 1024) as cache:
        assert cache.wait_initialized(30)
        assert len(cache) == 41
        assert cache.stats().mode == mode
    assert (session.stats().protocol_errors["frame_too_large"] > 0) == (mode == "recursive")


@pytest.mark.parametrize("mode", ["recursive", "classic"])
def test_a_znode_whose_names_are_more_than_may_be_read_is_left_out_alone(client: KazooClient, mode: str) -> None:
    client.ensure_path("/app/wide")
    client.create("/app/narrow")
    for batch in range(4):
        transaction = client.transaction()
        for number in range(5):
            transaction.create(f"/app/wide/{batch}{number}" + "n" * 60_000)
        transaction.commit()
    session, faults = Session.attach(client), list[Exception]()
    cache = TreeCache(client, "/app", mode=mode, max_reply_bytes=1024 * 1024)
    cache.listen_fault(faults.append)
    with cache:
        assert cache.wait_initialized(60)
        assert (len(cache), cache.stats().unreadable_nodes) == (2, 1)
        broken = session.stats().protocol_errors["frame_too_large"]
        client.set("/app/wide", b"changed")
        client.create("/app/later")
        eventually(lambda: "/app/later" in cache)
        assert cache.verify(30)
        assert session.stats().protocol_errors["frame_too_large"] == broken
    told = [fault for fault in faults if "more data or children than fit into one reply" in str(fault)]
    assert len(told) == 1
