"""Reload: unchanged trees are untouched, a bad file changes nothing, and both are logged and counted."""

from __future__ import annotations

import json
import resource
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from kazoo.client import KazooClient

from exporter.config.settings import OPTIONS, Ensemble, Tree
from exporter.daemon.fleet import Fleet
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache import TreeCache
from tests import plainhttp
from tests.conftest import ZooKeeper
from tests.integration.processes import STOP_LIMIT, Exporter, configured_exporter
from tests.support import eventually

SUCCESSFUL = "treecache_exporter_config_last_reload_successful"
SUCCEEDED_AT = "treecache_exporter_config_last_reload_success_timestamp_seconds"

A, B, C = Tree("a", "/a"), Tree("b", "/b"), Tree("c", "/c")


@pytest.fixture
def main(zookeeper: ZooKeeper) -> Ensemble:
    return Ensemble("main", zookeeper.hosts, (A, B))


@pytest.fixture
def fleet(main: Ensemble) -> Iterator[Fleet]:
    """A fleet of one ensemble with two loaded trees."""
    fleet = Fleet([main])
    fleet.start()
    try:
        loaded(fleet, "a", "b")
        yield fleet
    finally:
        fleet.stop()


def loaded(fleet: Fleet, *trees: str) -> EnsembleSource:
    """Waits until the only ensemble has these trees, all loaded, and returns it."""
    eventually(lambda: len(fleet) == 1 and tuple(fleet[0].caches) == trees)
    eventually(lambda: all(cache.stats().initialized for cache in fleet[0].caches.values()))
    return fleet[0]


def client_of(source: EnsembleSource) -> KazooClient:
    session: Any = source.client
    return session._client.client


def test_nothing_happens_when_nothing_changed(fleet: Fleet, main: Ensemble) -> None:
    before, session = fleet[0], client_of(fleet[0]).client_id
    fleet.change([replace(main)])
    assert fleet[0].client is before.client
    assert all(fleet[0].caches[name] is cache for name, cache in before.caches.items())
    assert client_of(fleet[0]).client_id == session
    assert all(cache.stats().syncs == {**cache.stats().syncs, "start": 1} for cache in fleet[0].caches.values())


def test_trees_come_change_and_go_in_the_same_session(fleet: Fleet, main: Ensemble) -> None:
    before, session = fleet[0], client_of(fleet[0]).client_id
    fleet.change([replace(main, trees=(C, A, replace(B, options=replace(OPTIONS, max_depth=1))))])
    after = loaded(fleet, "c", "a", "b")
    assert after.caches["a"] is before.caches["a"]
    assert after.caches["b"] is not before.caches["b"]
    assert before.caches["a"].stats().syncs["start"] == 1
    fleet.change([replace(main, trees=(C,))])
    assert loaded(fleet, "c").caches["c"] is after.caches["c"]
    assert not before.caches["a"].stats().initialized
    assert client_of(fleet[0]).client_id == session
    eventually(lambda: fleet[0].client.stats().watches["recursive"] == 1)


@pytest.mark.parametrize("change", [{"session_timeout": 2.0}, {"name": "renamed"}])
def test_an_ensemble_that_is_reached_otherwise_gets_a_new_session(
    fleet: Fleet, main: Ensemble, change: dict[str, Any]
) -> None:
    before, session = client_of(fleet[0]), client_of(fleet[0]).client_id
    fleet.change([replace(main, **change)])
    after = loaded(fleet, "a", "b")
    assert client_of(after).client_id != session
    eventually(lambda: before.client_state == "CLOSED")


def test_ensembles_come_and_go_beside_one_another(fleet: Fleet, main: Ensemble) -> None:
    before = fleet[0]
    fleet.change([main, Ensemble("other", main.hosts, (A,))])
    assert [source.name for source in fleet] == ["main", "other"]
    eventually(lambda: fleet[1].caches["a"].stats().initialized)
    other = client_of(fleet[1])
    fleet.change([main])
    assert [source.client for source in fleet] == [before.client]
    eventually(lambda: other.client_state == "CLOSED")


def test_any_change_of_a_tree_is_a_change(fleet: Fleet, main: Ensemble) -> None:
    before = fleet[0].caches["a"]
    fleet.change([replace(main, trees=(replace(A, options=replace(OPTIONS, audit_sample=1)), B))])
    assert loaded(fleet, "a", "b").caches["a"] is not before


class Unstartable(TreeCache):
    """Makes caches of /c fail to start a thread."""

    def start(self) -> None:
        handler = self._client.handler
        if self._path != "/c":
            super().start()
            return
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(handler, "spawn", no_thread)
            super().start()


def no_thread(*_: object) -> None:
    raise RuntimeError("can't start new thread")


def test_a_tree_that_cannot_begin_leaves_everything_else_as_told(
    fleet: Fleet, main: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.change([main, Ensemble("other", main.hosts, (A,))])
    before, other = fleet[0], client_of(fleet[1])
    wanted = [replace(main, trees=(A, C, replace(B, options=replace(OPTIONS, max_depth=1))))]
    with monkeypatch.context() as patch:
        patch.setattr("exporter.daemon.ensemble.TreeCache", Unstartable)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            fleet.change(wanted)
    assert loaded(fleet, "a", "b").caches["a"] is before.caches["a"]
    eventually(lambda: other.client_state == "CLOSED")
    fleet.change(wanted)
    assert loaded(fleet, "a", "c", "b").caches["a"] is before.caches["a"]


def test_an_ensemble_that_cannot_begin_leaves_everything_as_it_was(
    fleet: Fleet, main: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, threads = fleet[0], set(threading.enumerate())
    other = Ensemble("other", main.hosts, (A, C))
    with monkeypatch.context() as patch:
        patch.setattr("exporter.daemon.ensemble.TreeCache", Unstartable)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            fleet.change([replace(main, trees=(A,)), Ensemble("another", main.hosts, (A,)), other])
    assert len(fleet) == 1
    assert fleet[0].client is before.client
    assert fleet[0].caches == before.caches
    eventually(lambda: set(threading.enumerate()) <= threads)


# The process


def write(config: Path, hosts: str, *paths: str) -> None:
    trees = [{"path": path} for path in paths]
    new = config.with_suffix(".new")
    new.write_text(json.dumps({"ensembles": [{"name": "main", "hosts": hosts, "trees": trees}]}))
    new.replace(config)


@pytest.fixture
def config(tmp_path: Path, zookeeper: ZooKeeper) -> Path:
    """A configuration with one tree."""
    write(tmp_path / "config.yml", zookeeper.hosts, "/a")
    return tmp_path / "config.yml"


@pytest.fixture
def exporter(config: Path) -> Iterator[Exporter]:
    with configured_exporter(config, ["--web.enable-lifecycle"]) as running:
        running.wait_ready()
        yield running


def reload(exporter: Exporter, method: str = "POST") -> httpx.Response:
    return plainhttp.request(method, exporter.url + "/-/reload")


def test_a_hangup_reloads(exporter: Exporter, config: Path, zookeeper: ZooKeeper) -> None:
    begun = exporter.metric(SUCCEEDED_AT)
    assert exporter.metric(SUCCESSFUL) == 1
    session = exporter.metric("zookeeper_client_session_start_timestamp_seconds")
    write(config, zookeeper.hosts, "/a", "/b")
    exporter.send_signal(signal.SIGHUP)
    eventually(lambda: exporter.logged("configuration reloaded"))
    eventually(lambda: exporter.metric("zookeeper_cache_initialized", tree="/b") == 1)
    assert exporter.metric("zookeeper_cache_syncs_total", tree="/a") == 1
    assert exporter.metric("zookeeper_client_session_start_timestamp_seconds") == pytest.approx(session, abs=0.01)
    assert exporter.metric(SUCCEEDED_AT) > begun


def test_a_bad_file_keeps_everything_running(exporter: Exporter, config: Path) -> None:
    begun = exporter.metric(SUCCEEDED_AT)
    good = config.read_text()
    config.write_text(good.replace("hosts", "host"))
    answer = reload(exporter)
    assert answer.status_code == 500
    assert answer.text.splitlines()[0] == "failed to reload config:"
    assert f"{config}:1: ensembles[0].host: unknown key, did you mean hosts; accepted:" in answer.text
    assert (exporter.metric(SUCCESSFUL), exporter.metric(SUCCEEDED_AT)) == (0, begun)
    assert exporter.metric("zookeeper_cache_initialized", tree="/a") == 1
    refusals = exporter.wait_logged("configuration refused", len(answer.text.splitlines()) - 1)
    assert [line["reason"] for line in refusals] == answer.text.splitlines()[1:]
    config.write_text(good)
    assert reload(exporter, "GET").status_code == 405
    assert exporter.metric(SUCCESSFUL) == 0
    assert reload(exporter, "PUT").status_code == 200
    assert exporter.metric(SUCCESSFUL) == 1
    assert exporter.metric("zookeeper_cache_syncs_total", tree="/a") == 1


def test_a_reload_for_which_too_few_files_can_be_opened(exporter: Exporter, config: Path, zookeeper: ZooKeeper) -> None:
    other = {"name": "other", "hosts": zookeeper.hosts, "trees": [{"path": "/b"}]}
    whole = json.loads(config.read_text())
    config.write_text(json.dumps({"ensembles": [*whole["ensembles"], other]}))
    before = resource.prlimit(exporter.pid, resource.RLIMIT_NOFILE)
    # Enough for the file, but not for a connection.
    resource.prlimit(exporter.pid, resource.RLIMIT_NOFILE, (limit_for_one_more(exporter.pid), before[1]))
    exporter.send_signal(signal.SIGHUP)
    (error,) = eventually(lambda: exporter.logged("configuration not applied"))
    resource.prlimit(exporter.pid, resource.RLIMIT_NOFILE, before)
    assert "Too many open files" in error["exception"]
    assert exporter.metric(SUCCESSFUL) == 0
    assert exporter.metric("zookeeper_client_up") == 1
    assert exporter.metric("zookeeper_cache_syncs_total", tree="/a") == 1
    assert reload(exporter).status_code == 200
    eventually(lambda: exporter.metric("zookeeper_cache_initialized", tree="/b") == 1)
    assert [line["event"] for line in exporter.log_lines() if line["level"] == "error"] == ["configuration not applied"]


def limit_for_one_more(pid: int) -> int:
    """A limit of open files that lets the process open one more, if it closes none."""

    def settled() -> set[int]:
        looks = set()
        for _ in range(50):
            looks.add(frozenset(int(file.name) for file in Path(f"/proc/{pid}/fd").iterdir()))
            time.sleep(0.01)
        return set(looks.pop()) if len(looks) == 1 else set()

    files = eventually(settled)
    return min(set(range(max(files) + 2)) - files) + 1


def test_a_reload_by_http_has_to_be_allowed(config: Path) -> None:
    with configured_exporter(config) as exporter:
        exporter.wait_ready()
        refusal = reload(exporter)
        assert (refusal.status_code, refusal.text) == (403, "Lifecycle API is not enabled.\n")
        assert not exporter.logged("configuration reloaded")


def test_many_reloads_at_once_come_one_after_the_other(exporter: Exporter, config: Path, zookeeper: ZooKeeper) -> None:
    for number in range(20):
        write(config, zookeeper.hosts, "/a", f"/{number}")
        exporter.send_signal(signal.SIGHUP)
    assert reload(exporter).status_code == 200
    eventually(lambda: exporter.metric("zookeeper_cache_initialized", tree="/19") == 1)
    assert exporter.metric("zookeeper_cache_initialized") == 2
    status, seconds = exporter.stop()
    assert status == 0
    assert seconds < STOP_LIMIT
    problems = [line for line in exporter.log_lines() if line["level"] in ("warning", "error")]
    # The trees have no roots.
    assert {line["condition"] for line in problems} <= {"root missing"}
