"""Spark: standalone masters that elect one of them with ZooKeeper, and their workers, applications and drivers.

All are from PyPI's pyspark, and started as Spark's own scripts start them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from exporter.demo.ports import free_port
from tests.systems.program import Program, program

#: Where `make bench PEER=curator` has it, too.
ENVIRONMENT = Path(__file__).parents[2] / ".bench-venv"
LOOPBACK = "127.0.0.1"
#: A program that comes with Spark, and is an application until it is ended.
APPLICATION = "org.apache.spark.sql.connect.service.SparkConnectServer"


@contextlib.contextmanager
def started_by_spark(*words: str, options: str = "") -> Iterator[Program]:
    """A program that is not yet started: its class and its own words, and java's options for a daemon."""
    [home] = ENVIRONMENT.glob("lib/python3*/site-packages/pyspark")
    environment = {
        "SPARK_HOME": str(home),
        "SPARK_LOCAL_IP": LOOPBACK,
        # Of an application it is the least.
        "SPARK_DAEMON_MEMORY": "512m",
        "SPARK_DAEMON_JAVA_OPTS": f"{options} -XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    }
    with program() as made:
        variables = [f"{name}={value}" for name, value in environment.items()]
        made.command = ["env", *variables, str(home / "bin" / "spark-class"), *words]
        yield made


@contextlib.contextmanager
def daemon(name: str, *words: str, options: str = "") -> Iterator[Program]:
    """A master or worker, with its page."""
    page = free_port()
    words = (f"org.apache.spark.deploy.{name}", "--host", LOOPBACK, "--webui-port", str(page), *words)
    with started_by_spark(*words, options=options) as made:
        made.url = f"http://{LOOPBACK}:{page}/json/"
        yield made


@contextlib.contextmanager
def masters(hosts: str) -> Iterator[tuple[Program, Program, str]]:
    """Two masters, and the address of both."""
    options = f"-Dspark.deploy.recoveryMode=ZOOKEEPER -Dspark.deploy.zookeeper.url={hosts}"
    ports = [str(free_port()) for _ in range(2)]
    with contextlib.ExitStack() as both:
        first, second = (both.enter_context(daemon("master.Master", "--port", port, options=options)) for port in ports)
        yield first, second, "spark://" + ",".join(f"{LOOPBACK}:{port}" for port in ports)


def worker(address: str) -> contextlib.AbstractContextManager[Program]:
    """A worker with too little memory for any application."""
    return daemon("worker.Worker", "--cores", "1", "--memory", "256m", "--work-dir", "work", address)


def application(address: str) -> contextlib.AbstractContextManager[Program]:
    """An application, which waits for a worker with enough memory."""
    port = f"spark.connect.grpc.binding.port={free_port()}"
    page = "spark.ui.enabled=false"
    return _submitted(address, "--conf", port, "--conf", page, "--class", APPLICATION, "spark-internal")


def driver(address: str) -> contextlib.AbstractContextManager[Program]:
    """Submits a driver in cluster mode, which waits for a worker with enough memory, and ends."""
    return _submitted(address, "--deploy-mode", "cluster", "--class", "Waiting", "local:/waiting.jar")


def _submitted(address: str, *words: str) -> contextlib.AbstractContextManager[Program]:
    return started_by_spark("org.apache.spark.deploy.SparkSubmit", "--master", address, *words)
