"""The exporter and Prometheus as processes, on free ports, stopped by their process ids."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests import plainhttp
from tests.support import eventually

#: Seconds within which the exporter must end after a signal: enough for a busy machine, and less than the 10 s after
#: which an OpenTelemetry exporter that blocks the end gives up.
STOP_LIMIT = 9.0

Labels = Mapping[str, str]


class Exporter:
    """`python -m exporter` on a loopback port, a free one for 0, logging JSON to `log`.

    `module` can be another one with the same flags.
    """

    def __init__(
        self,
        log: Path,
        flags: Sequence[str],
        environment: Mapping[str, str] | None = None,
        module: str = "exporter",
        launcher: Sequence[str] = (),
        port: int = 0,
    ) -> None:
        self._log = log
        self._output = log.with_suffix(".out")
        words = [f"--web.listen-address=127.0.0.1:{port}", "--log.format=json", *flags]
        command = [*launcher, sys.executable, "-m", module, *words]
        with log.open("wb") as stderr, self._output.open("wb") as stdout:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env={**os.environ, **(environment or {})},
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def url(self) -> str:
        """Its URL; waits until it serves."""
        return str(eventually(self._serving, timeout=60)[0]["url"])

    def printed(self) -> str:
        """Its standard output."""
        return self._output.read_text()

    def log_lines(self) -> list[dict[str, Any]]:
        """All logged events."""
        return [json.loads(line) for line in self._log.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The logged events of one kind."""
        return [line for line in self.log_lines() if line["event"] == event]

    def wait_logged(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        """Waits for this many logged events of one kind: a line may appear a moment after its cause."""

        def found() -> list[dict[str, Any]]:
            lines = self.logged(event)
            assert len(lines) >= count, f"{len(lines)} of {count} lines {event!r}"
            return lines

        return eventually(found, timeout=60)

    def _serving(self) -> list[dict[str, Any]]:
        if self._process.poll() is not None:
            raise RuntimeError(f"the exporter ended: {self._log.read_text()}")
        return self.logged("serving")

    def get(self, path: str, **headers: str) -> httpx.Response:
        """An HTTP response."""
        return plainhttp.get(self.url + path, headers=headers)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name with these labels in a scrape."""
        matching = [sample.value for sample in self.samples(name) if labels.items() <= sample.labels.items()]
        assert matching, f"no sample {name} {labels}"
        return float(sum(matching))

    def series(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The samples of this name in a scrape, by the values of these labels."""
        return {tuple(sample.labels[label] for label in labels): sample.value for sample in self.samples(name)}

    def samples(self, name: str) -> list[Sample]:
        """The samples of this name in a scrape."""
        # To read all of it takes longer than the scrape.
        lines = "".join(line for line in self.get("/metrics").text.splitlines(True) if line.startswith(name))
        families = text_string_to_metric_families(lines)
        return [sample for family in families for sample in family.samples if sample.name == name]

    def wait_ready(self) -> None:
        """Waits until every tree was loaded once."""
        eventually(lambda: self.get("/-/ready").status_code == 200)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Sends a signal; returns the exit status and the seconds until the end."""
        begun = time.monotonic()
        self._process.send_signal(number)
        status = self._process.wait(timeout=60)
        return status, time.monotonic() - begun

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal without waiting."""
        self._process.send_signal(number)

    def end(self) -> None:
        """Makes sure that the process is no more."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def running_exporter(
    folder: Path,
    hosts: str,
    *paths: str,
    flags: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    launcher: tuple[str, ...] = (),
) -> Iterator[Exporter]:
    """Runs an exporter within the block; a launcher replaces itself by the command that it gets."""
    words = [f"--zookeeper.hosts={hosts}", *(f"--treecache.path={path}" for path in paths), *flags]
    with _ended_afterwards(Exporter(folder / "exporter.log", words, environment, launcher=launcher)) as exporter:
        yield exporter


@contextlib.contextmanager
def configured_exporter(
    config: Path, flags: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[Exporter]:
    """Runs an exporter with a configuration file within the block."""
    log = config.parent / "exporter.log"
    with _ended_afterwards(Exporter(log, [f"--config.file={config}", *flags], environment)) as exporter:
        yield exporter


@contextlib.contextmanager
def _ended_afterwards(exporter: Exporter) -> Iterator[Exporter]:
    try:
        yield exporter
    finally:
        exporter.end()


def preview(*flags: str) -> subprocess.CompletedProcess[str]:
    """`python -m exporter preview`, which has ended."""
    command = [sys.executable, "-m", "exporter", "preview", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


class Prometheus:
    """A real Prometheus on a free loopback port that scrapes each target every second, or at another interval.

    It evaluates rules as often; `more` is added to its configuration.
    """

    def __init__(self, folder: Path, *targets: str, interval: str = "1s", more: str = "") -> None:
        config = folder / "prometheus.yml"
        config.write_text(
            f"global: {{scrape_interval: {interval}, scrape_timeout: {interval}, evaluation_interval: {interval}}}\n"
            "scrape_configs:\n"
            f"- {{job_name: treecache, static_configs: [{{targets: {list(targets)}}}]}}\n{more}"
        )
        self._log = folder / "prometheus.log"
        command = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            "--web.listen-address=127.0.0.1:0",
            "--log.format=json",
            "--enable-feature=exemplar-storage",
        ]
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    @property
    def url(self) -> str:
        """Its URL; waits until it serves."""
        return str(eventually(self._listening, timeout=30))

    def _listening(self) -> str | None:
        match = re.search(r'"address":"(127\.0\.0\.1:[1-9][0-9]*)"', self._log.read_text())
        if match is None and self._process.poll() is not None:
            raise RuntimeError(f"Prometheus ended: {self._log.read_text()}")
        return match and f"http://{match[1]}"

    def wait_ready(self) -> None:
        """Waits until it answers queries, some time after it starts to listen."""
        eventually(lambda: plainhttp.get(f"{self.url}/-/ready").status_code == 200, timeout=30)

    def query(self, expression: str) -> list[float]:
        """The values of an instant query."""
        return [float(sample["value"][1]) for sample in self._samples(expression)]

    def labels(self, expression: str) -> list[Labels]:
        """The labels of the samples of an instant query."""
        return [sample["metric"] for sample in self._samples(expression)]

    def _samples(self, expression: str) -> list[Any]:
        response = plainhttp.get(f"{self.url}/api/v1/query", params={"query": expression})
        response.raise_for_status()
        samples: list[Any] = response.json()["data"]["result"]
        return samples

    def value(self, expression: str) -> float | None:
        """The value of an instant query with one sample; None if it has none."""
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
def running_prometheus(folder: Path, *urls: str, interval: str = "1s", more: str = "") -> Iterator[Prometheus]:
    """Runs a Prometheus that scrapes the exporters at these addresses within the block."""
    prometheus = Prometheus(folder, *(url.removeprefix("http://") for url in urls), interval=interval, more=more)
    try:
        prometheus.wait_ready()
        yield prometheus
    finally:
        prometheus.end()
