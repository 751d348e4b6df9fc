"""Runbook: the queries and commands that docs/runbooks.md gives for an alert, filled in and run while it fires."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from exporter.demo.java import find_jars, find_java
from tests import plainhttp
from tests.oncall.stage import Place

PATH = Path(__file__).parents[2] / "docs" / "runbooks.md"
#: The parts of a section that contain commands.
PARTS = ("Confirm", "Do")
#: Programs whose commands are run; others (kubectl, systemctl, ...) are not available.
PROGRAMS = ("echo", "curl", "zkCli", "treecache-exporter")
#: Replacements for netcat and ZooKeeper's shell if they are not installed.
PRELUDE = """
set -o pipefail
command -v nc >/dev/null || nc() { exec 9<>"/dev/tcp/$1/$2" && cat >&9 && cat <&9; }
zkCli() { @JAVA@ -cp @JARS@ org.apache.zookeeper.ZooKeeperMain -server @HOST@:@PORT@ "$@"; }
treecache-exporter() { @PYTHON@ -m exporter "$@"; }
"""
#: curl's exit status if nothing listens, which is a valid result.
NOBODY_LISTENS = 7


def section(alert: str) -> str:
    """The parts *Confirm* and *Do* of an alert's runbook."""
    text = PATH.read_text("utf-8")
    [found] = re.findall(rf"^## {alert}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    parts = re.split(r"^\*\*(.+?)\.\*\*", found, flags=re.MULTILINE)
    return "\n".join(body for name, body in zip(parts[1::2], parts[2::2], strict=True) if name in PARTS)


def queries(alert: str) -> list[str]:
    """The PromQL queries."""
    blocks = re.findall(r"```promql\n(.*?)```", section(alert), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


def commands(alert: str) -> list[str]:
    """The shell commands, each once."""
    prose = re.sub(r"```.*?```", "", section(alert), flags=re.DOTALL)
    quoted = (" ".join(text.split()) for text in re.findall(r"`([^`]+)`", prose))
    return list(dict.fromkeys(text for text in quoted if text.split()[0] in PROGRAMS and len(text.split()) > 1))


def complaints(alert: str, labels: Mapping[str, str], place: Place) -> Iterator[str]:
    """Runs all of them while the alert fires; yields errors."""
    answers = []
    for query in queries(alert):
        filled = _with_labels(query, labels)
        response = plainhttp.get(f"{place.stage.prometheus.url}/api/v1/query", params={"query": filled}, timeout=60)
        if response.status_code != 200 or "$" in filled:
            yield f"{alert}: {filled}: {response.text}"
        else:
            answers += response.json()["data"]["result"]
    if queries(alert) and not answers:
        yield f"{alert}: no query finds anything"
    for command in commands(alert):
        filled = _with_labels(command, labels)
        outcomes = [_tried(filled, place, member.port) for member in place.ensemble.members if member.is_running]
        if not any(ended is None for ended in outcomes):
            yield f"{alert}: {filled}: {outcomes}"


def _with_labels(text: str, labels: Mapping[str, str]) -> str:
    for name, value in labels.items():
        text = text.replace(f"${name}", value)
    return text


def _tried(command: str, place: Place, port: int) -> str | None:
    """The errors of a command on a server."""
    replica = place.replicas[0]
    places = {"HOST": "127.0.0.1", "PORT": str(port), "FILE": str(replica.config), "N": "100000"}
    places |= dict.fromkeys(("/path", "/root", "PATH"), place.path("config"))
    for word, meant in places.items():
        command = re.sub(rf"(?<![\w/$]){word}(?!\w)", meant, command)
    found = {"JAVA": str(find_java()), "JARS": os.pathsep.join(map(str, find_jars())), "PYTHON": sys.executable}
    prelude = PRELUDE
    for word, meant in {**found, "HOST": places["HOST"], "PORT": places["PORT"]}.items():
        prelude = prelude.replace(f"@{word}@", shlex.quote(meant))
    try:
        ended = subprocess.run(
            ["bash", "-c", prelude + command], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return "no answer in 120 s"
    works = ended.returncode == 0 and bool(ended.stdout.strip())
    if works or (command.startswith("curl") and ended.returncode == NOBODY_LISTENS):
        return None
    return f"exit status {ended.returncode}: {(ended.stderr or ended.stdout)[-300:]}"
