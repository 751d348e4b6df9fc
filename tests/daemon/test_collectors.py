"""The daemon's list of collectors; those that work between scrapes run as long as the daemon."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import Metric as Family

from exporter.config.settings import Settings
from exporter.daemon.collectors import collectors, running
from exporter.telemetry.collecting import Collector, registry_of
from exporter.telemetry.sources import ReloadStats
from exporter.treecache import Shard


class Reloads:
    def stats(self) -> ReloadStats:
        return ReloadStats(successful=True)


class Noting(Collector):
    """Notes when it is started and stopped; the one named broken cannot start."""

    def __init__(self, name: str, notes: list[str]) -> None:
        super().__init__(name, ())
        self._notes = notes

    def collect(self) -> Iterator[Family]:
        return iter(())

    def start(self) -> None:
        if self.name == "broken":
            raise RuntimeError("can't start new thread")
        self._notes.append(f"{self.name} started")

    def stop(self) -> None:
        self._notes.append(f"{self.name} stopped")


def test_the_list_follows_the_settings() -> None:
    found = collectors(Settings((), shard=Shard(1, 3)), [], Reloads(), lambda: 7)
    names = ["caches", "clients", "servers", "znodes", "limits", "quotas", "exporter"]
    assert [collector.name for collector in found] == names
    registry = registry_of(found)
    values = {
        name: registry.get_sample_value(f"treecache_exporter_{name}")
        for name in ("shards", "spans_dropped_total", "config_last_reload_successful")
    }
    assert values == {"shards": 3, "spans_dropped_total": 7, "config_last_reload_successful": 1}


def test_all_run_within_the_block() -> None:
    notes: list[str] = []
    with running([Noting("a", notes), Noting("b", notes)]):
        assert notes == ["a started", "b started"]
    assert notes[2:] == ["b stopped", "a stopped"]


def test_one_that_cannot_start_stops_those_that_did() -> None:
    notes: list[str] = []
    with pytest.raises(RuntimeError), running([Noting("a", notes), Noting("broken", notes)]):
        pass
    assert notes == ["a started", "a stopped"]
