"""Stage: two replicas for each of several causes, with Prometheus, Alertmanager and a webhook.

Each cause has an ensemble with its own name, which is one session with two trees in each of two exporters. Causes that
do not harm exporters share two exporters; others have two exporters and their own job.
"""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from kazoo.client import KazooClient

from dashboards.prometheus.parameters import Parameters, in_words, milliseconds
from dashboards.prometheus.render import rule_files
from exporter.demo.ports import free_port
from tests.conftest import connected
from tests.faults.ensemble import Ensemble
from tests.integration.alerting import Alertmanager, Notification, Webhook, running_alertmanager
from tests.integration.processes import Exporter, Prometheus
from tests.oncall.expiring import ExpiringProxy
from tests.support import eventually

#: The job of the shared exporters; the first job of a `Prometheus` has this name.
SHARED = "treecache"
#: Trees of each cause, below a znode of the cause's name.
TREES = ("config", "services")
#: Seconds for everything to start, on a busy machine.
UP_WITHIN = 180.0


@dataclass(frozen=True)
class Form:
    """The form of a run: with the windows as shipped, or shortened."""

    #: The divisor of the waits and windows of rules and notifications.
    shorten: float
    scrape_interval: str
    session_timeout: str
    #: Options of every tree, and of the polls of servers.
    tree: Mapping[str, Any]
    servers: Mapping[str, Any]
    #: Seconds of the ordinary hour, and how many changes it makes at once.
    hour: float
    changes: int

    @property
    def is_real(self) -> bool:
        """Whether the windows are as shipped."""
        return self.shorten == 1

    @property
    def parameters(self) -> Parameters:
        """The parameters of the rules; `quorum_back_for` stays four scrapes."""
        return Parameters(
            shorten=self.shorten, quorum_back_for=in_words(4 * self.shorten * milliseconds(self.scrape_interval))
        )

    def seconds(self, text: str) -> float:
        """A wait or window of the rules in seconds, shortened."""
        return milliseconds(self.parameters.shortened(text)) / 1000


REAL = Form(1, "15s", "10s", {}, {}, hour=3600, changes=50_000)
#: Trees are stale after 30 seconds, as by default, so that alerts of causes fire first. A scrape may take its whole
#: interval, which a busy machine needs. Servers are not polled: what a poll says would outlast the alerts that inhibit
#: those about servers.
SHORT = Form(
    10, "5s", "10s", {"freshness": {"interval": "3s", "timeout": "12s"}}, {"interval": 0}, hour=40, changes=2000
)


class Replica:
    """An exporter that keeps its port over restarts."""

    def __init__(self, config: Path) -> None:
        self.port = free_port()
        self.config = config
        #: Simulates Linux control groups; there are none at first.
        self._groups = config.with_suffix(".groups")
        self._starts = 0
        self._process: Exporter | None = None

    @property
    def instance(self) -> str:
        """The value of its label `instance`."""
        return f"127.0.0.1:{self.port}"

    @property
    def process(self) -> Exporter:
        """The running process, or the last one."""
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Starts it unless it runs; does not wait until it serves."""
        self._starts += 1
        log = self.config.with_suffix(f".{self._starts}.log")
        flags = [f"--config.file={self.config}"]
        groups = {"CONTROL_GROUPS": str(self._groups)}
        self._process = Exporter(log, flags, groups, module="tests.integration.poisonable", port=self.port)

    def wait_serving(self) -> None:
        """Waits until it serves."""
        eventually(lambda: self.process.url, timeout=UP_WITHIN)

    def kill(self) -> None:
        """Kills it, like a crash."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.end()

    def limit_memory(self, limit: int | None) -> None:
        """Sets or removes the memory limit of its control group, in bytes; nothing enforces it."""
        (self._groups / "mounted").mkdir(parents=True, exist_ok=True)
        (self._groups / "cgroup").write_text("0::/\n")
        (self._groups / "mounted" / "memory.max").write_text("max" if limit is None else str(limit))

    def write_config(self, ensembles: Sequence[Mapping[str, Any]]) -> None:
        """Writes its configuration."""
        # JSON is YAML.
        self.config.write_text(json.dumps({"ensembles": list(ensembles)}))


@dataclass
class Place:
    """The place of a cause: its servers, its two exporters, and the proxy of each exporter, if any."""

    name: str
    job: str
    ensemble: Ensemble
    replicas: tuple[Replica, Replica]
    stage: Stage
    #: Additional options of its trees and its ensemble.
    tree: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    proxies: list[ExpiringProxy] = field(default_factory=list)
    #: Cleanup for when it is over.
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def form(self) -> Form:
        """The form of the run."""
        return self.stage.form

    def path(self, tree: str, *below: str) -> str:
        """A znode of one of its trees."""
        return "/".join(("", self.name, tree, *below))

    @contextlib.contextmanager
    def client(self) -> Iterator[KazooClient]:
        """A client of its ensemble, not through a proxy."""
        with connected(self.ensemble.hosts, timeout=10.0, **_PATIENT) as client:
            yield client

    @contextlib.contextmanager
    def repeating(self, seconds: float, work: Callable[[KazooClient], None]) -> Iterator[None]:
        """While the block runs, calls a function with a client repeatedly, with this many seconds between calls."""
        over = threading.Event()

        def repeat() -> None:
            with self.client() as client:
                while not over.wait(seconds):
                    work(client)

        thread = threading.Thread(target=repeat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def hosts(self, replica: int) -> str:
        """The servers that a replica connects to."""
        return self.proxies[replica].hosts if self.proxies else self.ensemble.hosts

    def section(self, replica: int) -> dict[str, Any]:
        """A replica's ensemble in its configuration."""
        return {
            "name": self.name,
            "hosts": self.hosts(replica),
            "session_timeout": self.form.session_timeout,
            # The proxies pass only what clients say.
            "servers": {"interval": 0} if self.proxies else dict(self.form.servers),
            "trees": [{"path": self.path(tree), **self.form.tree, **self.tree} for tree in TREES],
            **self.options,
        }

    def reload(self, **options: Any) -> None:
        """Makes both exporters reload their configuration with other options of its ensemble."""
        with self.stage.reloading:
            self.options = {**self.options, **options}
            self.stage.write_configs(self.job)
            for replica in self.replicas:
                replica.process.send_signal(signal.SIGHUP)

    def received(self) -> list[Notification]:
        """All notifications about it so far."""
        return [sent for sent in list(self.stage.webhook.received) if self.concerns(sent)]

    def concerns(self, sent: Notification) -> bool:
        """Whether a notification is about this place: its ensemble, or one of its own exporters."""
        ensemble = sent.group.get("ensemble")
        if ensemble is None:
            return self.job != SHARED and sent.group.get("job") == self.job
        return ensemble == self.name and sent.group.get("job") == self.job


#: Options of the causes' clients, for servers that stop and start.
_PATIENT: dict[str, Any] = {
    "connection_retry": {"max_tries": -1, "delay": 0.2, "max_delay": 1},
    "command_retry": {"max_tries": -1, "delay": 0.2, "max_delay": 1},
}


class Stage:
    """Everything that runs while the block does."""

    def __init__(self, folder: Path, form: Form) -> None:
        self.form = form
        self.places: list[Place] = []
        self._folder = folder
        self._stack = contextlib.ExitStack()
        self.webhook = Webhook()
        #: Held while an exporter's configuration changes.
        self.reloading = threading.Lock()
        self._jobs: dict[str, tuple[Replica, Replica]] = {}
        self._alertmanager: Alertmanager | None = None
        self._prometheus: Prometheus | None = None

    def __enter__(self) -> Stage:
        self._stack.__enter__()
        self._stack.enter_context(self.webhook)
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._stack.__exit__(*exc_info)

    def strays(self) -> list[Notification]:
        """Notifications about none of its places, which show a problem of the stage itself."""
        return [sent for sent in self.webhook.received if not any(place.concerns(sent) for place in self.places)]

    def ensemble(self, ensemble: Ensemble) -> Ensemble:
        """Starts servers, which stop with the stage."""
        return self._stack.enter_context(ensemble)

    def add(
        self,
        name: str,
        ensemble: Ensemble,
        *,
        own_job: bool = False,
        proxied: bool = False,
        tree: Mapping[str, Any] | None = None,
    ) -> Place:
        """Adds a place for a cause; call it before `start`."""
        job = name if own_job else SHARED
        replicas = self._jobs.get(job)
        if replicas is None:
            first, second = (Replica(self._folder / f"{job}-{letter}.yml") for letter in "ab")
            replicas = self._jobs[job] = first, second
        place = Place(name, job, ensemble, replicas, self, tree=tree or {})
        if proxied:
            for number in range(2):
                member = ensemble.members[number % len(ensemble.members)]
                proxy = ExpiringProxy(member.port, ensemble.hosts)
                self._stack.enter_context(proxy)
                place.proxies.append(proxy)
        self.places.append(place)
        return place

    def start(self) -> None:
        """Starts exporters, Prometheus and Alertmanager; returns when every cache is complete and verified."""
        for job, replicas in self._jobs.items():
            self.write_configs(job)
            for replica in replicas:
                replica.start()
                self._stack.callback(replica.kill)
        for replicas in self._jobs.values():
            for replica in replicas:
                replica.wait_serving()
        rules = self._folder / "rules"
        rules.mkdir()
        for name, text in rule_files(self.form.parameters).items():
            (rules / name).write_text(text)
        self._alertmanager = self._stack.enter_context(
            running_alertmanager(self._folder, self.webhook.url, self.form.shorten, self.form.scrape_interval)
        )
        self._start_prometheus()
        self._stack.callback(lambda: self.prometheus.end())
        self.wait_well()

    def write_configs(self, job: str) -> None:
        """Writes the configurations of a job's exporters."""
        for number, replica in enumerate(self._jobs[job]):
            replica.write_config([place.section(number) for place in self.places if place.job == job])

    @property
    def prometheus(self) -> Prometheus:
        """The running Prometheus."""
        assert self._prometheus is not None
        return self._prometheus

    def restart_prometheus(self) -> None:
        """Restarts Prometheus on the same data."""
        self.prometheus.end()
        self._start_prometheus()

    def _start_prometheus(self) -> None:
        assert self._alertmanager is not None
        jobs = {job: [replica.instance for replica in replicas] for job, replicas in self._jobs.items()}
        others = "".join(
            f"- {{job_name: {job}, static_configs: [{{targets: {targets}}}]}}\n"
            for job, targets in jobs.items()
            if job != SHARED
        )
        self._prometheus = Prometheus(
            self._folder,
            *jobs.get(SHARED, []),
            interval=self.form.scrape_interval,
            # More jobs, then the other sections.
            more=f"{others}rule_files: ['{self._folder}/rules/*.yml']\n"
            f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{self._alertmanager.address}']}}]}}]}}\n",
        )
        self._prometheus.wait_ready()

    def wait_well(self) -> None:
        """Waits until Prometheus shows every cache as verified."""
        copies = 2 * len(TREES) * len(self.places)
        fresh = f"count(zookeeper_cache_verified_timestamp_seconds > 0) == {copies}"

        def seen() -> list[float]:
            with contextlib.suppress(httpx.HTTPError):
                return self.prometheus.query(fresh)
            return []

        eventually(seen, timeout=UP_WITHIN, interval=0.5)
