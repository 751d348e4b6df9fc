"""The dashboards' JSON follows the parameters of the rules."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dashboards.grafana.generate import documents
from dashboards.prometheus.parameters import Parameters
from tests.dashboards.grafana import FOLDER


def test_limits_are_those_of_the_alerts() -> None:
    changed = documents(Parameters(lag_warning_ratio=123, lag_critical_ratio=456))
    for text in changed.values():
        assert "123" in text
        assert "456" in text


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dashboards.grafana", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=FOLDER.parents[1])


def test_parameters_can_be_changed(tmp_path: Path) -> None:
    assert run("lag_warning_ratio=123", f"--folder={tmp_path}").returncode == 0
    assert "123" in (tmp_path / "tree.json").read_text("utf-8")


@pytest.mark.parametrize("arguments", [("lag=3",), ("lag_warning_ratio=soon",), ("--folder=/nowhere/at/all",)])
def test_an_invalid_argument_leads_to_a_one_line_error(arguments: tuple[str, ...]) -> None:
    ended = run(*arguments)
    assert ended.returncode == 2
    assert "accepted:" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
