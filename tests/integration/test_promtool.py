"""promtool accepts a scrape and the example web configuration."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from exporter.telemetry.collectors import build_registry
from tests.telemetry.known import busy_ensemble, plain
from tests.web.certificates import Authority

EXAMPLE = Path(__file__).parents[2] / "examples" / "web-config.yml"


def test_promtool_accepts_the_example(tmp_path: Path) -> None:
    # promtool also reads the certificate and its key.
    Authority(tmp_path).issue("exporter", "exporter.example")
    copy = shutil.copy(EXAMPLE, tmp_path)
    verdict = subprocess.run(["promtool", "check", "web-config", copy], capture_output=True, text=True)
    assert (verdict.returncode, verdict.stderr) == (0, f"{copy} SUCCESS\n")


def test_promtool_finds_nothing_to_mend() -> None:
    scrape = plain(build_registry([busy_ensemble()], "1.2.3"))
    verdict = subprocess.run(["promtool", "check", "metrics"], input=scrape, capture_output=True)
    assert (verdict.returncode, verdict.stdout, verdict.stderr) == (0, b"", b"")
