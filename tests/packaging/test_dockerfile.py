"""The Dockerfile, as far as it can be checked without building it; `make image-test` builds it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.config.settings import DEFAULT_LISTEN_ADDRESS

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
TEXT = DOCKERFILE.read_text()


def test_hadolint_has_no_complaint() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    linted = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, timeout=60)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_the_base_is_pinned_by_digest_and_can_be_replaced() -> None:
    assert re.search(r"^ARG BASE=\S+:[0-9.]+-slim-\w+@sha256:[0-9a-f]{64}$", TEXT, re.MULTILINE)
    bases = re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE)
    assert set(bases) == {"${BASE}", "wheels"}


def test_the_port_is_where_the_exporter_listens_by_default() -> None:
    assert f"\nEXPOSE {DEFAULT_LISTEN_ADDRESS.port}\n" in TEXT


def test_the_context_is_what_is_copied_and_nothing_else() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", TEXT, re.MULTILINE)
    assert {name for line in copies for name in line.split()} == allowed
    assert all((ROOT / name).exists() for name in allowed)


@pytest.mark.parametrize("lock", ["build", "runtime"])
def test_what_is_installed_is_pinned_by_hash(lock: str) -> None:
    lines = (ROOT / "requirements" / f"{lock}.txt").read_text().splitlines()
    pinned = [line for line in lines if line and not line.startswith((" ", "#"))]
    assert pinned
    assert all(re.match(r"\S+==\S+ ", line) for line in pinned)
    assert len([line for line in lines if line.startswith("    --hash=sha256:")]) >= len(pinned)
    assert (
        TEXT.count(f"--require-hashes --requirement requirements/{lock}.txt")
        + TEXT.count(f"--require-hashes --wheel-dir /wheels --requirement requirements/{lock}.txt")
        == 1
    )
