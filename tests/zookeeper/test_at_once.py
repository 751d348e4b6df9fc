"""What follows from messages that have arrived is sent immediately, on the connection's thread, if nothing waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from kazoo.client import KazooClient

from exporter.zookeeper.calls import Call, ClientObserver
from exporter.zookeeper.kazoo.seam import adapt
from exporter.zookeeper.messages import Connected, Message, Reply, Suspended, Unanswered, WatchEvent
from exporter.zookeeper.records import data_of
from exporter.zookeeper.session import Session
from exporter.zookeeper.wire import OK, AddWatch, GetData
from tests.conftest import ClientFactory, ZooKeeper
from tests.support import eventually


class Reader:
    """Reads the znode that an event names, as soon as all messages that came with it have arrived."""

    def __init__(self, session: Session, root: str) -> None:
        self.messages: list[Message] = []
        self.occasions: list[bool] = []
        self.on_event: Callable[[], object] = lambda: None
        self.before: Callable[[], object] = lambda: None
        self._session = session
        self._root = root
        self._changed: list[str] = []
        session.subscribe(root, self, self.arrived)
        session.submit(AddWatch(root), self)
        eventually(lambda: any(isinstance(message, Reply) for message in self.messages))
        self.messages.clear()
        self.occasions.clear()

    def __call__(self, message: Message) -> None:
        self.messages.append(message)
        if isinstance(message, WatchEvent):
            self._changed.append(message.path.removeprefix(self._root))
            self.on_event()

    def arrived(self, sends_at_once: bool) -> None:
        changed, self._changed = self._changed, []
        if not changed:
            return
        self.occasions.append(sends_at_once)
        if self.occasions[-1]:
            self.before()
            for path in changed:
                self._session.submit(GetData(self._root, path), self)

    def answered(self) -> list[bytes | None]:
        replies = [message for message in self.messages if isinstance(message, Reply)]
        assert {reply.error for reply in replies} <= {OK}
        return [data_of(reply.body[reply.offset :]) for reply in replies]


class Threads(ClientObserver):
    """Notes which thread began each read."""

    def __init__(self) -> None:
        self.reads: list[str] = []

    def call_began(self, call: Call) -> None:
        if call.operation == "getData":
            self.reads.append(threading.current_thread().name)


@pytest.fixture
def reader(client: KazooClient, zookeeper: ZooKeeper) -> Reader:
    client.create("/a", b"0")
    return Reader(Session.attach(client), zookeeper.root)


def test_it_is_sent_on_the_connections_thread(reader: Reader, client: KazooClient) -> None:
    session, observer = Session.attach(client), Threads()
    session.observers.add(observer)
    for number in range(1, 4):
        client.set("/a", b"%d" % number)
        eventually(lambda number=number: len(reader.answered()) == number)  # type: ignore[misc]
    assert reader.answered() == [b"1", b"2", b"3"]
    assert reader.occasions == [True] * 3
    assert len(set(observer.reads)) == 1
    assert observer.reads[0] != threading.current_thread().name
    assert session.stats().requests_outstanding == 0
    # The client's own requests still get their own replies.
    assert client.get("/a")[0] == b"3"


def test_what_is_queued_already_goes_first(reader: Reader, client: KazooClient) -> None:
    reader.on_event = lambda: client.get_async("/a")
    client.set("/a", b"1")
    eventually(lambda: reader.occasions == [False])
    assert reader.answered() == []


def test_a_connection_that_is_lost_meanwhile_answers_nothing_and_is_made_again(
    client_factory: ClientFactory, zookeeper: ZooKeeper
) -> None:
    client, writer = client_factory(), client_factory()
    writer.create("/a", b"0")
    session = Session.attach(client)
    reader = Reader(session, zookeeper.root)
    reader.before = session._client.hang_up
    writer.set("/a", b"1")
    eventually(lambda: any(isinstance(message, Connected) for message in reader.messages))
    kinds = [type(message) for message in reader.messages]
    assert kinds == [WatchEvent, Unanswered, Suspended, Connected]
    assert session.stats().requests_outstanding == 0
    assert client.get("/a")[0] == b"1"


def test_it_waits_for_nobody_who_waits_for_the_connections_thread(
    client_factory: ClientFactory, zookeeper: ZooKeeper
) -> None:
    """kazoo's callers wait once a few hundred requests are queued that its thread has not taken."""
    client, writer = client_factory(), client_factory()
    writer.create("/a", b"0")
    reader = Reader(Session.attach(client), zookeeper.root)
    results: list[Any] = []
    caller = threading.Thread(target=lambda: results.extend(client.get_async("/a") for _ in range(3000)))

    def fill() -> None:
        if caller.ident is None:
            caller.start()
            eventually(is_waiting)

    def is_waiting() -> bool:
        queued = len(adapt(client).queue)
        time.sleep(0.1)
        return queued > 100 and len(adapt(client).queue) == queued

    reader.before = fill
    writer.set("/a", b"1")
    eventually(lambda: reader.answered() == [b"1"])
    caller.join(60)
    assert len(results) == 3000
    assert {result.get(timeout=60)[0] for result in results} == {b"1"}


def test_nothing_is_sent_at_once_as_soon_as_somebody_queues_a_request(
    client: KazooClient, zookeeper: ZooKeeper
) -> None:
    session, seen = Session.attach(client), list[bool]()

    def queues(sends_at_once: bool) -> None:
        if not seen:
            seen.append(sends_at_once)
            client.get_async("/")

    def comes_later(sends_at_once: bool) -> None:
        if len(seen) == 1:
            seen.append(sends_at_once)

    session.subscribe("/", lambda message: None, queues)
    session.subscribe("/", lambda message: None, comes_later)
    client.exists("/")
    # The answer reaches the caller first.
    eventually(lambda: seen == [True, False])
