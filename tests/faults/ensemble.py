"""Ensemble: three real ZooKeeper servers on loopback ports that elect a leader, and optionally an observer.

With AdminServer, which has the same port at all of them, each has a loopback address of its own.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from exporter.demo.java import GuardedProcess, find_jars, find_java
from exporter.demo.ports import free_port
from exporter.demo.server import (
    CONFIG,
    NETTY,
    PROBE_TIMEOUT,
    QUICK_START,
    START_TIMEOUT,
    SYSTEM_PROPERTIES,
    four_letter_word,
    java_options,
    write_config,
)
from tests.support import LONG_SESSIONS, eventually

MAIN_CLASS = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
TICK_TIME = 200
#: How patient the servers are with each other, and those of the sample that ZooKeeper comes with.
LIMITS = {"tickTime": str(TICK_TIME), "initLimit": "25", "syncLimit": "10", **LONG_SESSIONS}
SAMPLE_LIMITS = {"tickTime": "2000", "initLimit": "10", "syncLimit": "5"}


class Member:
    """One server of an ensemble; it keeps its ports and data when it is killed."""

    def __init__(
        self,
        number: int,
        ports: tuple[int, int, int],
        *,
        votes: bool = True,
        home: str | None = None,
        limits: Mapping[str, str] = LIMITS,
        heap: str = "256m",
        admin_port: int | None = None,
    ) -> None:
        self.number = number
        self.host = "127.0.0.1" if admin_port is None else f"127.0.0.{number}"
        self._admin_port = admin_port
        self._heap = heap
        self._limits = limits
        #: The folder of the release to run from the next launch on; None for the installed one.
        self.home = home
        self._votes = votes
        self.port, self._peer_port, self._election_port = ports
        self._directory = Path(tempfile.mkdtemp(prefix="treecache-ensemble-"))
        self._process: GuardedProcess | None = None

    @property
    def address(self) -> str:
        """Its line in every member's zoo.cfg, without the name."""
        return f"127.0.0.1:{self._peer_port}:{self._election_port}" + ("" if self._votes else ":observer")

    @property
    def client_address(self) -> str:
        """Where clients connect."""
        return f"{self.host}:{self.port}"

    def launch(self, members: Iterable[Member]) -> None:
        """Starts the server with a new zoo.cfg (ZooKeeper rewrites the file); does not wait until it serves."""
        if self._process is not None:
            return
        self._directory.mkdir(exist_ok=True)
        data = self._directory / "data"
        data.mkdir(exist_ok=True)
        (data / "myid").write_text(f"{self.number}\n")
        servers = {f"server.{member.number}": member.address for member in members}
        here = {"clientPort": str(self.port), "clientPortAddress": self.host, "dataDir": str(data)}
        if self._admin_port is not None:
            admin = {"enableServer": "true", "serverAddress": self.host, "serverPort": str(self._admin_port)}
            here |= {f"admin.{key}": value for key, value in admin.items()}
        if not self._votes:
            here["peerType"] = "observer"
        jars = find_jars(self.home)
        # Not every package of ZooKeeper 3.4 includes the Netty version that it needs.
        is_old = any(jar.name.startswith("zookeeper-3.4.") for jar in jars)
        properties = SYSTEM_PROPERTIES | ({} if is_old else NETTY)
        if self.home is not None:
            # 3.4 may not have written a snapshot yet; later releases then refuse to start (ZOOKEEPER-3056).
            properties |= {"zookeeper.snapshot.trust.empty": "true"}
        options = java_options(jars, self._directory, self._heap, properties)
        config = write_config(self._directory, {**CONFIG, **self._limits, **here, **servers})
        command = [str(find_java()), *QUICK_START, *options, MAIN_CLASS, str(config)]
        self._process = GuardedProcess(command, folder=self._directory, log=self._directory / "java.log")

    def kill(self) -> None:
        """Kills the server like a crash (kill -9); its data stays."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def wipe(self) -> None:
        """Deletes the data of a killed server."""
        assert self._process is None
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def pid(self) -> int:
        """The process id of a running server."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was launched and not killed since then."""
        return self._process is not None

    def suspend(self) -> None:
        """Suspends the process (SIGSTOP)."""
        assert self._process is not None
        self._process.suspend()

    def resume(self) -> None:
        """Resumes the process after `suspend`; does nothing if it runs or is killed."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    @property
    def mode(self) -> str | None:
        """`leader`, `follower` or `observer`; None while it does not serve."""
        with contextlib.suppress(OSError):
            lines = four_letter_word(self.port, b"srvr", PROBE_TIMEOUT, self.host).splitlines()
            return next((line.removeprefix("Mode: ") for line in lines if line.startswith("Mode: ")), None)
        return None


class Ensemble:
    """Three members, or one, and optionally an observer, which serve while the block runs."""

    def __init__(
        self,
        *,
        voters: int = 3,
        observer: bool = False,
        home: str | None = None,
        limits: Mapping[str, str] = LIMITS,
        heap: str = "256m",
        admin_port: int | None = None,
    ) -> None:
        numbers = range(1, voters + 1 + observer)
        #: A leader that serves no client has no mode.
        self._without_mode = 1 if limits.get("leaderServes") == "no" else 0
        self.members = [
            Member(
                n,
                (free_port(), free_port(), free_port()),
                votes=n <= voters,
                home=home,
                limits=limits,
                heap=heap,
                admin_port=admin_port,
            )
            for n in numbers
        ]

    def __enter__(self) -> Ensemble:
        try:
            self.heal()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def hosts(self) -> str:
        """The connection string with all members."""
        return ",".join(member.client_address for member in self.members)

    @property
    def leader(self) -> Member:
        """The member that leads; waits until there is one."""
        return eventually(lambda: self._with_mode("leader"), timeout=START_TIMEOUT)[0]

    @property
    def followers(self) -> list[Member]:
        """The members that follow a leader."""
        return self._with_mode("follower")

    @property
    def observer(self) -> Member:
        """The member that does not vote; waits until it serves."""
        return eventually(lambda: self._with_mode("observer"), timeout=START_TIMEOUT)[0]

    def serving(self, address: str | None) -> Member:
        """The member at an address, as `host:port`."""
        return next(member for member in self.members if address == member.client_address)

    def heal(self) -> None:
        """Resumes and starts all members, and waits until they serve."""
        for member in self.members:
            member.resume()
            member.launch(self.members)
        eventually(self._serves, timeout=START_TIMEOUT)

    def _serves(self) -> bool:
        return sum(member.mode is None for member in self.members) <= self._without_mode

    def lose_quorum(self) -> None:
        """Kills two of the three voting members."""
        for member in self.members[:2]:
            member.kill()

    def stop(self) -> None:
        """Kills all members and removes their data."""
        for member in self.members:
            member.kill()
            member.wipe()

    def _with_mode(self, mode: str) -> list[Member]:
        return [member for member in self.members if member.mode == mode]
