"""The shipped alerts for real: ZooKeeper, exporters, Prometheus, Alertmanager with its inhibitions, and a webhook.

Only the waits and windows of the rules are shortened, by one factor; no threshold is touched. So a tree really lags for
30 seconds before it alerts, and all faults happen at the same time, each to a session of its own.
"""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kazoo.exceptions import KazooException

from dashboards.prometheus.parameters import Parameters, milliseconds
from dashboards.prometheus.render import rule_files
from exporter.demo.world import ROOTS, World
from tests.conftest import connected
from tests.faults.ensemble import Ensemble
from tests.faults.proxy import Proxy
from tests.faults.size import size
from tests.integration.alerting import Notification, Webhook, running_alertmanager
from tests.integration.processes import Exporter, Prometheus, running_prometheus
from tests.support import eventually, wipe

#: By what the waits and windows of the rules are divided: a minute takes six seconds, in the long form twelve.
PARAMETERS = Parameters(shorten=size(10, 5))
#: A scrape has this time to be answered, also on a busy machine.
SCRAPE_INTERVAL = "1500ms"
#: Changes that a tree sees in an hour in which one comes every two seconds, and how many come in a second here.
HOUR_OF_CHANGES, CHANGES_PER_SECOND = 1800, 60.0
#: Seconds that they go on for at least; in the long form for an hour of the rules' time.
NORMAL_LIFE = size(HOUR_OF_CHANGES / CHANGES_PER_SECOND, 300)
#: Seconds for scrapes, evaluations and notifications on a busy machine.
SLACK = 30.0
#: Seconds until everything runs.
UP_WITHIN = 60.0

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

CONFIG = """
ensembles:
- {{name: calm, hosts: '{calm}', session_timeout: 4s, trees: [{calm_trees}]}}
- {{name: lagging, hosts: '{lagging}', session_timeout: 4s, trees: [{lagging_tree}]}}
- {{name: quorumless, hosts: '{quorumless}', session_timeout: 4s, trees: [{{path: /}}]}}
- {{name: expiring, hosts: '{expiring}', session_timeout: 1s, trees: [{expiring_tree}]}}
"""
EXPIRING_TREE = "{path: /services, freshness: {interval: 1s}}"
#: Stale after `STALE_AFTER`, as with the defaults.
LAGGING_TREE = "{path: /config, freshness: {interval: 1s, timeout: 14s}}"
CALM_TREE = "{{path: {path}, audit: {{interval: 5s}}}}"


#: The operation of a freshness check, and how a server refuses it that has too much to do.
MULTI, THROTTLED = 14, -127


@dataclass(frozen=True)
class Stage:
    """What runs, exporters by their labels `instance`, and when it was well and harmed, in monotonic time."""

    exporter: str
    killed: str
    poisoned: Exporter
    expiring: Proxy
    lagging: Proxy
    quorumless: Ensemble
    prometheus: Prometheus
    webhook: Webhook
    harmed_at: float


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Everything runs and is well, and then all faults begin."""
    folder = tmp_path_factory.mktemp("alerts")
    with contextlib.ExitStack() as stack:
        ensemble = stack.enter_context(Ensemble())
        quorumless = stack.enter_context(Ensemble())
        calm = ensemble.hosts
        stack.enter_context(living_tree(calm))
        expiring, lagging = (stack.enter_context(Proxy(member.port)) for member in ensemble.members[:2])
        config = write_config(
            folder, calm=calm, lagging=lagging.hosts, expiring=expiring.hosts, quorumless=quorumless.hosts
        )
        poisonable = "tests.integration.poisonable"
        audited = ("--audit.interval=1s", "--audit.sample=0")
        exporter = stack.enter_context(started(folder, "exporter", [f"--config.file={config}"]))
        poisoned = stack.enter_context(started(folder, "poisoned", of_one_tree("poisoned", calm, *audited), poisonable))
        killed = stack.enter_context(started(folder, "killed", of_one_tree("killed", calm)))
        # Another client of the ensemble whose session expires: it shows that there is a quorum.
        other = stack.enter_context(started(folder, "other", of_one_tree("expiring", calm)))
        urls = [url_of(process) for process in (exporter, poisoned, killed, other)]
        webhook = stack.enter_context(Webhook())
        prometheus = stack.enter_context(watching(folder, webhook.url, urls))
        verified = f"count(tree:zookeeper_cache_verified_timestamp_seconds:age) == {len(ROOTS) + 6}"
        eventually(lambda: prometheus.query(verified), timeout=UP_WITHIN, interval=0.1)

        expiring.refuse()
        expiring.cut()
        lagging.refuse_requests({MULTI}, THROTTLED, close=False)
        quorumless.lose_quorum()
        killed.end()
        instance, _, instance_killed, _ = (url.removeprefix("http://") for url in urls)
        yield Stage(
            instance, instance_killed, poisoned, expiring, lagging, quorumless, prometheus, webhook, time.monotonic()
        )


def write_config(folder: Path, **hosts: str) -> Path:
    """The configuration of an exporter that watches all ensembles."""
    config = folder / "exporter.yml"
    calm_trees = ", ".join(CALM_TREE.format(path=path) for path in ROOTS)
    trees = {"calm_trees": calm_trees, "lagging_tree": LAGGING_TREE, "expiring_tree": EXPIRING_TREE}
    config.write_text(CONFIG.format(**trees, **hosts))
    return config


def url_of(exporter: Exporter) -> str:
    """Where it serves; three that start at once take their time."""
    return eventually(lambda: exporter.url, timeout=UP_WITHIN)


def of_one_tree(name: str, hosts: str, *flags: str) -> list[str]:
    return [f"--zookeeper.name={name}", f"--zookeeper.hosts={hosts}", "--treecache.path=/services", *flags]


@contextlib.contextmanager
def started(folder: Path, name: str, flags: list[str], module: str = "exporter") -> Iterator[Exporter]:
    """An exporter, which need not serve yet, and is ended afterwards."""
    exporter = Exporter(folder / f"{name}.log", flags, module=module)
    try:
        yield exporter
    finally:
        exporter.end()


@contextlib.contextmanager
def watching(folder: Path, webhook: str, exporters: list[str]) -> Iterator[Prometheus]:
    """A Prometheus with the shortened rules, and an Alertmanager that it tells."""
    rules = folder / "rules"
    rules.mkdir()
    for name, text in rule_files(PARAMETERS).items():
        (rules / name).write_text(text)
    with running_alertmanager(folder, webhook, PARAMETERS.shorten) as alertmanager:
        more = (
            f"rule_files: ['{rules}/*.yml']\n"
            f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['{alertmanager.address}']}}]}}]}}\n"
        )
        with running_prometheus(folder, *exporters, interval=SCRAPE_INTERVAL, more=more) as prometheus:
            yield prometheus


@contextlib.contextmanager
def living_tree(hosts: str) -> Iterator[None]:
    """A tree that changes all the time."""

    def begin() -> World | None:
        world = World(hosts, writes_per_second=CHANGES_PER_SECOND)
        try:
            world.start()
        except KazooException:
            # An election came between.
            with connected(hosts) as client:
                for root in ROOTS:
                    wipe(client, root)
            return None
        return world

    world = eventually(begin, timeout=UP_WITHIN)
    assert world is not None
    try:
        yield
    finally:
        world.stop()


#: Seconds of staleness that warn, with the default freshness interval and timeout.
STALE_AFTER = 30


def shortened(text: str) -> float:
    """Seconds that a wait or window of the rules takes here."""
    return milliseconds(PARAMETERS.shortened(text)) / 1000


def test_a_quorum_that_is_lost_is_one_page_that_says_so(stage: Stage) -> None:
    page = stage.webhook.wait_told("firing", "TreeCacheQuorumLost", SLACK + STALE_AFTER, ensemble="quorumless")
    assert page.labels["severity"] == "critical"
    assert page.annotations["summary"].startswith("No quorum in ZooKeeper quorumless: its servers hang up")

    # Long enough for every consequence to follow.
    ratio = 'tree:zookeeper_cache_verified_timestamp_seconds:age_ratio{ensemble="quorumless"}'
    consequences = f"min_over_time({ratio}[10s]) > {PARAMETERS.lag_critical_ratio:g}"
    eventually(lambda: stage.prometheus.query(consequences), timeout=2 * STALE_AFTER + SLACK, interval=0.5)
    assert {told.labels["alertname"] for told in stage.webhook.about("quorumless")} == {"TreeCacheQuorumLost"}
    stage.quorumless.heal()
    stage.webhook.wait_told("resolved", "TreeCacheQuorumLost", SLACK, ensemble="quorumless")


def test_a_session_that_expires_while_others_live_warns(stage: Stage) -> None:
    told = stage.webhook.wait_told("firing", "TreeCacheSessionMaybeExpired", SLACK, ensemble="expiring")
    assert told.labels["severity"] == "warning"
    assert not stage.webhook.told("firing", "TreeCacheSessionLost", ensemble="expiring")

    stage.expiring.heal()
    told = stage.webhook.wait_told("firing", "TreeCacheSessionLost", SLACK, ensemble="expiring", reason="expired")
    assert told.labels["instance"] == stage.exporter
    assert told.labels["severity"] == "warning"
    assert "lost its session with ZooKeeper expiring" in told.annotations["summary"]
    assert "the ensemble expired it" in told.annotations["summary"]
    assert told.annotations["runbook_url"].endswith("#treecachesessionlost")
    window = shortened(PARAMETERS.session_lost_window)
    stage.webhook.wait_told("resolved", "TreeCacheSessionLost", window + SLACK, ensemble="expiring")
    stage.webhook.wait_told("resolved", "TreeCacheSessionMaybeExpired", SLACK, ensemble="expiring")
    # The other copy was fresh throughout.
    assert {told.labels["severity"] for told in stage.webhook.about("expiring")} == {"warning"}


def test_a_cache_that_was_made_wrong_pages(stage: Stage) -> None:
    def harmed_and_told() -> list[Notification]:
        # The tree lives: a change beside the znode may mend the cache before an audit does.
        stage.poisoned.send_signal(signal.SIGUSR1)
        return stage.webhook.told("firing", "TreeCacheAuditMismatch", ensemble="poisoned")

    told = eventually(harmed_and_told, timeout=SLACK, interval=1.0)[0]
    assert told.labels["kind"] == "missing"
    assert told.labels["severity"] == "critical"


def test_an_exporter_that_is_killed_is_absent_and_not_late(stage: Stage) -> None:
    wait = shortened(PARAMETERS.absent_for)
    told = stage.webhook.wait_told("firing", "TreeCacheExporterAbsent", wait + SLACK, instance=stage.killed)
    # Others of the job answer.
    assert told.labels["severity"] == "warning"
    assert "has not answered Prometheus for more than 1m" in told.annotations["summary"]
    eventually(
        lambda: time.monotonic() - stage.harmed_at > 2 * STALE_AFTER, timeout=2 * STALE_AFTER + SLACK, interval=0.5
    )
    assert not stage.webhook.about("killed")


def test_a_tree_whose_checks_fail_lags_until_they_succeed(stage: Stage) -> None:
    wait = shortened(PARAMETERS.lag_for)
    told = stage.webhook.wait_told(
        "firing", "TreeCacheLag", STALE_AFTER + wait + SLACK, ensemble="lagging", severity="warning"
    )
    # The last check is older than the fault by its interval at most, and a scrape shows it later.
    assert STALE_AFTER + wait - 5 < told.at - stage.harmed_at < STALE_AFTER + wait + SLACK
    assert told.labels["tree"] == "/config"
    assert told.labels["instance"] == stage.exporter
    assert "var-ensemble=lagging&var-tree=%2Fconfig" in told.annotations["dashboard"]
    # It is the only copy.
    page = stage.webhook.wait_told(
        "firing", "TreeCacheLag", 2 * STALE_AFTER + wait + SLACK, ensemble="lagging", severity="critical"
    )
    assert "instance" not in page.labels
    assert page.annotations["summary"].startswith("Every copy of lagging /config in job treecache is stale")

    stage.lagging.refuse_requests(set(), 0, close=False)
    stage.webhook.wait_told("resolved", "TreeCacheLag", SLACK, ensemble="lagging", severity="critical")


def test_an_hour_of_normal_life_sends_nothing(stage: Stage) -> None:
    """The tree lives on while the rest is harmed; it is changed, checked and audited all the time.

    As many changes as an hour has, in a much shorter time: the hours and days over which the error budget may burn are
    `dashboards/prometheus/tests/normal-life.yml`.
    """
    changes = 'sum(increase(zookeeper_cache_events_total{{ensemble="calm", event=~"node_.+"}}[{}s])) > {}'

    def has_lived() -> bool:
        lived = time.monotonic() - stage.harmed_at
        return lived > NORMAL_LIFE and bool(stage.prometheus.query(changes.format(int(lived), HOUR_OF_CHANGES)))

    eventually(has_lived, timeout=NORMAL_LIFE + SLACK, interval=0.5)
    assert stage.prometheus.query('sum(zookeeper_cache_audits_total{ensemble="calm"}) > 10')

    fired = 'last_over_time(ALERTS{{alertstate="firing", {label}}}[1h])'
    assert not stage.prometheus.query(fired.format(label='ensemble="calm"'))
    assert not stage.prometheus.query(fired.format(label=f'ensemble="", instance="{stage.exporter}"'))
    assert not stage.webhook.about("calm")
