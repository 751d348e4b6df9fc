"""The exporter and Prometheus as processes, started on free ports and stopped by their process ids."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.support import eventually

#: Seconds within which the exporter must have ended after a signal.
STOP_LIMIT = 5.0

Labels = Mapping[str, str]


class Exporter:
    """`python -m exporter` on a free loopback port, logging JSON to `log`."""

    def __init__(self, log: Path, hosts: str, *paths: str, flags: tuple[str, ...] = ()) -> None:
        self._log = log
        command = [sys.executable, "-m", "exporter", f"--zookeeper.hosts={hosts}"]
        command += [f"--treecache.path={path}" for path in paths]
        command += ["--web.listen-address=127.0.0.1:0", "--log.format=json", *flags]
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=stderr)

    @property
    def url(self) -> str:
        """Where it serves; waits until it does."""
        return str(eventually(self._serving)[0]["url"])

    def log_lines(self) -> list[dict[str, Any]]:
        """Every event that was logged."""
        return [json.loads(line) for line in self._log.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The logged events of one kind."""
        return [line for line in self.log_lines() if line["event"] == event]

    def _serving(self) -> list[dict[str, Any]]:
        if self._process.poll() is not None:
            raise RuntimeError(f"the exporter ended: {self._log.read_text()}")
        return self.logged("serving")

    def get(self, path: str, **headers: str) -> httpx.Response:
        """An HTTP response."""
        return httpx.get(self.url + path, headers=headers)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name with these labels in a scrape."""
        families = text_string_to_metric_families(self.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        matching = [sample.value for sample in samples if labels.items() <= sample.labels.items()]
        assert matching, f"no sample {name} {labels}"
        return float(sum(matching))

    def wait_ready(self) -> None:
        """Waits until every tree had its first load."""
        eventually(lambda: self.get("/-/ready").status_code == 200)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Sends a signal; gives the exit status and how many seconds it took."""
        begun = time.monotonic()
        self._process.send_signal(number)
        status = self._process.wait(timeout=60)
        return status, time.monotonic() - begun

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal and does not wait."""
        self._process.send_signal(number)

    def end(self) -> None:
        """Makes sure that the process is no more."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def running_exporter(folder: Path, hosts: str, *paths: str, flags: tuple[str, ...] = ()) -> Iterator[Exporter]:
    """An exporter that is ended afterwards in any case."""
    exporter = Exporter(folder / "exporter.log", hosts, *paths, flags=flags)
    try:
        yield exporter
    finally:
        exporter.end()


class Prometheus:
    """A real Prometheus on a free loopback port that scrapes one target every second."""

    def __init__(self, folder: Path, target: str) -> None:
        config = folder / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
            "scrape_configs:\n"
            f"- {{job_name: treecache, static_configs: [{{targets: ['{target}']}}]}}\n"
        )
        self._log = folder / "prometheus.log"
        command = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            "--web.listen-address=127.0.0.1:0",
            "--log.format=json",
        ]
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    @property
    def _url(self) -> str:
        return str(eventually(self._listening, timeout=30))

    def _listening(self) -> str | None:
        match = re.search(r'"address":"(127\.0\.0\.1:[1-9][0-9]*)"', self._log.read_text())
        if match is None and self._process.poll() is not None:
            raise RuntimeError(f"Prometheus ended: {self._log.read_text()}")
        return match and f"http://{match[1]}"

    def query(self, expression: str) -> list[float]:
        """The values of an instant query."""
        response = httpx.get(f"{self._url}/api/v1/query", params={"query": expression})
        response.raise_for_status()
        return [float(sample["value"][1]) for sample in response.json()["data"]["result"]]

    def value(self, expression: str) -> float | None:
        """The value of an instant query that gives one sample, None while it gives none."""
        values = self.query(expression)
        assert len(values) < 2, f"{expression} gives {len(values)} samples"
        return values[0] if values else None

    def end(self) -> None:
        """Makes sure that the process is no more."""
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def running_prometheus(folder: Path, url: str) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the exporter at `url` and is ended afterwards in any case."""
    prometheus = Prometheus(folder, url.removeprefix("http://"))
    try:
        yield prometheus
    finally:
        prometheus.end()
