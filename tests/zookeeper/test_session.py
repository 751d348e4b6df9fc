"""A session's measurements of its client are right, and its messages come in order."""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import AuthFailedError, NoNodeError, SessionExpiredError
from kazoo.protocol.states import KeeperState

from exporter.demo.server import ZooKeeperServer
from exporter.zookeeper.kazoo.seam import adapt
from exporter.zookeeper.messages import (
    CHILD,
    CREATED,
    Barrier,
    BarrierFailed,
    Capable,
    Connected,
    Lost,
    Message,
    Reply,
    Suspended,
    Unanswered,
    WatchEvent,
)
from exporter.zookeeper.session import Session
from exporter.zookeeper.statechange import StateChange, session_in_hex
from exporter.zookeeper.stats import LOST_REASONS
from exporter.zookeeper.wire import NO_NODE, OK, AddWatch, MultiRead
from tests.conftest import ClientFactory, ZooKeeper
from tests.faults.proxy import DOWN, Proxy
from tests.support import eventually, expire


class Stream:
    """Collects a session's messages."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._arrived = threading.Condition()

    def __call__(self, message: Message) -> None:
        with self._arrived:
            self.messages.append(message)
            self._arrived.notify_all()

    def wait_for(self, kind: type[Message], timeout: float = 10.0) -> Message:
        """Waits for the first message of a kind."""
        with self._arrived:
            self._arrived.wait_for(lambda: any(isinstance(m, kind) for m in self.messages), timeout)
            return next(message for message in self.messages if isinstance(message, kind))

    def created(self) -> list[str]:
        """The paths that watch events report as created."""
        return [m.path for m in self.messages if isinstance(m, WatchEvent) and m.kind == CREATED]


def test_a_client_has_one_session(client: KazooClient) -> None:
    assert Session.attach(client) is Session.attach(client)


def test_stream_begins_with_the_connection(client: KazooClient) -> None:
    stream = Stream()
    Session.attach(client).subscribe("/", stream)
    message = stream.wait_for(Connected)
    assert message == Connected(Session.attach(client).stats().server or "", recursive=None, ask_in=0.0)


def test_what_the_server_can_do_is_asked_once_and_on_another_connection(client_factory: ClientFactory) -> None:
    client, stream = client_factory(), Stream()
    session = Session.attach(client)
    session.subscribe("/", stream)
    stream.wait_for(Connected)
    sent = session.stats().sent_bytes
    session.inquire()
    session.inquire()
    assert stream.wait_for(Capable) == Capable(True)
    assert session.stats().sent_bytes == sent
    assert session.stats().inquiries == {"recursive": 1, "classic": 0, "undecided": 0}
    later = Stream()
    session.subscribe("/", later)
    connected = later.wait_for(Connected)
    assert isinstance(connected, Connected)
    assert connected.recursive


def test_an_inquiry_without_an_answer_is_counted(zookeeper: ZooKeeper) -> None:
    with Proxy(zookeeper.server.port) as proxy:
        client, stream = KazooClient(proxy.hosts), Stream()
        session = Session.attach(client)
        session.subscribe("/", stream)
        client.start()
        stream.wait_for(Connected)
        # The next connection is the inquiry's.
        proxy.hangs_up = True
        session.inquire()
        capable = stream.wait_for(Capable)
        assert isinstance(capable, Capable)
        assert capable.recursive is None
        assert session.stats().inquiries == {"recursive": 0, "classic": 0, "undecided": 1}
        client.stop()
        client.close()


def test_replies_and_watch_events_come_in_wire_order(client: KazooClient, zookeeper: ZooKeeper) -> None:
    session, stream = Session.attach(client), Stream()
    session.subscribe(zookeeper.root, stream)
    session.submit(AddWatch(zookeeper.root), stream)
    stream.wait_for(Reply)
    client.create("/a")
    client.set("/a", b"1")
    session.submit(MultiRead(zookeeper.root, ["/a", "/missing"], []), stream)
    eventually(lambda: sum(isinstance(message, Reply) for message in stream.messages) == 2)
    connected, watching, created, child, changed, read = stream.messages
    assert isinstance(connected, Connected)
    assert isinstance(watching, Reply)
    assert isinstance(created, WatchEvent)
    assert created[:2] == (1, zookeeper.root + "/a")
    assert isinstance(child, WatchEvent)
    assert child[:2] == (CHILD, zookeeper.root)
    assert isinstance(changed, WatchEvent)
    assert isinstance(read, Reply)
    assert isinstance(read.request, MultiRead)
    assert read.error == OK
    assert read.zxid == client.last_zxid
    assert read.request.decode(read.body, read.offset)[1] == NO_NODE


def test_events_outside_of_the_root_are_left_out(client: KazooClient, zookeeper: ZooKeeper) -> None:
    session, inside, everywhere = Session.attach(client), Stream(), Stream()
    client.create("/a")
    session.subscribe(f"{zookeeper.root}/a", inside)
    session.subscribe("/", everywhere)
    session.submit(AddWatch(zookeeper.root), everywhere)
    everywhere.wait_for(Reply)
    client.create("/ab")
    client.create("/a/b")
    eventually(lambda: everywhere.created() == [f"{zookeeper.root}/ab", f"{zookeeper.root}/a/b"])
    assert inside.created() == [f"{zookeeper.root}/a/b"]


def test_one_shot_watches_of_others_still_fire(client: KazooClient, zookeeper: ZooKeeper) -> None:
    session, stream = Session.attach(client), Stream()
    session.submit(AddWatch(zookeeper.root), stream)
    stream.wait_for(Reply)
    fired: list[str] = []
    client.create("/a")
    client.get("/a", watch=lambda event: fired.append(event.path))
    client.set("/a", b"1")
    eventually(lambda: fired == ["/a"])


def test_request_of_a_closed_client_stays_unanswered(zookeeper: ZooKeeper) -> None:
    client, stream, request = KazooClient(zookeeper.hosts), Stream(), AddWatch("/")
    Session.attach(client).submit(request, stream)
    assert stream.messages[0] == Unanswered(request)


def test_cut_connection_leaves_requests_unanswered_and_suspends(own_zookeeper: ZooKeeperServer) -> None:
    client, stream = KazooClient(own_zookeeper.hosts, timeout=4), Stream()
    session = Session.attach(client)
    session.subscribe("/", stream)
    client.start()
    stream.wait_for(Connected)
    own_zookeeper.suspend()
    request = AddWatch("/")
    session.submit(request, stream)
    eventually(lambda: session.stats().requests_outstanding == 1)
    assert session.stats().oldest_request_age >= 0
    own_zookeeper.kill()
    stream.wait_for(Suspended)
    assert [type(message) for message in stream.messages] == [Connected, Unanswered, Suspended]
    stats = session.stats()
    assert (stats.state, stats.server, stats.requests_outstanding) == ("suspended", None, 0)
    own_zookeeper.start()
    eventually(lambda: session.stats().state == "connected", timeout=20)
    stats = session.stats()
    assert stats.transitions["connected"] == 2
    assert stats.transitions["suspended"] == 1
    assert stats.connection_attempts >= 2
    client.stop()
    client.close()
    assert stream.messages[-1] == Lost()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A loopback port that nothing listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@pytest.mark.parametrize(("hosts", "reason"), [("127.0.0.1:{port}", "refused"), ("host.invalid:2181", "dns")])
def test_failed_connections_are_counted_by_reason(silent_port: int, hosts: str, reason: str) -> None:
    client = KazooClient(hosts.format(port=silent_port))
    session = Session.attach(client)
    assert session.stats().state == "connecting"
    client.start_async()
    eventually(lambda: session.stats().connection_failures[reason] >= 2)
    stats = session.stats()
    assert stats.state == "connecting"
    assert stats.session_started_at == stats.last_heard_at == stats.session_deadline_at == stats.session_timeout == 0
    client.stop()
    client.close()


def test_what_a_session_is_measured_by(zookeeper: ZooKeeper) -> None:
    before = time.time()
    client = KazooClient(zookeeper.hosts, timeout=4.0)
    session = Session.attach(client)
    client.start()
    client.create("/a", b"x" * 1000)
    client.get("/a", watch=lambda event: None)
    client.get_children("/", watch=lambda event: None)
    stats = session.stats()
    assert stats.state == "connected"
    assert stats.server == zookeeper.server.hosts
    assert stats.session_timeout == 4.0
    assert before <= stats.session_started_at <= stats.last_heard_at <= time.time()
    assert stats.session_deadline_at == pytest.approx(stats.last_heard_at + 4.0, abs=0.01)
    assert stats.last_zxid >= client.last_zxid > 0
    assert 1000 < stats.sent_bytes < 2000
    assert 1000 < stats.received_bytes < 2000
    assert stats.watches == {"data": 1, "child": 1, "recursive": 0}
    client.set("/a", b"")
    eventually(lambda: session.stats().watch_events == {"created": 0, "deleted": 0, "changed": 1, "child": 0})
    client.stop()
    client.close()
    assert session.stats().state == "lost"


def test_pings_are_heard(zookeeper: ZooKeeper) -> None:
    client = KazooClient(zookeeper.hosts, timeout=4.0)
    session = Session.attach(client)
    client.start()
    heard = session.stats().last_heard_at
    eventually(lambda: session.stats().last_heard_at > heard + 0.1)
    client.stop()
    client.close()


def test_answers_to_pings_tell_of_the_newest_transaction(zookeeper: ZooKeeper, client: KazooClient) -> None:
    idle = KazooClient(zookeeper.hosts, timeout=4.0)
    session = Session.attach(idle)
    idle.start()
    client.create("/a")
    eventually(lambda: session.stats().last_zxid >= client.last_zxid)
    assert idle.last_zxid < client.last_zxid
    idle.stop()
    idle.close()
    assert session.stats().last_zxid == 0


def test_what_is_not_known_of_a_session_that_was_there_before_is_zero(
    client_factory: ClientFactory, zookeeper: ZooKeeper
) -> None:
    with Proxy(zookeeper.server.port) as proxy:
        client = client_factory(proxy.hosts, timeout=100.0)
        session = Session.attach(client)
        client.get("/")
        stats = session.stats()
        assert (stats.state, stats.last_heard_at > 0) == ("connected", True)
        assert (stats.session_timeout, stats.session_deadline_at, stats.session_started_at) == (0, 0, 0)
        proxy.cut()
        eventually(lambda: session.stats().session_timeout)
        stats = session.stats()
        assert stats.session_deadline_at == pytest.approx(stats.last_heard_at + stats.session_timeout, abs=0.01)
        assert stats.session_timeout < 100
        assert stats.session_started_at == 0


def test_closing_is_as_old_as_the_call_to_stop(zookeeper: ZooKeeper) -> None:
    with Proxy(zookeeper.server.port) as proxy:
        client = KazooClient(proxy.hosts)
        session = Session.attach(client)
        client.start()
        answered_at = time.monotonic()
        client.get("/")
        eventually(lambda: time.monotonic() > answered_at + 0.2)
        proxy.stall(DOWN)
        called_at = time.monotonic()
        stopping = threading.Thread(target=client.stop)
        stopping.start()
        eventually(lambda: session.stats().requests_outstanding == 1)
        age = session.stats().oldest_request_age
        assert 0 <= age <= time.monotonic() - called_at
        proxy.heal()
        stopping.join(10)
        client.close()


def test_expired_session_is_counted(client_factory: ClientFactory, zookeeper: ZooKeeper) -> None:
    client = client_factory()
    session, stream = Session.attach(client), Stream()
    session.subscribe("/", stream)
    started = session.stats().session_started_at
    expire(client.client_id, zookeeper.hosts)
    stream.wait_for(Lost)
    eventually(lambda: session.stats().state == "connected")
    stats = session.stats()
    assert stats.sessions_lost == {**dict.fromkeys(LOST_REASONS, 0), "expired": 1}
    assert stats.transitions["lost"] == 1
    assert stats.session_started_at > started


def test_a_session_in_whose_place_a_server_opens_another_is_lost(
    client_factory: ClientFactory, zookeeper: ZooKeeper
) -> None:
    """As ClickHouse Keeper does; kazoo takes the new session for the old one."""
    with Proxy(zookeeper.server.port) as proxy:
        client = client_factory(proxy.hosts + zookeeper.root)
        session, stream = Session.attach(client), Stream()
        changes: list[StateChange] = []
        session.listen(changes.append)
        session.subscribe("/", stream)
        before = session.stats()
        assert before.session_id == f"0x{client.client_id[0]:x}"
        proxy.forgets_sessions = True
        proxy.cut()
        eventually(lambda: session.stats().sessions_lost["replaced"] == 1)
        eventually(lambda: session.stats().state == "connected")
        after = session.stats()
        assert after.session_id not in ("", before.session_id)
        assert after.session_started_at > 0
        eventually(lambda: len(stream.messages) == 4)
        assert [type(message) for message in stream.messages] == [Connected, Suspended, Lost, Connected]
        suspended, lost, connected = changes
        assert (suspended.state, suspended.session_id) == ("suspended", before.session_id)
        assert "broken" in suspended.reason
        assert (lost.state, lost.session_id, lost.reason) == ("lost", before.session_id, "replaced")
        assert (connected.state, connected.session_id, connected.server) == ("connected", after.session_id, proxy.hosts)
        assert connected.disconnected_for is not None
        # The next time the server knows the session.
        proxy.forgets_sessions = False
        proxy.cut()
        eventually(lambda: session.stats().transitions["connected"] == 2)
        assert session.stats().sessions_lost["replaced"] == 1


def test_a_client_that_brings_a_session_of_old_has_lost_none(
    client_factory: ClientFactory, zookeeper: ZooKeeper
) -> None:
    with Proxy(zookeeper.server.port) as proxy:
        proxy.forgets_sessions = True
        client = KazooClient(proxy.hosts, client_id=client_factory().client_id)
        session, stream = Session.attach(client), Stream()
        session.subscribe("/", stream)
        client.start()
        stream.wait_for(Connected)
        client.stop()
        client.close()
    assert sum(session.stats().sessions_lost.values()) == 0


@pytest.mark.parametrize(
    ("session_id", "shown"), [(None, ""), (0, ""), (0x1000000ABCD0001, "0x1000000abcd0001"), (-1, "0x" + "f" * 16)]
)
def test_a_session_s_id_is_written_as_in_the_log_of_zookeeper(session_id: int | None, shown: str) -> None:
    assert session_in_hex(session_id) == shown


def test_a_session_that_servers_hang_up_on_ends_only_where_that_is_allowed(own_zookeeper: ZooKeeperServer) -> None:
    """The owner of the client decides, not a time-out."""
    with Proxy(own_zookeeper.port) as proxy:
        client = KazooClient(proxy.hosts, timeout=2.0)
        session = Session.attach(client)
        client.start()
        client.create("/a")
        before = client.client_id
        asked: list[tuple[int, float]] = []
        over = threading.Event()

        def is_over(seen_zxid: int, silent_for: float) -> bool:
            asked.append((seen_zxid, silent_for))
            return over.is_set()

        proxy.hangs_up = True
        proxy.cut()
        eventually(lambda: session.stats().connection_failures["hung_up"] >= 3)
        assert session.stats().failed_attempts["hung_up"] >= 3
        assert session.stats().sessions_lost["given_up"] == 0
        session.allow_giving_up(is_over)
        eventually(lambda: len(asked) >= 2)
        assert asked[0][0] == client.last_zxid > 0
        assert asked[1][1] > asked[0][1] > 0
        assert session.stats().session_id == session_in_hex(before[0])
        over.set()
        eventually(lambda: session.stats().sessions_lost["given_up"] == 1)
        asked.clear()
        proxy.hangs_up = False
        eventually(lambda: session.stats().state == "connected")
        eventually(lambda: session.stats().failed_attempts == {})
        # Without a session, there is none to give up.
        assert client.client_id[0] != before[0]
        assert session.stats().sessions_lost == {**dict.fromkeys(LOST_REASONS, 0), "given_up": 1}
        client.stop()
        client.close()


def test_authentication_does_not_mix_up_replies_in_flight(client: KazooClient) -> None:
    Session.attach(client)
    client.create("/a", b"x" * 10_000)
    reads = [client.get_async("/a") for _ in range(2000)]
    auth = client.add_auth_async("digest", "user:secret")
    reads += [client.get_async("/a") for _ in range(2000)]
    missing = client.get_async("/missing")
    assert auth.get(timeout=20) is True
    assert all(len(read.get(timeout=20)[0]) == 10_000 for read in reads)
    with pytest.raises(NoNodeError):
        missing.get(timeout=20)


def test_refused_credentials_lose_the_session_once(
    client_factory: ClientFactory, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_factory()
    session = Session.attach(client)
    with pytest.raises(AuthFailedError):
        client.add_auth("no-such-scheme", "x")
    eventually(lambda: "AUTH_FAILED closing" in caplog.text)
    stats = session.stats()
    assert (stats.sessions_lost["auth_failed"], stats.transitions["lost"]) == (1, 1)
    assert stats.connection_attempts == 0, "it attached to an existing connection and made no other"


# Requests while a session ends


class HeldUp(deque[Any]):
    """A queue of kazoo's into which a thread puts a request that kazoo accepted while its session was good.

    That happens when `gate` opens: with `between`, right after the queued requests have failed because of the expiry,
    and before kazoo makes a new queue.
    """

    def __init__(self, client: KazooClient, between: bool) -> None:
        super().__init__()
        self.reached, self.gate = threading.Event(), threading.Event()
        self._client = client
        self._between = between
        self._put = threading.Event()

    def append(self, entry: object) -> None:
        self.reached.set()
        assert self.gate.wait(20)
        super().append(entry)
        self._put.set()

    def popleft(self) -> Any:
        if self._between and not self and self._client.client_state == KeeperState.EXPIRED_SESSION:
            self.gate.set()
            assert self._put.wait(20)
            raise IndexError
        return super().popleft()


def ask_while_the_session_ends(
    zookeeper: ZooKeeper, client: KazooClient, between: bool, ask: Callable[[], object]
) -> None:
    """Makes a request that kazoo accepts while the session is good, and queues when it has expired."""
    session = Session.attach(client)
    queue = adapt(client).queue = HeldUp(client, between)
    asking = threading.Thread(target=ask)
    asking.start()
    assert queue.reached.wait(10)
    expire(client.client_id, zookeeper.hosts)
    eventually(lambda: session.stats().sessions_lost["expired"] == 1)
    eventually(lambda: client.connected)
    queue.gate.set()
    asking.join(10)


@pytest.mark.parametrize("between", [True, False], ids=["in the old queue", "in a queue of the past"])
def test_a_barrier_that_is_queued_while_the_session_ends_fails_and_another_succeeds(
    client_factory: ClientFactory, zookeeper: ZooKeeper, between: bool
) -> None:
    client, stream = client_factory(), Stream()
    session = Session.attach(client)
    session.subscribe("/", stream)
    ask_while_the_session_ends(zookeeper, client, between, lambda: session.request_barrier("quorum", zookeeper.root))
    assert stream.wait_for(BarrierFailed) == BarrierFailed("quorum", None)
    session.request_barrier("quorum", zookeeper.root)
    assert isinstance(stream.wait_for(Barrier), Barrier)


@pytest.mark.parametrize("between", [True, False], ids=["in the old queue", "in a queue of the past"])
def test_a_call_that_is_queued_while_the_session_ends_fails(
    client_factory: ClientFactory, zookeeper: ZooKeeper, between: bool
) -> None:
    client = client_factory()
    results: list[Any] = []
    ask_while_the_session_ends(zookeeper, client, between, lambda: results.append(client.get_async("/")))
    with pytest.raises(SessionExpiredError):
        results[0].get(timeout=10)
    assert client.get("/")[0] == b""


def make_dense(session: Session, since: float) -> None:
    """Makes it seem as if a hundred events had come within a millisecond."""
    for number in range(100):
        session._reception._moderation.event()
        session._reception._moderation.read(since + number / 100_000)


def test_events_gather_only_while_nobody_else_waits_for_a_reply(
    client_factory: ClientFactory, zookeeper: ZooKeeper
) -> None:
    with Proxy(zookeeper.server.port) as proxy:
        client = client_factory(proxy.hosts, timeout=60.0)
        session = Session.attach(client)
        client.get("/")
        proxy.stall(DOWN)
        make_dense(session, 1000)
        assert session._reception.pause() > 0
        session.submit(MultiRead("", ["/"], []), lambda answer: None)
        eventually(lambda: len(adapt(client).pending) == 1)
        assert session._reception.pause() > 0
        proxy.heal()
        eventually(lambda: not adapt(client).pending)
        proxy.stall(DOWN)
        reply = client.get_async("/")
        eventually(lambda: len(adapt(client).pending) == 1)
        make_dense(session, 2000)
        assert session._reception.pause() == 0
        proxy.heal()
        assert reply.get(timeout=10)
