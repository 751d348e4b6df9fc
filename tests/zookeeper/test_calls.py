"""Every call of a client is observed: it begins once and ends once, with its result."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import BadVersionError, KazooException, NoNodeError

from exporter import TreeCache
from exporter.demo.server import ZooKeeperServer
from exporter.treecache.observer import CacheObserver
from exporter.treecache.sent import Sent
from exporter.zookeeper.calls import ERRORS, OPERATIONS, OTHER, Call, ClientObserver
from exporter.zookeeper.observers import Observers
from exporter.zookeeper.session import Session
from exporter.zookeeper.wire import GetData, MultiRead, WatchingRead
from tests.conftest import TICK_TIME, ClientFactory, ZooKeeper
from tests.faults.proxy import DOWN, Proxy
from tests.support import LONG_SESSIONS, eventually, expire


class Recorder(ClientObserver):
    """Records its notifications."""

    def __init__(self) -> None:
        self.began: list[Call] = []
        self.ended: list[Call] = []
        self.tenants: list[object] = []
        self.connects: list[float] = []

    def call_began(self, call: Call) -> None:
        self.began.append(call)

    def call_ended(self, call: Call) -> None:
        self.ended.append(call)

    def connected(self, seconds: float, exemplar: Mapping[str, str] | None) -> None:
        self.connects.append(seconds)

    def joined(self, tenant: object) -> None:
        self.tenants.append(tenant)

    def left(self, tenant: object) -> None:
        self.tenants.remove(tenant)

    def told(self) -> list[tuple[str, str | None]]:
        """Operation and error of each call that ended, except pings, which come at any time."""
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
        assert cache.wait_initialized(60)
        assert recorder.tenants == [cache]
        assert recorder.told()[:2] == [("addWatch", None), ("multiRead", None)]
        loaded = len(recorder.ended)
        client.set("/app/a", b"new")
        eventually(lambda: cache.get_data("/app/a").data == b"new")
        eventually(lambda: any(isinstance(call.request, MultiRead) for call in recorder.ended[loaded:]))
    assert recorder.tenants == []
    eventually(lambda: ("removeWatches", None) in recorder.told())


def test_what_a_cache_does_refers_to_the_calls_that_it_took(client: KazooClient) -> None:
    class Samples(ClientObserver):
        def call_began(self, call: Call) -> None:
            call.exemplar = {"trace_id": call.operation}

    class Notes(CacheObserver):
        def refreshed(self, sent: Sent, at: float) -> None:
            found.append(sent.exemplar)

        def verified(self, seconds: float, exemplar: Mapping[str, str] | None) -> None:
            found.append(exemplar)

    found: list[Mapping[str, str] | None] = []
    Session.attach(client).observers.add(Samples())
    with TreeCache(client, "/app") as cache:
        assert cache.wait_initialized(60)
        cache.observe(Notes())
        client.create("/app/a")
        eventually(lambda: {"trace_id": "multiRead"} in found)
        assert cache.verify(60)
        eventually(lambda: {"trace_id": "multi"} in found)


def test_that_a_missing_root_is_watched_for_is_no_error(client: KazooClient, recorder: Recorder) -> None:
    with TreeCache(client, "/missing", create_root=False, mode="classic") as cache:
        assert cache.wait_initialized(60)
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
        assert cache.wait_initialized(60)


def test_connecting_pinging_authenticating_and_closing_are_calls(zookeeper: ZooKeeper) -> None:
    client, recorder = KazooClient(zookeeper.hosts, timeout=3.0), Recorder()
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


def test_a_session_that_is_refused_for_being_over_is_an_error(
    client_factory: ClientFactory, zookeeper: ZooKeeper
) -> None:
    client, recorder = client_factory(), Recorder()
    Session.attach(client).observers.add(recorder)
    expire(client.client_id, zookeeper.hosts)
    eventually(lambda: recorder.told() == [("createSession", "SESSIONEXPIRED"), ("createSession", None)])


def test_connecting_lasts_from_the_socket_to_the_session_and_counts_where_it_succeeds(zookeeper: ZooKeeper) -> None:
    with Proxy(zookeeper.server.port) as proxy:
        proxy.delay = 0.1
        client, recorder = KazooClient(proxy.hosts), Recorder()
        session = Session.attach(client)
        session.observers.add(recorder)
        client.start()
        assert len(recorder.connects) == 1
        # There and back.
        assert recorder.connects[0] >= 0.2
        proxy.refuse()
        proxy.cut()
        eventually(lambda: sum(session.stats().connection_failures.values()) > 1)
        assert len(recorder.connects) == 1
        proxy.heal()
        eventually(lambda: client.connected)
        assert len(recorder.connects) == 2
        client.stop()
        client.close()


def test_the_close_of_a_session_begins_where_it_is_asked_for(zookeeper: ZooKeeper) -> None:
    with Proxy(zookeeper.server.port) as proxy:
        client, recorder = KazooClient(proxy.hosts), Recorder()
        client.start()
        Session.attach(client).observers.add(recorder)
        proxy.delay = 0.1
        before, asked_by = time.monotonic(), threading.get_ident()
        began_by: list[int] = []
        recorder.call_began = lambda call: began_by.append(threading.get_ident())  # type: ignore[method-assign]
        client.stop()
        client.close()
        (close,) = recorder.ended
        assert (close.operation, close.error, close.server) == ("closeSession", None, proxy.hosts)
        assert began_by == [asked_by]
        assert close.began_at >= before
        assert close.ended_at is not None
        assert close.ended_at - close.began_at >= 0.1
        assert close.sent_bytes > 0
        assert close.received_bytes > 0


def test_a_close_that_gets_no_answer_ends_with_the_connection(zookeeper: ZooKeeper) -> None:
    with Proxy(zookeeper.server.port) as proxy:
        client, recorder = KazooClient(proxy.hosts), Recorder()
        Session.attach(client).observers.add(recorder)
        client.start()
        proxy.stall(DOWN)
        stopping = threading.Thread(target=client.stop)
        stopping.start()
        eventually(lambda: recorder.began[-1].operation == "closeSession")
        proxy.refuse()
        proxy.cut()
        stopping.join(20)
        client.close()
        assert recorder.told()[-1] == ("closeSession", "CONNECTIONLOSS")
        assert len(recorder.began) == len(recorder.ended)


JAAS = """\
Server {
  org.apache.zookeeper.server.auth.DigestLoginModule required user_exporter="right";
};
"""


@pytest.fixture(scope="module")
def sasl_zookeeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZooKeeperServer]:
    """A server with a user for SASL."""
    jaas = tmp_path_factory.mktemp("sasl") / "jaas.conf"
    jaas.write_text(JAAS)
    properties = {
        "java.security.auth.login.config": str(Path(jaas)),
        "zookeeper.authProvider.1": "org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
    }
    with ZooKeeperServer(tick_time=TICK_TIME, config=LONG_SESSIONS, system_properties=properties) as server:
        yield server


@pytest.mark.starts
@pytest.mark.parametrize(("password", "succeeds"), [("right", True), ("wrong", False)])
def test_sasl_is_observed(sasl_zookeeper: ZooKeeperServer, password: str, succeeds: bool) -> None:
    options = {"mechanism": "DIGEST-MD5", "username": "exporter", "password": password}
    client, recorder = KazooClient(sasl_zookeeper.hosts, sasl_options=options), Recorder()
    session = Session.attach(client)
    session.observers.add(recorder)
    client.start_async()
    if succeeds:
        eventually(lambda: client.connected)
        client.exists("/")
    else:
        eventually(lambda: session.stats().sessions_lost["auth_failed"] == 1)
    calls = [call for call in recorder.ended if call.operation == "sasl"]
    assert [call.xid for call in calls] == list(range(1, len(calls) + 1))
    assert {call.server for call in calls} == {sasl_zookeeper.hosts}
    assert all(call.sent_bytes > 0 for call in calls)
    errors = [call.error for call in calls]
    assert errors[:-1] == [None] * len(errors[:-1])
    assert (errors[-1] is None) == succeeds
    client.stop()
    client.close()
    assert len(recorder.began) == len(recorder.ended)


def test_pings_are_answered_in_their_order() -> None:
    observers, recorder = Observers(), Recorder()
    observers.add(recorder)
    pings = [observers.begin(object(), None) for _ in range(3)]
    for ping in pings:
        observers.expect(ping, -2)
    observers.answered(-2, 7, 16)
    observers.answered(-2, 8, 16)
    observers.answered(-3, 9, 16)
    assert recorder.ended == pings[:2]
    assert [ping.zxid for ping in pings] == [7, 8, 0]
    observers.connection_lost()
    assert recorder.ended == pings
    assert pings[2].error == "CONNECTIONLOSS"
    observers.answered(-2, 10, 16)
    assert recorder.ended == pings


def test_a_request_without_a_type_is_a_call_as_well() -> None:
    assert Call(object(), ()).operation == OTHER


def test_a_call_that_two_end_at_once_ends_once(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    call = Call(object(), (recorder,))
    clock = time.monotonic

    def meanwhile() -> float:
        monkeypatch.setattr("exporter.zookeeper.calls.time.monotonic", clock)
        call.end("CONNECTIONLOSS")
        return clock()

    monkeypatch.setattr("exporter.zookeeper.calls.time.monotonic", meanwhile)
    call.end(None)
    assert recorder.ended == [call]
    assert call.error is None


def test_the_engines_single_reads_ask_for_watches(client: KazooClient, recorder: Recorder) -> None:
    client.ensure_path("/app/a")
    del recorder.ended[:]
    with TreeCache(client, "/app", create_root=False, mode="classic") as cache:
        assert cache.wait_initialized(60)
    reads = [call for call in recorder.ended if isinstance(call.request, WatchingRead)]
    assert len(reads) == 4
    assert all(call.watches for call in reads)


def test_a_call_that_is_not_sent_has_the_server_that_it_was_meant_for_if_any(
    client_factory: ClientFactory, zookeeper: ZooKeeper
) -> None:
    with Proxy(zookeeper.server.port) as proxy:
        client, recorder = client_factory(proxy.hosts), Recorder()
        Session.attach(client).observers.add(recorder)
        client.get("/")
        assert [call.server for call in recorder.ended] == [proxy.hosts]
        proxy.refuse()
        proxy.cut()
        eventually(lambda: not client.connected)
        result = client.get_async("/")
        (call,) = [call for call in recorder.began if call.operation == "getData" and call.ended_at is None]
        assert call.server is None
        proxy.heal()
        result.get(timeout=10)
        assert call.server == proxy.hosts


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


def test_an_observer_that_fails_when_a_cache_leaves_does_not_keep_it_from_closing(
    client: KazooClient, recorder: Recorder
) -> None:
    class Fails(ClientObserver):
        def left(self, tenant: object) -> None:
            raise RuntimeError("left")

    observers, fails = Session.attach(client).observers, Fails()
    observers.remove(recorder)
    observers.add(fails)
    observers.add(recorder)
    with TreeCache(client, "/app") as cache:
        assert cache.wait_initialized(60)
    assert recorder.tenants == []
    assert len(cache) == 0
    with TreeCache(client, "/app"):
        observers.remove(fails)
        assert recorder.tenants != []


def test_names_of_operations_and_errors_are_closed_sets() -> None:
    assert len(set(OPERATIONS)) == len(OPERATIONS)
    assert len(set(ERRORS)) == len(ERRORS)
