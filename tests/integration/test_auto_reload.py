"""Auto-reload: changes as made by Kubernetes and editors take effect without a signal."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.conftest import ZooKeeper
from tests.integration.processes import Exporter, configured_exporter
from tests.support import eventually

FLAGS = ["--config.auto-reload", "--config.auto-reload-interval=1s"]
SUCCESSFUL = "treecache_exporter_config_last_reload_successful"


class Volume:
    """A folder as the kubelet maintains it for a ConfigMap or a Secret: links through `..data`, which is swapped.

    https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go
    """

    def __init__(self, folder: Path, files: Mapping[str, str]) -> None:
        folder.mkdir()
        self._folder = folder
        self._generation = 0
        self.update(files)
        for name in files:
            (folder / name).symlink_to(Path("..data", name))

    def update(self, files: Mapping[str, str]) -> None:
        """Replaces the whole content atomically."""
        old = self._folder / f"..{self._generation}"
        self._generation += 1
        new = self._folder / f"..{self._generation}"
        new.mkdir()
        for name, content in files.items():
            (new / name).write_text(content)
        (self._folder / "..data_tmp").symlink_to(new.name)
        os.replace(self._folder / "..data_tmp", self._folder / "..data")
        if old.exists():
            shutil.rmtree(old)


def config(hosts: str, *paths: str) -> str:
    ensemble = {
        "name": "main",
        "hosts": hosts,
        "digest": [{"username": "exporter", "password_file": "../secrets/password"}],
        "trees": [{"path": path} for path in paths],
    }
    return json.dumps({"ensembles": [ensemble]})


@pytest.fixture
def volume(tmp_path: Path, zookeeper: ZooKeeper) -> Volume:
    """The configuration's volume."""
    return Volume(tmp_path / "config", {"config.yml": config(zookeeper.hosts, "/a")})


@pytest.fixture
def secrets(tmp_path: Path) -> Volume:
    """The volume of a password that the configuration names."""
    return Volume(tmp_path / "secrets", {"password": "first"})


@pytest.fixture
def exporter(tmp_path: Path, volume: Volume, secrets: Volume) -> Iterator[Exporter]:
    with configured_exporter(tmp_path / "config" / "config.yml", FLAGS) as running:
        running.wait_ready()
        yield running


def test_a_swapped_volume_is_in_force(exporter: Exporter, volume: Volume, zookeeper: ZooKeeper) -> None:
    volume.update({"config.yml": config(zookeeper.hosts, "/a", "/b")})
    eventually(lambda: exporter.metric("zookeeper_cache_initialized", tree="/b") == 1, timeout=60)
    assert exporter.metric("zookeeper_cache_syncs_total", tree="/a") == 1
    volume.update({"config.yml": config(zookeeper.hosts, "/b")})
    eventually(lambda: exporter.metric("zookeeper_cache_initialized") == 1, timeout=60)


def test_a_swapped_secret_is_a_new_session(exporter: Exporter, secrets: Volume) -> None:
    begun = exporter.metric("zookeeper_client_session_start_timestamp_seconds")
    secrets.update({"password": "tr0ub4dor"})
    eventually(lambda: exporter.logged("configuration reloaded"), timeout=60)
    eventually(lambda: exporter.metric("zookeeper_client_session_start_timestamp_seconds") > begun, timeout=60)
    assert "tr0ub4dor" not in json.dumps(exporter.log_lines())


def test_a_bad_volume_changes_nothing_and_is_told_once(
    exporter: Exporter, volume: Volume, zookeeper: ZooKeeper
) -> None:
    good = config(zookeeper.hosts, "/a")
    for bad in (good.replace("hosts", "host"), "", good[: len(good) // 2]):
        before = len(exporter.logged("configuration refused"))
        volume.update({"config.yml": bad})
        eventually(lambda before=before: len(exporter.logged("configuration refused")) > before, timeout=60)  # type: ignore[misc]
        assert exporter.metric(SUCCESSFUL) == 0
    refused = len(exporter.logged("configuration refused"))
    # Long enough for a few checks of the file while it is bad.
    time.sleep(3)
    assert len(exporter.logged("configuration refused")) == refused
    assert exporter.metric("zookeeper_cache_initialized", tree="/a") == 1
    assert exporter.metric("zookeeper_cache_syncs_total", tree="/a") == 1
    volume.update({"config.yml": good})
    eventually(lambda: exporter.metric(SUCCESSFUL) == 1, timeout=60)


def test_it_is_off_by_default(tmp_path: Path, volume: Volume, secrets: Volume) -> None:
    with configured_exporter(tmp_path / "config" / "config.yml") as exporter:
        exporter.wait_ready()
        volume.update({"config.yml": ""})
        time.sleep(3)
        assert not exporter.logged("configuration refused")
