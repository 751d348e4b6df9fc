"""A cache, its client or the program ends in any way: no hang, no late call, no leftover."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref

import pytest
from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.security import make_digest_acl

from exporter import TreeCache, TreeEvent
from tests.conftest import ZooKeeper
from tests.support import eventually

ROOT = "/app"

PROGRAM = """
import atexit, contextlib, sys
from kazoo.client import KazooClient
from exporter import TreeCache

client = KazooClient(sys.argv[1])
client.start()
cache = TreeCache(client, "/app")
cache.listen(lambda event: None)
cache.start()
assert cache.wait_initialized(60)

class Owner:
    def __init__(self):
        self.cache = cache

    def close(self):
        self.cache.close()
        sys.stderr.write(self.cache.state + "\\n")

class Closer(Owner):
    def __del__(self):
        self.close()

def generator(owner):
    try:
        yield
    finally:
        owner.close()

{ending}
print("at the end", flush=True)
"""
ENDINGS = {
    "a global's __del__": "owner = Closer(); del cache",
    "a cycle's __del__": "owner = Closer(); owner.itself = owner; del owner, cache",
    "a generator's finally": "running = generator(Owner()); next(running); del cache",
    "a generator's finally in a cycle": "one = [generator(Owner())]; next(one[0]); one.append(one); del one, cache",
    "an ExitStack at exit": "s = contextlib.ExitStack(); s.callback(Owner().close); atexit.register(s.close)",
    "an ExitStack's generator": """
@contextlib.contextmanager
def opened():
    owner = Owner()
    try:
        yield owner
    finally:
        owner.close()
stack = contextlib.ExitStack(); stack.enter_context(opened())""",
    "a module's attribute": "sys.modules['json'] = Closer(); del cache",
    "after the client stopped": "client.stop(); client.close(); owner = Closer()",
    "an exception": "owner = Closer(); raise SystemExit(0)",
    "nothing": "",
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_program_ends_however_its_cache_is_closed(zookeeper: ZooKeeper, ending: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.replace("{ending}", ending), zookeeper.hosts],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stderr.split()) <= {"closed"}


def test_without_its_client_a_cache_has_no_thread_and_with_it_again_it_goes_on(zookeeper: ZooKeeper) -> None:
    client = KazooClient(zookeeper.hosts)
    before = set(threading.enumerate())
    cache = TreeCache(client, ROOT)
    cache.start()
    for number in range(3):
        client.start()
        assert cache.wait_initialized(60)
        client.ensure_path(f"{ROOT}/{number}")
        eventually(lambda number=number: len(cache) == 2 + number)  # type: ignore[misc]
        assert cache.state == "in_sync"
        client.stop()
        client.close()
        eventually(lambda: set(threading.enumerate()) <= before)
        assert cache.state == "disconnected"
    cache.close()
    assert cache.state == "closed"


@pytest.mark.parametrize("closes", [False, True])
def test_what_is_dropped_leaves_nothing(zookeeper: ZooKeeper, closes: bool) -> None:
    """A cache that was not closed is freed with its client, a closed one immediately."""
    client = KazooClient(zookeeper.hosts)
    cache = TreeCache(client, ROOT)
    cache.listen(lambda event: None)
    client.start()
    cache.start()
    assert cache.wait_initialized(60)
    gone = weakref.ref(cache)
    if closes:
        cache.close()
        del cache
        eventually(lambda: gc.collect() >= 0 and gone() is None)
        client.stop()
        client.close()
    else:
        client.stop()
        client.close()
        del cache, client
        eventually(lambda: gc.collect() >= 0 and gone() is None)


def test_an_unreferenced_cache_serves_its_listeners(client: KazooClient) -> None:
    """As with kazoo's cache: a program that only listens needs no reference."""
    events: list[int] = []

    def begin() -> None:
        cache = TreeCache(client, ROOT)
        cache.listen(lambda event: events.append(event.event_type))
        cache.start()

    begin()
    eventually(lambda: TreeEvent.INITIALIZED in events)
    gc.collect()
    client.create(f"{ROOT}/new")
    eventually(lambda: events[-1] == TreeEvent.NODE_ADDED)


def test_no_call_begins_after_close_and_one_that_runs_is_waited_for(client: KazooClient) -> None:
    client.ensure_path(ROOT)
    begun: list[object] = []
    at_work, go_on = threading.Event(), threading.Event()

    def slow(event: TreeEvent) -> None:
        begun.append(event)
        at_work.set()
        go_on.wait(60)

    before = set(threading.enumerate())
    cache = TreeCache(client, ROOT)
    cache.start()
    assert cache.wait_initialized(60)
    for listener in (slow, begun.append):
        cache.listen(listener)
    for number in range(20):
        client.create(f"{ROOT}/{number}")
    assert at_work.wait(20)
    eventually(lambda: len(cache) == 21)
    cache.close()
    assert len(begun) == 1
    go_on.set()
    eventually(lambda: set(threading.enumerate()) <= before)
    assert len(begun) == 1


def test_what_waits_at_close_is_delivered_when_listeners_are_quick(client: KazooClient) -> None:
    client.ensure_path(ROOT)
    heard: list[object] = []
    go_on = threading.Event()
    cache = TreeCache(client, ROOT)
    cache.start()
    assert cache.wait_initialized(60)
    cache.listen(lambda event: go_on.wait(60))
    cache.listen(heard.append)
    for number in range(20):
        client.create(f"{ROOT}/{number}")
    eventually(lambda: cache.stats().undelivered_events == 20)
    go_on.set()
    cache.close()
    assert len(heard) == 20


def test_one_that_closes_is_the_last_to_be_called(client: KazooClient) -> None:
    client.ensure_path(ROOT)
    heard: list[str] = []
    closed = threading.Event()
    cache = TreeCache(client, ROOT)

    def close(event: TreeEvent) -> None:
        cache.close()
        heard.append("closed")
        closed.set()

    cache.listen(close)
    cache.listen(lambda event: heard.append("late"))
    before = set(threading.enumerate())
    cache.start()
    assert closed.wait(20)
    eventually(lambda: set(threading.enumerate()) <= before)
    assert heard == ["closed"]


# The root, which is still to be created.


@pytest.mark.parametrize("mode", ["recursive", "classic"])
def test_a_cache_is_initialized_when_its_root_is_there(zookeeper: ZooKeeper, mode: str) -> None:
    for number in range(10):
        client = KazooClient(zookeeper.hosts)
        path = f"{ROOT}/{number}/root"
        cache = TreeCache(client, path, mode=mode)
        events: list[int] = []
        cache.listen(lambda event, events=events: events.append(event.event_type))
        with cache:
            client.start()
            assert cache.wait_initialized(60)
            assert list(cache) == [path]
            eventually(lambda events=events: events == [TreeEvent.NODE_ADDED, TreeEvent.INITIALIZED])  # type: ignore[misc]
        client.stop()
        client.close()


def test_a_root_that_may_not_be_created_is_a_fault_and_the_cache_is_empty(
    client: KazooClient, zookeeper: ZooKeeper
) -> None:
    client.create("/locked", acl=[make_digest_acl("other", "secret", all=True)])
    late = KazooClient(zookeeper.hosts)
    faults: list[BaseException] = []
    cache = TreeCache(late, "/locked/root")
    cache.listen_fault(faults.append)
    with cache:
        late.start()
        assert cache.wait_initialized(60)
        assert (len(cache), cache.stats().faults["root"], cache.state) == (0, 1, "in_sync")
        eventually(lambda: [type(fault) for fault in faults] == [NoAuthError])
    late.stop()
    late.close()
