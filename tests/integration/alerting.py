"""Alertmanager as a process, and a webhook that receives its notifications."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ruamel.yaml import YAML

from dashboards.prometheus.parameters import in_words, milliseconds
from tests.support import eventually

#: The shipped configuration.
SHIPPED = Path(__file__).parents[2] / "dashboards" / "alertmanager" / "alertmanager.yml"


def configuration(url: str, shorten: float, scrape_interval: str) -> str:
    """The shipped configuration with a webhook as its receiver and its times divided by `shorten`.

    As in the shipped configuration, alerts of replicas that fire a scrape apart arrive in one notification.
    """
    config = YAML(typ="safe", pure=True).load(SHIPPED)
    [route] = config["route"]["routes"]
    for name in ("group_wait", "group_interval"):
        route[name] = in_words(max(milliseconds(route[name]) / shorten, milliseconds(scrape_interval)))
    [receiver] = config["receivers"]
    receiver["webhook_configs"] = [{"url": url, "send_resolved": True}]
    # JSON is YAML.
    return json.dumps(config)


@dataclass(frozen=True)
class Alert:
    """One of the alerts in a notification."""

    status: str
    labels: Mapping[str, str]
    summary: str


@dataclass(frozen=True)
class Notification:
    """One notification: the alerts of one group. `at` is the monotonic time of its arrival.

    It is `firing` while one of its alerts fires.
    """

    at: float
    group: Mapping[str, str]
    alerts: tuple[Alert, ...]

    @property
    def status(self) -> str:
        """`firing` or `resolved`."""
        return "firing" if any(alert.status == "firing" for alert in self.alerts) else "resolved"

    @property
    def name(self) -> str:
        """The name of the alert."""
        return self.group["alertname"]

    @property
    def severity(self) -> str:
        """`critical` or `warning`."""
        return self.group["severity"]

    @property
    def summary(self) -> str:
        """The summary of its first alert, of the first firing one if there is any."""
        return next((alert.summary for alert in self.alerts if alert.status == self.status), "")


class Webhook:
    """Receives Alertmanager's notifications on a free loopback port, within its block."""

    def __init__(self) -> None:
        self.received: list[Notification] = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                alerts = (
                    Alert(alert["status"], alert["labels"], alert["annotations"].get("summary", ""))
                    for alert in message["alerts"]
                )
                received.append(Notification(time.monotonic(), message["groupLabels"], tuple(alerts)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *arguments: object) -> None:
                """Logs nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Its URL."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Webhook:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Alertmanager:
    """A real Alertmanager on a free loopback port that notifies a webhook."""

    def __init__(self, folder: Path, webhook: str, shorten: float, scrape_interval: str) -> None:
        config = folder / "alertmanager.yml"
        config.write_text(configuration(webhook, shorten, scrape_interval))
        self._log = folder / "alertmanager.log"
        command = [
            "prometheus-alertmanager",
            f"--config.file={config}",
            f"--storage.path={folder / 'alertmanager'}",
            "--web.listen-address=127.0.0.1:0",
            "--cluster.listen-address=",
            "--log.format=json",
        ]
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    @property
    def address(self) -> str:
        """Where it listens, as `host:port`; waits until it does."""
        return str(eventually(self._listening, timeout=30))

    def _listening(self) -> str | None:
        match = re.search(r'"address":"(127\.0\.0\.1:[1-9][0-9]*)"', self._log.read_text())
        if match is None and self._process.poll() is not None:
            raise RuntimeError(f"Alertmanager ended: {self._log.read_text()}")
        return match and match[1]

    def end(self) -> None:
        """Makes sure that the process is no more."""
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def running_alertmanager(folder: Path, webhook: str, shorten: float, scrape_interval: str) -> Iterator[Alertmanager]:
    """Runs an Alertmanager with the shipped configuration, its times divided, within the block."""
    alertmanager = Alertmanager(folder, webhook, shorten, scrape_interval)
    try:
        yield alertmanager
    finally:
        alertmanager.end()
