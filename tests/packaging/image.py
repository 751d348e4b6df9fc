"""`python -m tests.packaging.image ROOT IMAGE.json VERSION`: tests an image that is unpacked at ROOT; needs root.

Runs the image as an engine would: the entry point with its environment as its user, in a separate mount namespace
where every file system is read-only, and in the machine's network namespace. It watches a real ZooKeeper. `make
image-test` passes the arguments; IMAGE.json is the output of `buildah inspect --type image`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

from exporter.demo.server import ZooKeeperServer
from tests import plainhttp
from tests.support import eventually

#: Makes the root ($0) read-only, and becomes the command ($@) in it.
_ENTER = """
mount --bind "$0" "$0" && mount --types proc proc "$0/proc" && mount --options remount,bind,ro "$0" &&
exec chroot --userspec={user} --groups= "$0" "$@"
"""


#: Compilers.
_COMPILERS = re.compile(r"(.+-)?(cc|c\+\+|gcc|g\+\+|clang)(-[0-9]+)?")
#: Installers of Python packages, and what they leave behind.
_INSTALLERS = re.compile(r"pip[0-9.]*|pip-.*|ensurepip|\.cache")
#: The files in every home of Debian.
_HOME = {".bashrc", ".profile"}


class Image:
    """An unpacked image and its configuration."""

    def __init__(self, root: Path, description: dict[str, Any]) -> None:
        self._root = root
        self.config: dict[str, Any] = description["Docker"]["config"]

    def command(self, *arguments: str, user: str | None = None) -> Sequence[str]:
        """The command that runs these words in the read-only image, as its user or another."""
        inside = ["env", "--ignore-environment", *self.config["Env"], *arguments]
        enter = _ENTER.format(user=user or self.config["User"])
        return ["unshare", "--mount", "--propagation=private", "sh", "-c", enter, str(self._root), *inside]

    def files(self) -> Iterator[PurePath]:
        """Every file of the image, by its path in it, including those that only root may see."""
        for folder, folders, files in os.walk(self._root):
            inside = PurePath("/") / PurePath(folder).relative_to(self._root)
            yield from (inside / name for name in (*folders, *files))

    def run(self, *arguments: str, user: str | None = None) -> subprocess.CompletedProcess[str]:
        """Runs words in the image and waits for the end."""
        return subprocess.run(self.command(*arguments, user=user), capture_output=True, text=True, timeout=60)

    @contextlib.contextmanager
    def running(self, *flags: str) -> Iterator[subprocess.Popen[str]]:
        """Runs the entry point with these flags within the block."""
        words = self.command(*self.config["Entrypoint"], *flags)
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def check_description(image: Image, version: str) -> None:
    """The image's metadata."""
    config = image.config
    assert re.fullmatch("[1-9][0-9]*:[1-9][0-9]*", config["User"]), config["User"]
    assert config["Entrypoint"] == ["env", "--block-signal=TERM,INT,HUP", "treecache-exporter"]
    assert not config.get("Cmd"), config
    assert config["ExposedPorts"] == {"19141/tcp": {}}
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"] == ["CMD", "treecache-exporter", "healthcheck"]
    labels = {name: value for name, value in config["Labels"].items() if name.startswith("org.opencontainers.image.")}
    assert labels["org.opencontainers.image.version"] == version
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    baked_in = [line for line in config["Env"] if re.match("(PIP|HTTPS?_PROXY|NO_PROXY)", line, re.IGNORECASE)]
    assert not baked_in, baked_in


def check_content(image: Image, version: str) -> None:
    """The image has the right files, and no others."""
    assert version in image.run("treecache-exporter", "--version").stdout
    # OpenShift gives each project user ids that the image does not know.
    assert version in image.run("treecache-exporter", "--version", user="1000680000:0").stdout
    assert image.run("id", "-u").stdout.strip() == image.config["User"].partition(":")[0]
    written = image.run("sh", "-c", "touch /tmp/file || touch /opt/treecache-exporter/file")
    assert written.stderr.count("Read-only file system") == 2, written
    left = sorted(str(path) for path in image.files() if _is_left_over(path))
    assert not left, left


def _is_left_over(path: PurePath) -> bool:
    if path.parts[1] in ("tmp", "wheels", "source", "build"):
        return path != PurePath("/tmp")
    if path.parts[1] == "root" and len(path.parts) > 2:
        return path.name not in _HOME
    is_compiler = path.parent.name == "bin" and _COMPILERS.fullmatch(path.name)
    return bool(is_compiler or _INSTALLERS.fullmatch(path.name))


def check_service(image: Image, hosts: str) -> None:
    """It watches and serves, and its health check reports that."""
    probe = image.config["Healthcheck"]["Test"][1:]
    with image.running(f"--zookeeper.hosts={hosts}", "--treecache.path=/", "--log.format=json") as process:
        eventually(lambda: "200 Healthy." in image.run(*probe).stdout, 30)
        eventually(lambda: plainhttp.get("http://127.0.0.1:19141/-/ready").status_code == 200, 30)
        metrics = plainhttp.get("http://127.0.0.1:19141/metrics").text
        assert plainhttp.get("http://127.0.0.1:19141/docs/runbooks").status_code == 200
        assert 'zookeeper_client_up{ensemble="default"} 1.0' in metrics
        process.send_signal(signal.Signals[image.config["StopSignal"]])
        assert process.wait(timeout=10) == 0, process.stderr and process.stderr.read()
    assert image.run(*probe).returncode == 1


def main() -> None:
    """Runs all checks; the first failure ends the program."""
    root, description, version = sys.argv[1:]
    image = Image(Path(root), json.loads(Path(description).read_text()))
    check_description(image, version)
    check_content(image, version)
    with ZooKeeperServer() as server:
        check_service(image, server.hosts)


if __name__ == "__main__":
    main()
