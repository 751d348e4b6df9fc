"""World: a realistic, changing tree of services, configuration, task queues and locks, written by several sessions."""

from __future__ import annotations

import itertools
import json
import logging
import random
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, RolledBackError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.retry import KazooRetry

ROOTS = ("/services", "/config", "/tasks", "/locks")

SERVICES = (
    *("accounts", "billing", "cart", "catalog", "checkout", "currency", "delivery", "email", "fraud", "gateway"),
    *("identity", "inventory", "invoices", "ledger", "media", "notify", "orders", "payments", "pricing"),
    *("profile", "recommend", "reviews", "search", "shipping"),
)
ENVIRONMENTS = ("production", "staging", "preview")
QUEUES = ("emails", "invoices", "thumbnails", "exports")
LOCKS = ("ledger-close", "reindex", "nightly-report", "schema-migration", "price-import", "mail-digest")
HOSTS = ("node-a", "node-b", "node-c", "node-d")

SETTINGS_PER_SERVICE = 30
INSTANCES_PER_HOST = 6
TASKS_PER_QUEUE = 150
TRANSACTION_SIZE = 250

logger = logging.getLogger(__name__)

# The demo's own sessions reconnect quietly; only the exporter's log matters.
quiet = logging.getLogger(f"{__name__}.kazoo")
quiet.setLevel(logging.CRITICAL)

T = TypeVar("T")


class Znode(NamedTuple):
    """A znode to create."""

    path: str
    data: bytes
    ephemeral: bool = False
    sequence: bool = False


class World:
    """Creates a tree of some 3,500 znodes and keeps changing it until stopped.

    `hosts` is a connection string, `writes_per_second` the approximate load after the start; the same `seed` gives
    the same tree. Every change starts from the server's data, not from memory, so lost connections and sessions do no
    harm.
    """

    def __init__(self, hosts: str, *, writes_per_second: float = 30.0, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self._pause = 1 / writes_per_second
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._live, name="demo-world", daemon=True)
        self._operator = _client(hosts)
        self._hosts = [Host(name, _client(hosts), self._random) for name in HOSTS]

    def start(self) -> None:
        """Creates the tree, then changes it from a thread. Raises KazooTimeoutError if no server answers."""
        try:
            for client in self._clients:
                client.start()
            create_all(self._operator, initial_tree(self._random))
            for host in self._hosts:
                host.register()
        except BaseException:
            self.stop()
            raise
        self._thread.start()

    def stop(self) -> None:
        """Stops changing the tree and closes the sessions, which removes their ephemeral znodes."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1)
            # Without a server, the thread waits for a reply until its client is stopped.
            for client in self._clients:
                client.stop()
            self._thread.join()
        for client in self._clients:
            client.stop()
            client.close()

    @property
    def _clients(self) -> list[KazooClient]:
        return [self._operator, *(host.client for host in self._hosts)]

    def _live(self) -> None:
        habits: dict[Callable[[], None], float] = {
            self._change_setting: 30,
            self._move_queue: 40,
            self._update_instance: 15,
            self._replace_instance: 5,
            self._take_or_release_lock: 10,
            self._restart_host: 0.05,
        }
        while not self._stopping.wait(self._pause):
            (act,) = self._random.choices(list(habits), list(habits.values()))
            try:
                act()
            except (KazooException, KazooTimeoutError) as error:
                logger.debug("the demo's %s failed: %r", act.__name__, error)

    def _change_setting(self) -> None:
        path = f"/config/{self._pick(ENVIRONMENTS)}/{self._pick(SERVICES)}"
        name = f"setting-{self._random.randrange(SETTINGS_PER_SERVICE):02}"
        self._operator.set(f"{path}/{name}", setting(self._random))

    def _move_queue(self) -> None:
        queue = f"/tasks/{self._pick(QUEUES)}"
        waiting = sorted(self._operator.get_children(queue))
        if self._random.randrange(2 * TASKS_PER_QUEUE) < len(waiting):
            self._operator.delete(f"{queue}/{waiting[0]}")
        else:
            self._operator.create(f"{queue}/task-", task(self._random), sequence=True)

    def _update_instance(self) -> None:
        self._connected_host().update_instance(self._pick(SERVICES))

    def _replace_instance(self) -> None:
        self._connected_host().replace_instance(self._pick(SERVICES))

    def _take_or_release_lock(self) -> None:
        self._connected_host().take_or_release_lock(self._pick(LOCKS))

    def _restart_host(self) -> None:
        self._pick(self._hosts).restart()

    def _connected_host(self) -> Host:
        host = self._pick(self._hosts)
        if host.needs_registration:
            host.register()
        return host

    def _pick(self, choices: Sequence[T]) -> T:
        return self._random.choice(choices)


class Host:
    """A machine of the demo; its session owns the ephemeral znodes of its instances and locks."""

    def __init__(self, name: str, client: KazooClient, chance: random.Random) -> None:
        self.name = name
        self.client = client
        self._random = chance
        self._registered_session: int | None = None

    @property
    def needs_registration(self) -> bool:
        """Whether the session is newer than the one that registered the instances."""
        return self._session != self._registered_session

    def register(self) -> None:
        """Registers new instances of every service."""
        create_all(
            self.client,
            (self._new_instance(service) for service in SERVICES for _ in range(INSTANCES_PER_HOST)),
        )
        self._registered_session = self._session

    def restart(self) -> None:
        """Ends the session and starts another: this host's znodes disappear until it registers again."""
        self.client.stop()
        self.client.start_async()

    def update_instance(self, service: str) -> None:
        """Sets new data on one of this host's instances."""
        if name := self._own_znode(f"/services/{service}/instances"):
            self.client.set(f"/services/{service}/instances/{name}", self._instance_data(service))

    def replace_instance(self, service: str) -> None:
        """Removes one of this host's instances and starts another in its place."""
        if name := self._own_znode(f"/services/{service}/instances"):
            self.client.delete(f"/services/{service}/instances/{name}")
        create_all(self.client, [self._new_instance(service)])

    def take_or_release_lock(self, lock: str) -> None:
        """Releases a lock if this host holds it or waits for it, else queues for it."""
        if name := self._own_znode(f"/locks/{lock}"):
            self.client.delete(f"/locks/{lock}/{name}")
        else:
            data = self.name.encode()
            self.client.create(f"/locks/{lock}/{self.name}__lock__", data, ephemeral=True, sequence=True)

    @property
    def _session(self) -> int | None:
        session = self.client.client_id
        return session[0] if session else None

    def _own_znode(self, parent: str) -> str | None:
        own = [name for name in self.client.get_children(parent) if name.startswith(self.name)]
        return self._random.choice(sorted(own)) if own else None

    def _new_instance(self, service: str) -> Znode:
        path = f"/services/{service}/instances/{self.name}-{self._random.getrandbits(32):08x}"
        return Znode(path, self._instance_data(service), ephemeral=True)

    def _instance_data(self, service: str) -> bytes:
        return _json(
            service=service,
            host=f"{self.name}.example",
            port=self._random.randrange(31000, 32000),
            version=f"{self._random.randrange(1, 5)}.{self._random.randrange(40)}.0",
            weight=self._random.randrange(1, 101),
        )


def initial_tree(chance: random.Random) -> Iterator[Znode]:
    """Every persistent znode of the tree, parents first."""
    for root in ROOTS:
        yield Znode(root, b"")
    for service in SERVICES:
        yield Znode(f"/services/{service}", _json(owner=f"team-{chance.randrange(1, 7)}"))
        yield Znode(f"/services/{service}/instances", b"")
    for environment in ENVIRONMENTS:
        yield Znode(f"/config/{environment}", b"")
        for service in SERVICES:
            yield Znode(f"/config/{environment}/{service}", b"")
            for number in range(SETTINGS_PER_SERVICE):
                yield Znode(f"/config/{environment}/{service}/setting-{number:02}", setting(chance))
    for queue in QUEUES:
        yield Znode(f"/tasks/{queue}", b"")
        for _ in range(TASKS_PER_QUEUE):
            yield Znode(f"/tasks/{queue}/task-", task(chance), sequence=True)
    for lock in LOCKS:
        yield Znode(f"/locks/{lock}", b"")


def setting(chance: random.Random) -> bytes:
    """A JSON document of configuration, 50 to 1,500 bytes long."""
    return _json(
        enabled=chance.random() < 0.8,
        timeout_ms=chance.choice((50, 250, 1000, 5000)),
        rollout=[round(chance.random(), 3) for _ in range(int(1.6 ** chance.randrange(12)))],
    )


def task(chance: random.Random) -> bytes:
    """The JSON payload of a task."""
    return _json(customer=chance.randrange(10**6), attempt=1, priority=chance.choice(("low", "high")))


def create_all(client: KazooClient, znodes: Iterable[Znode]) -> None:
    """Creates znodes in transactions that are all sent at once.

    Raises the server's first error; none of that transaction's znodes then exist.
    """
    remaining = iter(znodes)
    commits = []
    while batch := list(itertools.islice(remaining, TRANSACTION_SIZE)):
        transaction = client.transaction()
        for znode in batch:
            transaction.create(znode.path, znode.data, ephemeral=znode.ephemeral, sequence=znode.sequence)
        commits.append(transaction.commit_async())
    for result in itertools.chain.from_iterable(commit.get() for commit in commits):
        if isinstance(result, Exception) and not isinstance(result, RolledBackError):
            raise result


def _client(hosts: str) -> KazooClient:
    patience = KazooRetry(max_tries=-1, delay=0.1, max_delay=1.0)
    return KazooClient(hosts, timeout=20.0, connection_retry=patience, logger=quiet)


def _json(**fields: object) -> bytes:
    return json.dumps(fields).encode()
