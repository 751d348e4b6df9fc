"""Stage: two replicas for each of several causes, and what watches them: Prometheus, Alertmanager and a webhook.

A cause has an ensemble of its own name, which is one session with two trees in each of two exporters. Those causes that
harm no exporter share two; those that do have two of their own, as a job of their own.
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

from dashboards.prometheus.parameters import Parameters, milliseconds
from dashboards.prometheus.render import rule_files
from exporter.demo.ports import free_port
from tests.conftest import connected
from tests.faults.ensemble import Ensemble
from tests.integration.alerting import Alertmanager, Notification, Webhook, running_alertmanager
from tests.integration.processes import Exporter, Prometheus
from tests.oncall.expiring import ExpiringProxy
from tests.support import eventually

#: The job of the exporters that causes share; the first job of a `Prometheus` has this name.
SHARED = "treecache"
#: Trees of each cause, below a znode of the cause's name.
TREES = ("config", "services")
#: Seconds until everything runs, on a busy machine.
UP_WITHIN = 180.0


@dataclass(frozen=True)
class Form:
    """How a run goes: as it is in the field, or quickly."""

    #: By what the waits and windows of rules and notifications are divided.
    shorten: float
    scrape_interval: str
    session_timeout: str
    #: Options of every tree.
    tree: Mapping[str, Any]
    #: Seconds that the ordinary hour takes, and how many changes there are in it at once.
    hour: float
    changes: int

    @property
    def is_real(self) -> bool:
        """Whether the windows are those that are shipped."""
        return self.shorten == 1

    @property
    def parameters(self) -> Parameters:
        """Those of the rules."""
        return Parameters(shorten=self.shorten)

    def seconds(self, text: str) -> float:
        """What a wait or window of the rules takes."""
        return milliseconds(self.parameters.shortened(text)) / 1000


REAL = Form(1, "15s", "10s", {}, hour=3600, changes=50_000)
#: Trees are stale after 30 seconds, as by default, so that causes fire first. A scrape has all of its interval, which a
#: busy machine takes.
SHORT = Form(10, "5s", "4s", {"freshness": {"interval": "3s", "timeout": "12s"}}, hour=40, changes=2000)


class Replica:
    """An exporter that keeps its port when it is started again."""

    def __init__(self, config: Path) -> None:
        self.port = free_port()
        self.config = config
        #: Stands for Linux' control groups, of which there are none to begin with.
        self._groups = config.with_suffix(".groups")
        self._starts = 0
        self._process: Exporter | None = None

    @property
    def instance(self) -> str:
        """Its label of that name."""
        return f"127.0.0.1:{self.port}"

    @property
    def process(self) -> Exporter:
        """The one that runs, or was ended last."""
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Starts it, if it does not run; does not wait until it serves."""
        self._starts += 1
        log = self.config.with_suffix(f".{self._starts}.log")
        flags = [f"--config.file={self.config}"]
        groups = {"CONTROL_GROUPS": str(self._groups)}
        self._process = Exporter(log, flags, groups, module="tests.integration.poisonable", port=self.port)

    def wait_serving(self) -> None:
        """Waits until it serves."""
        eventually(lambda: self.process.url, timeout=UP_WITHIN)

    def kill(self) -> None:
        """Ends it as a crash does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.end()

    def limit_memory(self, limit: int | None) -> None:
        """Sets the limit of its control group in bytes, or takes it away; nothing enforces it."""
        (self._groups / "mounted").mkdir(parents=True, exist_ok=True)
        (self._groups / "cgroup").write_text("0::/\n")
        (self._groups / "mounted" / "memory.max").write_text("max" if limit is None else str(limit))

    def write_config(self, ensembles: Sequence[Mapping[str, Any]]) -> None:
        """Writes its configuration."""
        # JSON is YAML.
        self.config.write_text(json.dumps({"ensembles": list(ensembles)}))


@dataclass
class Place:
    """Where a cause happens: its servers, its two exporters, and the proxy between them that each has, if any."""

    name: str
    job: str
    ensemble: Ensemble
    replicas: tuple[Replica, Replica]
    stage: Stage
    #: More of its trees' options, and of its ensemble's.
    tree: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    proxies: list[ExpiringProxy] = field(default_factory=list)
    #: What is undone when it is over.
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def form(self) -> Form:
        """How the run goes."""
        return self.stage.form

    def path(self, tree: str, *below: str) -> str:
        """A znode of one of its trees."""
        return "/".join(("", self.name, tree, *below))

    @contextlib.contextmanager
    def client(self) -> Iterator[KazooClient]:
        """A client of its ensemble, past every proxy."""
        with connected(self.ensemble.hosts, timeout=10.0, **_PATIENT) as client:
            yield client

    @contextlib.contextmanager
    def repeating(self, seconds: float, work: Callable[[KazooClient], None]) -> Iterator[None]:
        """Does something with a client beside the block, again and again, so many seconds after the last time."""
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
        """What a replica connects to."""
        return self.proxies[replica].hosts if self.proxies else self.ensemble.hosts

    def section(self, replica: int) -> dict[str, Any]:
        """A replica's ensemble in its configuration."""
        return {
            "name": self.name,
            "hosts": self.hosts(replica),
            "session_timeout": self.form.session_timeout,
            "trees": [{"path": self.path(tree), **self.form.tree, **self.tree} for tree in TREES],
            **self.options,
        }

    def reload(self, **options: Any) -> None:
        """Has both exporters load other options of its ensemble."""
        with self.stage.reloading:
            self.options = {**self.options, **options}
            self.stage.write_configs(self.job)
            for replica in self.replicas:
                replica.process.send_signal(signal.SIGHUP)

    def received(self) -> list[Notification]:
        """Every notification about it so far."""
        return [told for told in list(self.stage.webhook.received) if self.concerns(told)]

    def concerns(self, told: Notification) -> bool:
        """Whether a notification is about this place: its ensemble, or an exporter that is its own."""
        ensemble = told.group.get("ensemble")
        if ensemble is None:
            return self.job != SHARED and told.group.get("job") == self.job
        return ensemble == self.name and told.group.get("job") == self.job


#: Options of clients that causes use, while servers come and go.
_PATIENT: dict[str, Any] = {
    "connection_retry": {"max_tries": -1, "delay": 0.2, "max_delay": 1},
    "command_retry": {"max_tries": -1, "delay": 0.2, "max_delay": 1},
}


class Stage:
    """Everything that runs, from the beginning of its block to the end."""

    def __init__(self, folder: Path, form: Form) -> None:
        self.form = form
        self.places: list[Place] = []
        self._folder = folder
        self._stack = contextlib.ExitStack()
        self.webhook = Webhook()
        #: Held while an exporter's configuration is changed.
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
        """What was sent about none of its places: something disturbs the stage itself."""
        return [told for told in self.webhook.received if not any(place.concerns(told) for place in self.places)]

    def ensemble(self, ensemble: Ensemble) -> Ensemble:
        """Starts servers, which end with the stage."""
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
        """A place for one cause; all of them are added before `start`."""
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
        """Starts exporters, Prometheus and Alertmanager; returns when every copy is there and proven fresh."""
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
        """The one that runs."""
        assert self._prometheus is not None
        return self._prometheus

    def restart_prometheus(self) -> None:
        """Ends Prometheus and starts it on the same data."""
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
            # More jobs, and then what is none.
            more=f"{others}rule_files: ['{self._folder}/rules/*.yml']\n"
            f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{self._alertmanager.address}']}}]}}]}}\n",
        )
        self._prometheus.wait_ready()

    def wait_well(self) -> None:
        """Waits until every copy was proven fresh, as Prometheus sees it."""
        copies = 2 * len(TREES) * len(self.places)
        fresh = f"count(zookeeper_cache_verified_timestamp_seconds > 0) == {copies}"

        def seen() -> list[float]:
            with contextlib.suppress(httpx.HTTPError):
                return self.prometheus.query(fresh)
            return []

        eventually(seen, timeout=UP_WITHIN, interval=0.5)
