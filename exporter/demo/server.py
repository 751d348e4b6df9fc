"""Server: a real standalone ZooKeeper server on a loopback port, with its data in a temporary directory."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from exporter.demo.java import GuardedProcess, LaunchError, find_jars, find_java
from exporter.demo.ports import Port

MAIN_CLASS = "org.apache.zookeeper.server.ZooKeeperServerMain"
START_TIMEOUT = 60.0
#: Seconds that a starting server may take to answer; on a busy machine even a serving one is slow.
PROBE_TIMEOUT = 2.0

SYSTEM_PROPERTIES = {
    "zookeeper.extendedTypesEnabled": "true",
    "zookeeper.forceSync": "no",
    "org.slf4j.simpleLogger.defaultLogLevel": "warn",
    "java.awt.headless": "true",
}

# System properties for a server that is restarted while clients are connected. ZooKeeper's default server, NIO, may
# never answer a client that connects in the milliseconds before the data is loaded (a NullPointerException in 3.8's
# NIOServerCnxn.close); kazoo then waits for its whole session timeout. The Netty server hangs up instead.
NETTY = {"zookeeper.serverCnxnFactory": "org.apache.zookeeper.server.NettyServerCnxnFactory"}

# Java compiles quickly but optimizes less: a server starts in two thirds of the CPU time, and is fast enough for a few
# clients.
QUICK_START = ("-XX:TieredStopAtLevel=1",)

CONFIG = {
    "admin.enableServer": "false",
    "clientPortAddress": "127.0.0.1",
    "4lw.commands.whitelist": "*",
    "maxClientCnxns": "0",
}

# Without this, the logger of a release's archive writes every debug message.
LOGBACK = """\
<configuration>
  <appender name="console" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d %level %logger - %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="console"/></root>
</configuration>
"""


def four_letter_word(port: int, word: bytes, timeout: float = 5.0, host: str = "127.0.0.1") -> str:
    """The answer of the server on a loopback port to a four-letter word, for example `b"mntr"`.

    Raises OSError if it does not answer within `timeout` seconds.
    """
    with socket.create_connection((host, port), timeout=timeout) as connection:
        connection.sendall(word)
        with connection.makefile("rb") as reply:
            return reply.read().decode()


def mntr(port: int) -> dict[str, str]:
    """The metrics of the server on a loopback port, for example `zk_watch_count`. Raises OSError without an answer."""
    lines = four_letter_word(port, b"mntr").splitlines()
    return dict(line.split("\t", 1) for line in lines if "\t" in line)


class ZooKeeperServer:
    """A ZooKeeper server, which serves once `start` returns, and leaves nothing behind after `stop`.

    `home` is an installation's folder (see `exporter.demo.java.find_jars`), `port` a loopback port (by default a free
    one), `tick_time` is in milliseconds (session timeouts are 2 to 20 ticks), `heap` is java's -Xmx.
    `system_properties` and `config` (lines of zoo.cfg) are added to the launcher's own, and override them.
    `jvm_options` are java's, by default for a quick start.
    """

    def __init__(
        self,
        *,
        home: str | os.PathLike[str] | None = None,
        port: int | None = None,
        tick_time: int = 2000,
        heap: str = "512m",
        system_properties: Mapping[str, str] | None = None,
        config: Mapping[str, str] | None = None,
        jvm_options: Sequence[str] = QUICK_START,
    ) -> None:
        self._jvm_options = jvm_options
        self._home = home
        self._port = port
        self._reserved: Port | None = None
        self._heap = heap
        #: Used by each start of the server.
        self.system_properties = {**SYSTEM_PROPERTIES, **(system_properties or {})}
        self._config = {**CONFIG, "tickTime": str(tick_time), **(config or {})}
        self._directory: Path | None = None
        self._process: GuardedProcess | None = None

    def __enter__(self) -> ZooKeeperServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The client port, the same after every restart. Raises RuntimeError before the first start."""
        if self._port is None:
            raise RuntimeError("the server was never started")
        return self._port

    @property
    def hosts(self) -> str:
        """The connection string: `127.0.0.1:PORT`."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of java. Raises RuntimeError while the server is not running."""
        return self._running.pid

    @property
    def directory(self) -> Path:
        """The temporary directory: data, zoo.cfg, java's log. Raises RuntimeError while there is none."""
        if self._directory is None:
            raise RuntimeError("the server is stopped")
        return self._directory

    def start(self) -> None:
        """Starts the server, on the data that `kill` left if there is any, and waits until it serves.

        Raises LaunchError if java or the jars are missing, the port is taken, or the server does not start.
        """
        if self._process is not None:
            raise RuntimeError("the server is already running")
        java, jars = find_java(), find_jars(self._home)
        try:
            if self._directory is None:
                self._directory = Path(tempfile.mkdtemp(prefix="treecache-zookeeper-"))
            if self._port is not None:
                self._launch(java, jars, self._port)
            else:
                self._launch_on_free_port(java, jars)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops the server and removes its directory. Does nothing if it is already stopped."""
        self.kill()
        if self._reserved is not None:
            self._reserved.release()
            self._reserved = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def kill(self) -> None:
        """Kills the server (kill -9), like a crash; keeps data and port for the next `start`."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def restart(self) -> None:
        """Kills the server and starts it again with the same port and data. Use `NETTY` if clients reconnect."""
        self.kill()
        self.start()

    def suspend(self) -> None:
        """Suspends java (SIGSTOP): connections stay open, but get no answers."""
        self._running.suspend()

    def resume(self) -> None:
        """Resumes java after `suspend`."""
        self._running.send_signal(signal.SIGCONT)

    def four_letter_word(self, word: bytes, timeout: float = 5.0) -> str:
        """The answer to a four-letter word. Raises OSError if it does not arrive within `timeout` seconds."""
        return four_letter_word(self.port, word, timeout)

    def mntr(self) -> dict[str, str]:
        """The server's metrics, for example `zk_watch_count`. Raises OSError if it does not answer."""
        return mntr(self.port)

    @property
    def _running(self) -> GuardedProcess:
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process

    def _launch_on_free_port(self, java: Path, jars: list[Path]) -> None:
        for tries_left in (4, 3, 2, 1, 0):
            port = Port.reserve()
            try:
                self._launch(java, jars, port.number)
            except _PortTakenError:
                port.release()
                if not tries_left:
                    raise
            else:
                self._port, self._reserved = port.number, port
                return

    def _launch(self, java: Path, jars: list[Path], port: int) -> None:
        log = self.directory / "java.log"
        log.unlink(missing_ok=True)
        options = java_options(jars, self.directory, self._heap, self.system_properties)
        command = [str(java), *self._jvm_options, *options, MAIN_CLASS, self._write_config(port)]
        self._process = GuardedProcess(command, folder=self.directory, log=log)
        if not self._wait_until_serving(port):
            self.kill()
            output = log.read_text(errors="replace")
            problem = f"ZooKeeper did not start on port {port}; end of java's output:\n{_tail(output)}"
            raise _PortTakenError(problem) if "BindException" in output else LaunchError(problem)

    def _write_config(self, port: int) -> str:
        config = {**self._config, "clientPort": str(port), "dataDir": str(self.directory / "data")}
        return str(write_config(self.directory, config))

    def _wait_until_serving(self, port: int) -> bool:
        deadline = time.monotonic() + START_TIMEOUT
        while self._running.running and time.monotonic() < deadline:
            try:
                if "Mode:" in four_letter_word(port, b"srvr", timeout=PROBE_TIMEOUT) and self._is_ours(port):
                    return True
            except OSError:
                pass
            time.sleep(0.02)
        return False

    def _is_ours(self, port: int) -> bool:
        """Whether our server answers on the port, and not another ZooKeeper that already listened there."""
        return f"dataDir={self.directory}/" in four_letter_word(port, b"conf", timeout=PROBE_TIMEOUT)


def java_options(jars: list[Path], directory: Path, heap: str, system_properties: Mapping[str, str]) -> list[str]:
    """Java's options for a server whose files are in `directory`, up to the main class."""
    properties = {
        **system_properties,
        "java.io.tmpdir": str(directory),
        "logback.configurationFile": str(directory / "logback.xml"),
    }
    return [
        f"-Xmx{heap}",
        "-XX:+UseSerialGC",
        "-XX:-UsePerfData",
        *(f"-D{name}={value}" for name, value in properties.items()),
        "-classpath",
        os.pathsep.join(map(str, jars)),
    ]


def write_config(directory: Path, config: Mapping[str, str]) -> Path:
    """Writes a server's zoo.cfg and the configuration of its logger; returns the path of zoo.cfg."""
    (directory / "logback.xml").write_text(LOGBACK)
    path = directory / "zoo.cfg"
    path.write_text("".join(f"{name}={value}\n" for name, value in config.items()))
    return path


class _PortTakenError(LaunchError):
    """Another program listens on the port that was chosen for the server."""


def _tail(output: str, lines: int = 20) -> str:
    return "\n".join(output.splitlines()[-lines:])
