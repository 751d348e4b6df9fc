"""Exported spans, received by a real receiver and decoded from the protobuf."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from kazoo.client import KazooClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from tests.conftest import ZooKeeper
from tests.integration.processes import STOP_LIMIT, Exporter, running_exporter
from tests.otlp import Receiver, received, running_receiver
from tests.support import eventually

PROTOCOLS = ("http/protobuf", "grpc")

#: An application without any tracing code.
APPLICATION = """
import sys
from kazoo.client import KazooClient

client = KazooClient(sys.argv[1])
client.start()
client.ensure_path("/app")
client.exists("/nothing")
print(client.get("/app")[0])
client.stop()
client.close()
"""


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with running_receiver(tmp_path) as receiver:
        yield receiver


def the_first(receiver: Receiver, name: str) -> dict[str, Any]:
    return received(receiver, name)[0]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_daemons_spans_arrive(
    protocol: str, tmp_path: Path, receiver: Receiver, zookeeper: ZooKeeper, client: KazooClient
) -> None:
    client.ensure_path("/app/a")
    environment = {**receiver.environment(protocol), "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test"}
    with running_exporter(tmp_path, zookeeper.hosts, "/app", environment=environment) as exporter:
        exporter.wait_ready()
        sync = the_first(receiver, "treecache.sync")
        assert sync["kind"] == "SPAN_KIND_INTERNAL"
        assert sync["attributes"] == {"treecache.tree": "/app", "treecache.reason": "start", "treecache.znodes": 2}
        assert sync["resource"]["service.name"] == "treecache-exporter"
        assert sync["resource"]["deployment.environment.name"] == "test"
        assert sync["scope"]["name"] == "treecache-exporter"
        assert sync["schemaUrl"].startswith("https://opentelemetry.io/schemas/")
        check_call(the_first(receiver, "multiRead"), sync, zookeeper)
        (line,) = exporter.wait_logged("tree in sync")
        assert (line["trace_id"], line["span_id"]) == (sync["traceId"], sync["spanId"])

        client.set("/app/a", b"new")
        refresh = the_first(receiver, "treecache.refresh")
        assert refresh["links"] == [the_first(receiver, "watch changed")["spanId"]]
        assert exporter.metric("treecache_exporter_spans_dropped_total") == 0
        status, _ = exporter.stop()
        assert status == 0
    # The last spans are flushed before the end.
    assert receiver.spans("closeSession")


def test_exemplars_of_the_daemon_lead_to_its_spans(
    tmp_path: Path, receiver: Receiver, zookeeper: ZooKeeper, client: KazooClient
) -> None:
    client.ensure_path("/app/a")
    environment, flags = receiver.environment("http/protobuf"), ("--freshness.interval=100ms",)
    with running_exporter(tmp_path, zookeeper.hosts, "/app", flags=flags, environment=environment) as exporter:
        exporter.wait_ready()
        client.set("/app/a", b"new")
        spans = {
            "zookeeper_client_request_duration_seconds": "multiRead",
            "zookeeper_cache_sync_duration_seconds": "treecache.sync",
            "zookeeper_cache_refresh_duration_seconds": "multiRead",
            "zookeeper_cache_propagation_delay_seconds": "multiRead",
            "zookeeper_cache_verification_duration_seconds": "multi",
        }
        for metric, name in spans.items():
            exemplars = eventually(partial(exemplars_of, exporter, metric))
            eventually(lambda: exemplars & {ids(span) for span in receiver.spans(name)})  # noqa: B023
        assert "trace_id" not in exporter.get("/metrics").text


def exemplars_of(exporter: Exporter, metric: str) -> set[tuple[str, str]]:
    """The trace ids and span ids in a histogram's exemplars, from a scrape in the OpenMetrics format."""
    text = exporter.get("/metrics", accept="application/openmetrics-text").text
    families = {family.name: family for family in parse_openmetrics(text)}  # type: ignore[no-untyped-call]
    exemplars = [sample.exemplar.labels for sample in families[metric].samples if sample.exemplar]
    return {(labels["trace_id"], labels["span_id"]) for labels in exemplars}


def ids(span: dict[str, Any]) -> tuple[str, str]:
    return span["traceId"], span["spanId"]


def check_call(call: dict[str, Any], sync: dict[str, Any], zookeeper: ZooKeeper) -> None:
    """Names and types follow the semantic conventions, in the protobuf too."""
    host, port = zookeeper.server.hosts.split(":")
    assert (call["traceId"], call["parentSpanId"]) == (sync["traceId"], sync["spanId"])
    assert call["kind"] == "SPAN_KIND_CLIENT"
    recorded = call["attributes"]
    assert {
        "db.system.name": "zookeeper",
        "db.operation.name": "multiRead",
        "db.namespace": zookeeper.root,
        "server.address": host,
        "server.port": int(port),
    }.items() <= recorded.items()
    numbers = {"db.operation.batch.size", "server.port"} | {
        name for name in recorded if name.endswith((".size", "xid"))
    }
    assert {name: type(recorded[name]) for name in numbers if name in recorded} == {
        name: int for name in numbers if name in recorded
    }
    assert {"zookeeper.xid", "zookeeper.zxid", "zookeeper.request.size", "zookeeper.response.size"} <= recorded.keys()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_opentelemetry_instrument_traces_a_plain_application(
    protocol: str, receiver: Receiver, zookeeper: ZooKeeper
) -> None:
    environment = {
        **os.environ,
        **receiver.environment(protocol),
        "OTEL_SERVICE_NAME": "an application",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    instrument = str(Path(sys.executable).with_name("opentelemetry-instrument"))
    done = subprocess.run(
        [instrument, sys.executable, "-c", APPLICATION, zookeeper.hosts],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "b''\n"), done.stderr
    get = the_first(receiver, "getData")
    assert get["resource"]["service.name"] == "an application"
    assert get["attributes"]["zookeeper.path"] == zookeeper.root + "/app"
    assert "status" not in get or get["status"] == {}
    assert {span["name"] for span in receiver.spans()} >= {"createSession", "create", "exists", "closeSession"}


# Dead or slow collectors


@pytest.fixture
def silent() -> Iterator[str]:
    """An endpoint that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in taken:
            connection.close()


def churn(client: KazooClient, changes: int) -> None:
    for result in [client.set_async("/app/a", str(number).encode()) for number in range(changes)]:
        result.get()


def scrapes_wait_for_no_export(exporter: Exporter, seconds: float) -> bool:
    """Whether ten scrapes in a row take less time than five exports, given the seconds of one."""
    begun = time.monotonic()
    for _ in range(10):
        exporter.get("/metrics").raise_for_status()
    return time.monotonic() - begun < 5 * seconds


def test_a_slow_collector_delays_nothing_and_takes_what_the_queue_has_room_for(
    tmp_path: Path, zookeeper: ZooKeeper, client: KazooClient
) -> None:
    client.ensure_path("/app/a")
    delay = 1.0
    with running_receiver(tmp_path, delay=delay) as receiver:
        environment = {
            **receiver.environment("http/protobuf"),
            "OTEL_BSP_SCHEDULE_DELAY": "10",
            "OTEL_BSP_MAX_QUEUE_SIZE": "32",
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "32",
        }
        with running_exporter(tmp_path, zookeeper.hosts, "/app", environment=environment) as exporter:
            exporter.wait_ready()
            churn(client, 200)
            churn(client, 10)
            expected = len(b"9")
            eventually(lambda: exporter.metric("zookeeper_cache_data_bytes") == expected)
            eventually(lambda: exporter.metric("treecache_exporter_spans_dropped_total") > 0)
            assert scrapes_wait_for_no_export(exporter, delay)
            # Dropping made room, so the spans of a late change eventually arrive.
            arrived = len(receiver.spans("treecache.refresh"))

            def another_arrives() -> bool:
                churn(client, 1)
                return len(receiver.spans("treecache.refresh")) > arrived

            eventually(another_arrives, 30, 0.2)
            assert exporter.stop()[0] == 0


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_collector_that_never_answers_delays_nothing_and_what_it_costs_is_counted(
    protocol: str, tmp_path: Path, silent: str, zookeeper: ZooKeeper, client: KazooClient
) -> None:
    client.ensure_path("/app/a")
    environment = {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": silent,
        "OTEL_BSP_SCHEDULE_DELAY": "10",
        "OTEL_BSP_MAX_QUEUE_SIZE": "32",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "8",
    }
    with running_exporter(tmp_path, zookeeper.hosts, "/app", environment=environment) as exporter:
        exporter.wait_ready()
        churn(client, 200)
        eventually(lambda: exporter.metric("treecache_exporter_spans_dropped_total") > 100)
        churn(client, 10)
        expected = len(b"9")
        eventually(lambda: exporter.metric("zookeeper_cache_data_bytes") == expected)
        assert scrapes_wait_for_no_export(exporter, 1.0)
        status, seconds = exporter.stop()
        assert status == 0
        assert seconds < STOP_LIMIT
        assert exporter.logged("spans lost")[0]["spans"] >= 32
        assert not [line for line in exporter.log_lines() if "Queue full" in line["event"]]


def test_a_dead_collector_is_told_of_but_not_in_floods(
    tmp_path: Path, zookeeper: ZooKeeper, client: KazooClient
) -> None:
    client.ensure_path("/app/a")
    environment = {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        "OTEL_BSP_SCHEDULE_DELAY": "10",
    }
    with running_exporter(tmp_path, zookeeper.hosts, "/app", environment=environment) as exporter:
        exporter.wait_ready()

        def dropped_by_change() -> bool:
            churn(client, 1)
            return exporter.metric("treecache_exporter_spans_dropped_total") >= 20

        eventually(dropped_by_change, timeout=30)
        recorded = [line for line in exporter.log_lines() if line["logger"].startswith("opentelemetry.")]
        assert 1 <= len(recorded) <= 4
        status, seconds = exporter.stop()
        assert status == 0
        assert seconds < STOP_LIMIT


# Under opentelemetry-instrument

INSTRUMENT = str(Path(sys.executable).with_name("opentelemetry-instrument"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_opentelemetry_instrument_set_up_does_not_hold_up_the_end(
    protocol: str, tmp_path: Path, silent: str, zookeeper: ZooKeeper, client: KazooClient
) -> None:
    client.ensure_path("/app/a")
    environment = {
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_EXPORTER_OTLP_ENDPOINT": silent,
        "OTEL_BSP_SCHEDULE_DELAY": "10",
        "OTEL_BLRP_SCHEDULE_DELAY": "10",
    }
    with running_exporter(
        tmp_path, zookeeper.hosts, "/app", environment=environment, launcher=(INSTRUMENT,)
    ) as exporter:
        exporter.wait_ready()
        churn(client, 10)
        status, seconds = exporter.stop()
        assert status == 0
        assert seconds < STOP_LIMIT
        # It is the last line: the shutdown logs nothing after it.
        (line,) = exporter.logged("telemetry lost")
        assert line == exporter.log_lines()[-1]
        assert "spans" in line["of"]
        assert "logs" in line["of"]


def test_a_command_that_is_refused_ends_as_soon_under_opentelemetry_instrument(silent: str) -> None:
    environment = {
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": silent,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    }
    command = [INSTRUMENT, sys.executable, "-m", "exporter", "--zookeeper.hosts=:"]
    with subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("treecache-exporter: ")
        refused = time.monotonic()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 2
        assert time.monotonic() - refused < STOP_LIMIT


def test_opentelemetrys_logs_are_text_and_the_daemons_stay_as_they_are(
    tmp_path: Path, zookeeper: ZooKeeper, client: KazooClient
) -> None:
    client.ensure_path("/app/a")
    environment = {
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "console",
        "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true",
    }
    with running_exporter(
        tmp_path, zookeeper.hosts, "/app", environment=environment, launcher=(INSTRUMENT,)
    ) as exporter:
        exporter.wait_ready()
        exporter.wait_logged("tree in sync")
        assert exporter.stop()[0] == 0
        # All records are ours, and none is a complaint about another.
        assert {line["logger"] for line in exporter.log_lines()} == {"exporter"}
        bodies = [
            json.loads(line.split(":", 1)[1].strip().rstrip(","))
            for line in exporter.printed().splitlines()
            if line.startswith('    "body": ')
        ]
        assert [body.partition(" version=")[0] for body in bodies if body.startswith("serving")] == ["serving"]
        assert "stopped" in bodies
        assert '"telemetry_path": "/metrics"' in exporter.printed()


# Other exporters


def test_an_exporter_that_there_is_not_is_refused_in_one_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "--zookeeper.hosts=127.0.0.1:1", "--treecache.path=/"],
        env={**os.environ, "OTEL_TRACES_EXPORTER": "zipkin"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    complaint = "OTEL_TRACES_EXPORTER=zipkin: accepted: none, or any of otlp, console, separated by commas"
    assert (done.returncode, done.stderr) == (2, f"treecache-exporter: {complaint}\n")


def test_spans_can_be_read_on_the_console(zookeeper: ZooKeeper, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "exporter", f"--zookeeper.hosts={zookeeper.hosts}", "--treecache.path=/"]
    output = tmp_path / "stdout"
    with output.open("wb") as stdout:
        process = subprocess.Popen(
            [*command, "--web.listen-address=127.0.0.1:0"],
            env={**os.environ, "OTEL_TRACES_EXPORTER": "console", "OTEL_BSP_SCHEDULE_DELAY": "100"},
            stdout=stdout,
            stderr=subprocess.DEVNULL,
        )
    try:
        eventually(lambda: '"name": "treecache.sync"' in output.read_text(), timeout=30)
    finally:
        process.terminate()
        process.wait(30)
