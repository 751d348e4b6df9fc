"""Java: finds java and the jars of a ZooKeeper installation, and runs programs that never outlive their parent."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

INSTALL_HINT = (
    "Debian and Ubuntu: apt-get install default-jre-headless libzookeeper-java; macOS: brew install zookeeper"
)

DEFAULT_HOMES = (
    Path("/usr/share/java"),
    Path("/opt/homebrew/opt/zookeeper"),
    Path("/usr/local/opt/zookeeper"),
    Path("/home/linuxbrew/.linuxbrew/opt/zookeeper"),
)

# The jars that a server needs from Debian's folder, which holds the jars of all Java packages.
DEBIAN_JARS = (
    *(
        "zookeeper",
        "zookeeper-jute",
        "commons-cli",
        "metrics-core",
        "slf4j-api",
        "slf4j-simple",
        "snappy-java",
    ),
    *(
        "netty-all",
        "netty-buffer",
        "netty-codec",
        "netty-common",
        "netty-handler",
        "netty-resolver",
        "netty-transport",
    ),
    # Of its AdminServer.
    *(
        "jackson-annotations",
        "jackson-core",
        "jackson-databind",
        "jetty9-http",
        "jetty9-io",
        "jetty9-security",
        "jetty9-server",
        "jetty9-servlet",
        "jetty9-util",
        "jetty9-util-ajax",
        "servlet-api",
    ),
)

# Standard input is a pipe that only the parent writes to, so its end means that the parent is gone. The shell becomes
# the program and keeps its process id. A background process waits for the end, kills that id and removes the folder.
GUARD = """
folder=$1; shift
exec 3<&0
(cat <&3 >/dev/null; kill -9 $$; rm -rf "$folder") &
exec "$@" 3<&- </dev/null
"""


class LaunchError(Exception):
    """ZooKeeper cannot be started; the message says why, and what to install if something is missing."""


def find_java() -> Path:
    """The `java` program in `JAVA_HOME`, else in `PATH`. Raises LaunchError if there is none."""
    java_home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{java_home}/bin" if java_home else None)
    if java is None:
        raise LaunchError(f"no java found in {'JAVA_HOME' if java_home else 'PATH'} ({INSTALL_HINT})")
    return Path(java)


def find_jars(home: str | os.PathLike[str] | None = None) -> list[Path]:
    """The jars of the ZooKeeper in `home`, else in `ZOOKEEPER_HOME`, else in the folders of Debian and Homebrew.

    Raises LaunchError if there are none.
    """
    chosen = home or os.environ.get("ZOOKEEPER_HOME")
    # A program may start in another folder.
    for folder in _jar_folders([Path(chosen).absolute()] if chosen else DEFAULT_HOMES):
        if jars := _jars_in(folder):
            return jars
    raise LaunchError(f"no ZooKeeper found in {chosen or ', '.join(map(str, DEFAULT_HOMES))} ({INSTALL_HINT})")


def _jar_folders(homes: Iterable[Path]) -> Iterable[Path]:
    return (home / folder for home in homes for folder in (".", "lib", "libexec/lib"))


def _jars_in(folder: Path) -> list[Path]:
    if (folder / "zookeeper.jar").exists():
        return [jar for name in DEBIAN_JARS if (jar := folder / f"{name}.jar").exists()]
    if any(folder.glob("zookeeper-[0-9]*.jar")):
        return sorted(folder.glob("*.jar"))
    return []


class GuardedProcess:
    """A program in its own process session, which Ctrl-C does not reach.

    However this process ends, even by kill -9, the program is killed and `folder` is removed.
    """

    def __init__(self, command: Sequence[str], *, folder: Path, log: Path) -> None:
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                ["sh", "-c", GUARD, "sh", str(folder), *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the program is still running."""
        return self._process.poll() is None

    def send_signal(self, number: signal.Signals) -> None:
        """Sends a signal to the program, not to its guard."""
        self._process.send_signal(number)

    def suspend(self) -> None:
        """Suspends the program (SIGSTOP), and waits until all of its threads have stopped."""
        self.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def kill(self) -> None:
        """Kills the program and its guard, and waits until the program is gone. Keeps the folder."""
        # Kills the whole group: the guard is of no use without the program.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
