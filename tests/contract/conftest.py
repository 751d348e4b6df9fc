"""The contract's implementations: kazoo's cache and the exporter's in both strategies, behind the same few calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import kazoo.recipe.cache
import pytest
from kazoo.client import KazooClient

import exporter
from tests.conftest import ClientFactory, ZooKeeper
from tests.contract.failures import KAZOO_FAILS
from tests.faults.proxy import Proxy
from tests.support import eventually

IMPLEMENTATIONS: dict[str, Callable[..., Any]] = {
    "recursive": partial(exporter.TreeCache, mode="recursive"),
    "classic": partial(exporter.TreeCache, mode="classic"),
    "kazoo": kazoo.recipe.cache.TreeCache,
}

#: Seconds to wait for a condition that is expected to fail, and for one that is expected to hold.
PATIENCE_TO_FAIL, PATIENCE = 1.5, 60.0

Soon = Callable[[Callable[[], Any]], Any]


@dataclass
class Program:
    """A cache and all `events` and `faults` that it published."""

    cache: Any
    events: list[Any] = field(default_factory=list)
    faults: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.cache.listen(self.events.append)
        self.cache.listen_fault(self.faults.append)

    def told(self) -> list[tuple[int, str | None]]:
        """Type and path of every event so far."""
        return [(event.event_type, event.event_data and event.event_data.path) for event in list(self.events)]

    def kinds(self, path: str | None = None) -> list[int]:
        """The types of the events so far, of all or of those about one znode."""
        return [kind for kind, about in self.told() if path in (None, about)]

    def data(self, path: str) -> bytes | None:
        """The data that the cache holds at a path, or None."""
        node = self.cache.get_data(path)
        return None if node is None else bytes(node.data)


Make = Callable[..., Any]
Run = Callable[..., Program]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expects of kazoo's cache the failures that are known, each of them, and no other."""
    for item in items:
        if isinstance(item, pytest.Function) and "implementation" in getattr(item, "fixturenames", ()):
            reason = KAZOO_FAILS.get(item.originalname)
            if reason and item.callspec.params["implementation"] == "kazoo":
                item.add_marker(pytest.mark.xfail(reason=reason, raises=(AssertionError, pytest.fail.Exception)))
                # A cache that failed may keep its client from stopping.
                item.add_marker(pytest.mark.timeout(60))


@pytest.fixture(params=IMPLEMENTATIONS)
def implementation(request: pytest.FixtureRequest) -> str:
    """The name of the implementation under test."""
    return str(request.param)


@pytest.fixture
def soon(request: pytest.FixtureRequest) -> Soon:
    """`eventually`, which does not wait long for a condition that is expected to fail."""
    fails = request.node.get_closest_marker("xfail") is not None
    return partial(eventually, timeout=PATIENCE_TO_FAIL if fails else PATIENCE)


@pytest.fixture
def make(implementation: str, client: KazooClient) -> Iterator[Make]:
    """Makes caches: `make(path, client)`, by default of /app; all are closed after the test."""
    made: list[Any] = []

    def make(path: str = "/app", client: KazooClient = client) -> Any:
        made.append(IMPLEMENTATIONS[implementation](client, path))
        return made[-1]

    yield make
    for cache in made:
        cache.close()


@pytest.fixture
def run(make: Make) -> Run:
    """Makes a cache as `make` does, listens to it, starts it and waits until it is initialized."""

    def run(*args: Any, **options: Any) -> Program:
        program = Program(make(*args, **options))
        program.cache.start()
        eventually(lambda: exporter.TreeEvent.INITIALIZED in program.kinds(), PATIENCE)
        return program

    return run


@pytest.fixture
def proxy(zookeeper: ZooKeeper) -> Iterator[Proxy]:
    """A way to the server that the test can shut."""
    with Proxy(zookeeper.server.port) as proxy:
        yield proxy


@pytest.fixture
def away(proxy: Proxy, zookeeper: ZooKeeper, client_factory: ClientFactory) -> KazooClient:
    """A client that comes through the proxy, and is quick to come back when that lets it."""
    quick = {"max_tries": -1, "delay": 0.02, "backoff": 1, "max_jitter": 0.02}
    return client_factory(proxy.hosts + zookeeper.root, connection_retry=quick)


def shut(proxy: Proxy) -> None:
    """Cuts every connection and lets none be made until the proxy is healed."""
    proxy.refuse()
    proxy.cut()
