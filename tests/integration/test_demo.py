"""`treecache-exporter demo` as a user runs it: as a process, with a real ZooKeeper."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from exporter.demo.server import four_letter_word
from exporter.demo.world import ROOTS
from tests import plainhttp
from tests.support import alive, eventually

DEMO = [sys.executable, "-m", "exporter", "demo", "--web.listen-address=127.0.0.1:0"]


@dataclass(frozen=True)
class Demo:
    """A running demo and its output."""

    process: subprocess.Popen[str]
    page: str
    metrics: str
    zookeeper_port: int

    @property
    def java(self) -> int:
        """Process id of the demo's ZooKeeper."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        (java,) = [int(child) for child in children]
        return java

    @property
    def directory(self) -> Path:
        """Temporary directory of the demo's ZooKeeper."""
        line = re.search("^dataDir=(.*)/data/version-2$", four_letter_word(self.zookeeper_port, b"conf"), re.M)
        assert line
        return Path(line[1])

    def nodes(self) -> float:
        """Nodes in all trees, as scraped."""
        samples = re.findall(r"^zookeeper_cache_nodes\{.*\} (\S+)$", plainhttp.get(self.metrics).text, re.M)
        return sum(map(float, samples))


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    log = (tmp_path / "demo.log").open("w")
    with log, subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=log, text=True) as process:
        try:
            assert process.stdout is not None
            printed = "".join(itertools.islice(process.stdout, 4))
            words = re.search(r"page +(\S+)\nmetrics +(\S+)\nZooKeeper +127\.0\.0\.1:(\d+)\n", printed)
            assert words, printed + Path(log.name).read_text()
            yield Demo(process, words[1], words[2], int(words[3]))
        finally:
            process.kill()


def test_its_urls_answer_with_the_whole_tree(demo: Demo) -> None:
    eventually(lambda: demo.nodes() > 3000)
    page = plainhttp.get(demo.page)
    assert page.status_code == 200
    assert all(root in page.text for root in ROOTS)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_and_removes_everything(demo: Demo, number: signal.Signals) -> None:
    java, directory = demo.java, demo.directory
    assert directory.is_dir()
    demo.process.send_signal(number)
    assert demo.process.wait(timeout=10) == 0
    assert not alive(java)
    assert not directory.exists()


def test_ctrl_c_reaches_the_demo_alone(demo: Demo) -> None:
    """A terminal sends SIGINT to its foreground process group, which java must not be in."""
    assert os.getpgid(demo.java) != os.getpgid(demo.process.pid)
    assert os.getsid(demo.java) != os.getsid(demo.process.pid)


def test_a_crash_leaves_no_java_behind(demo: Demo) -> None:
    java, directory = demo.java, demo.directory
    demo.process.kill()
    eventually(lambda: not alive(java))
    eventually(lambda: not directory.exists())


def test_a_signal_while_it_starts_stops_it_cleanly() -> None:
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        java = int(eventually(lambda: children.read_text().split())[0])
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=10)
        assert (process.returncode, output, errors) == (0, "", "")
    eventually(lambda: not alive(java))


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"PATH": "/nowhere"}, "no java found in PATH"),
        ({"ZOOKEEPER_HOME": "/nowhere"}, "no ZooKeeper found in /nowhere"),
    ],
)
def test_what_is_missing_is_told_in_one_line(environment: dict[str, str], message: str) -> None:
    inherited = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    demo = subprocess.run(DEMO, env=inherited | environment, capture_output=True, text=True, check=False)
    assert demo.returncode == 1
    assert demo.stdout == ""
    (line,) = demo.stderr.splitlines()
    assert message in line
    assert "apt-get install default-jre-headless libzookeeper-java" in line
