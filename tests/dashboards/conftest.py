"""One scene for all tests of the dashboards, with an expired session and a cut connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.dashboards.grafana import ALL, Grafana
from tests.dashboards.scene import FIRING_WITHIN, Scene, playing
from tests.support import eventually

#: What a reader has chosen.
CHOSEN: Mapping[str, Mapping[str, str]] = {
    "overview": {"ensemble": ALL, "tree": ALL},
    "tree": {"ensemble": "shop", "tree": "services"},
    "client": {"ensemble": "shop", "tree": ALL},
    "znodes": {"ensemble": ALL, "tree": ALL},
    "ensemble": {"ensemble": "shop", "tree": ALL},
}


@pytest.fixture(scope="package")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A scene with every kind of event that the dashboards show."""
    with playing(tmp_path_factory.mktemp("scene")) as scene:
        # The alert compares with what the rules noted before.
        scene.wait_until('count(client:zookeeper_client_sessions_lost:last{reason="expired"}) >= 4', FIRING_WITHIN)
        scene.cut()
        scene.expire()
        scene.wait_until("min(zookeeper_cache_audits_total) > 0")
        # The freshness of the time range is sampled every 15 seconds.
        scene.wait_until("min(count_over_time(up[1h])) > 17")
        yield scene


def _well_scraped(scene: Scene) -> float:
    """A time at which all exporters had been scraped and an alert fired, or 0; a busy machine misses some scrapes.

    It is a little in the past: a sample has the time at which its scrape began, and exists only when it has ended.
    """
    moment = time.time() - 2
    condition = (
        f'sum(up{{job="treecache"}}) == {len(scene.exporters)} '
        "and on () min(job_shard:treecache_exporter_shard_ordinal:count) == 2 "
        # That of the lost session, or on a very busy machine that of absent exporters.
        'and on () count(ALERTS{alertname=~"TreeCache.+", alertstate="firing"})'
    )
    return moment if Grafana(scene.prometheus.url, 0, moment, {}).ask_now(condition) else 0.0


@pytest.fixture(scope="package")
def grafana(scene: Scene) -> Callable[[str], Grafana]:
    """Queries like a reader of the named dashboard, over the whole scene."""
    end = eventually(lambda: _well_scraped(scene), timeout=FIRING_WITHIN, interval=0.5)
    start = scene.prometheus.value('min(process_start_time_seconds{job="treecache"})')
    assert start is not None

    def of(name: str) -> Grafana:
        return Grafana(scene.prometheus.url, start, end, {"job": ALL, "instance": ALL, **CHOSEN[name]})

    return of
