"""A real receiver of OpenTelemetry's protocol, as its own process: decodes what it is sent and writes it down."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import eventually


@dataclass(frozen=True)
class Receiver:
    """A running receiver, and what it has received so far."""

    http: str
    grpc: str
    written: Path

    def environment(self, protocol: str) -> dict[str, str]:
        """The variables that send spans here by `http/protobuf` or `grpc`, quickly."""
        return {
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.grpc if protocol == "grpc" else self.http,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }

    def spans(self, name: str | None = None) -> list[dict[str, Any]]:
        """The spans, as protobuf's JSON has them, with `resource`, `scope` and `attributes` as plain dictionaries."""
        lines = self.written.read_text().splitlines(keepends=True)
        spans = [json.loads(line) for line in lines if line.endswith("\n")]
        return [span for span in spans if name in (None, span["name"])]


@contextlib.contextmanager
def running_receiver(folder: Path, *, delay: float = 0.0) -> Iterator[Receiver]:
    """A receiver on free loopback ports; it answers after `delay` seconds."""
    written = folder / "spans.jsonl"
    written.touch()
    command = [sys.executable, "-m", "tests.otlp", str(written), str(delay)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            ports = json.loads(process.stdout.readline())
            yield Receiver(f"http://127.0.0.1:{ports['http']}", f"http://127.0.0.1:{ports['grpc']}", written)
        finally:
            process.kill()


def received(receiver: Receiver, name: str, timeout: float = 15.0) -> list[dict[str, Any]]:
    """The spans of this name, as soon as there are any."""
    return eventually(lambda: receiver.spans(name), timeout)
