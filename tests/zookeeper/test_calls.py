"""Every call of a client is observed: begun once, ended once, with what became of it."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError, KazooException, NoNodeError

from exporter import TreeCache
from exporter.zookeeper.calls import ERRORS, OPERATIONS, Call, ClientObserver
from exporter.zookeeper.session import Session
from exporter.zookeeper.wire import GetData, MultiRead
from tests.conftest import ClientFactory, ZooKeeper
from tests.faults.proxy import DOWN, Proxy
from tests.support import eventually


class Recorder(ClientObserver):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.began: list[Call] = []
        self.ended: list[Call] = []
        self.tenants: list[object] = []

    def call_began(self, call: Call) -> None:
        self.began.append(call)

    def call_ended(self, call: Call) -> None:
        self.ended.append(call)

    def joined(self, tenant: object) -> None:
        self.tenants.append(tenant)

    def left(self, tenant: object) -> None:
        self.tenants.remove(tenant)

    def told(self) -> list[tuple[str, str | None]]:
        """Operation and error of each call that ended, pings apart, which come when they like."""
        return [(call.operation, call.error) for call in self.ended if call.operation != "ping"]


@pytest.fixture
def recorder(client: KazooClient) -> Recorder:
    recorder = Recorder()
    Session.attach(client).observers.add(recorder)
    return recorder


def test_a_call_ends_with_its_reply(client: KazooClient, zookeeper: ZooKeeper, recorder: Recorder) -> None:
    client.create("/a", b"data")
    assert client.get("/a")[0] == b"data"
    create, get = recorder.ended
    assert [create.operation, get.operation] == ["create", "getData"]
    assert get.path == zookeeper.root + "/a"
    assert get.server == zookeeper.server.hosts
    assert get.zxid == client.last_zxid
    assert get.xid == create.xid + 1
    assert get.sent_bytes == 4 + 4 + 4 + 4 + len(get.path) + 1
    assert get.received_bytes == 16 + 4 + len(b"data") + 68
    assert get.error is None
    assert get.ended_at is not None
    assert get.began_at <= get.ended_at


def test_a_call_ends_before_its_caller_goes_on(client: KazooClient, recorder: Recorder) -> None:
    for number in range(100):
        client.get("/")
        assert len(recorder.ended) == number + 1


def test_a_call_ends_with_its_error(client: KazooClient, recorder: Recorder) -> None:
    with pytest.raises(NoNodeError):
        client.get("/missing")
    client.create("/a")
    with pytest.raises(BadVersionError):
        client.set("/a", b"", version=7)
    assert recorder.told() == [("getData", "NONODE"), ("create", None), ("setData", "BADVERSION")]


def test_that_nothing_exists_is_no_error(client: KazooClient, recorder: Recorder) -> None:
    assert client.exists("/missing") is None
    assert recorder.told() == [("exists", None)]


def test_a_transaction_is_one_call_and_fails_with_the_operation_that_failed(
    client: KazooClient, recorder: Recorder
) -> None:
    for path in ("/a", "/missing/b"):
        transaction = client.transaction()
        transaction.create("/b")
        transaction.create(path)
        transaction.commit()
        client.delete("/b") if path == "/a" else None
    multis = [call for call in recorder.ended if call.operation == "multi"]
    assert [(call.error, call.batch_size) for call in multis] == [(None, 2), ("NONODE", 2)]


def test_recipes_watches_and_asynchronous_calls_are_observed(client: KazooClient, recorder: Recorder) -> None:
    with client.Lock("/lock"):
        pass
    results = [client.get_async("/") for _ in range(10)]
    for result in results:
        result.get()
    client.get("/", watch=print)
    counted = Counter(operation for operation, _ in recorder.told())
    assert counted["getData"] >= 11
    assert counted["delete"] == 1
    assert recorder.ended[-1].watches
    assert len(recorder.began) == len(recorder.ended)


def test_the_engines_own_calls_are_observed_and_its_cache_joins(client: KazooClient, recorder: Recorder) -> None:
    client.ensure_path("/app/a")
    del recorder.ended[:], recorder.began[:]
    with TreeCache(client, "/app", create_root=False) as cache:
        assert cache.wait_initialized(10)
        assert recorder.tenants == [cache]
        assert recorder.told()[:2] == [("addWatch", None), ("multiRead", None)]
        purposes = {call.request.purpose for call in recorder.ended if isinstance(call.request, MultiRead)}
        assert purposes == {"sync"}
        client.set("/app/a", b"new")
        eventually(lambda: cache.get_data("/app/a").data == b"new")
        eventually(lambda: any(getattr(call.request, "purpose", "") == "refresh" for call in recorder.ended))
    assert recorder.tenants == []
    eventually(lambda: ("removeWatches", None) in recorder.told())


def test_that_a_missing_root_is_watched_for_is_no_error(client: KazooClient, recorder: Recorder) -> None:
    with TreeCache(client, "/missing", create_root=False, mode="classic") as cache:
        assert cache.wait_initialized(10)
        eventually(lambda: ("exists", None) in recorder.told())
        reads = [call for call in recorder.ended if isinstance(call.request, GetData)]
        assert [call.error for call in reads] == ["NONODE"]


def test_an_observer_that_comes_later_hears_of_those_who_joined(client: KazooClient) -> None:
    with TreeCache(client, "/app") as cache:
        late = Recorder()
        observers = Session.attach(client).observers
        observers.add(late)
        assert late.tenants == [cache]
        observers.remove(late)
        assert late.tenants == []
        client.get("/")
        assert late.began == []


def test_a_refused_cache_can_be_started_once_it_is_accepted(client: KazooClient) -> None:
    class Refuses(ClientObserver):
        def joined(self, tenant: object) -> None:
            raise ValueError("not this one")

    refuses, recorder = Refuses(), Recorder()
    observers = Session.attach(client).observers
    observers.add(recorder)
    observers.add(refuses)
    cache = TreeCache(client, "/app")
    with pytest.raises(ValueError, match="not this one"):
        cache.start()
    assert recorder.tenants == []
    observers.remove(refuses)
    with cache:
        assert cache.wait_initialized(10)


def test_connecting_pinging_authenticating_and_closing_are_calls(zookeeper: ZooKeeper) -> None:
    client, recorder = KazooClient(zookeeper.hosts, timeout=0.5), Recorder()
    Session.attach(client).observers.add(recorder)
    client.start()
    client.add_auth("digest", "user:password")
    eventually(lambda: any(call.operation == "ping" for call in recorder.ended))
    client.stop()
    client.close()
    told = recorder.told()
    assert told[0] == ("createSession", None)
    assert ("auth", None) in told
    assert told[-1] == ("closeSession", None)
    assert {error for _, error in told} == {None}
    assert len(recorder.began) == len(recorder.ended)


def test_the_loss_of_the_connection_ends_every_call_once(client_factory: ClientFactory, zookeeper: ZooKeeper) -> None:
    with Proxy(zookeeper.server.port) as proxy:
        client, recorder = client_factory(proxy.hosts), Recorder()
        Session.attach(client).observers.add(recorder)
        proxy.stall(DOWN)
        results = [client.get_async("/") for _ in range(50)]
        proxy.cut()
        for result in results:
            result.wait(10)
        lost = [call for call in recorder.ended if call.operation == "getData"]
        assert [call.error for call in lost] == ["CONNECTIONLOSS"] * 50
        client.stop()
        assert len({id(call) for call in recorder.ended}) == len(recorder.ended) == len(recorder.began)


def test_what_never_leaves_is_no_call(client: KazooClient, recorder: Recorder) -> None:
    client.stop()
    del recorder.began[:]
    with pytest.raises(KazooException):
        client.get("/")
    assert recorder.began == []


def test_an_observer_that_fails_disturbs_nobody(client: KazooClient, recorder: Recorder) -> None:
    class Fails(ClientObserver):
        def call_began(self, call: Call) -> None:
            raise RuntimeError("began")

        def call_ended(self, call: Call) -> None:
            raise RuntimeError("ended")

        def watch_fired(self, kind: int, path: str) -> object:
            raise RuntimeError("fired")

    observers = Session.attach(client).observers
    observers.remove(recorder)
    observers.add(Fails())
    observers.add(recorder)
    fired = threading.Event()
    client.create("/a")
    client.get("/a", watch=lambda _event: fired.set())
    client.set("/a", b"new")
    assert fired.wait(10)
    assert [operation for operation, _ in recorder.told()] == ["create", "getData", "setData"]


def test_names_of_operations_and_errors_are_closed_sets() -> None:
    assert len(set(OPERATIONS)) == len(OPERATIONS)
    assert len(set(ERRORS)) == len(ERRORS)
