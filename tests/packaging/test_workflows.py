"""The workflows: valid, with only the rights that they need, everything pinned, and for all supported versions."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
TOOLS = Path(sys.executable).parent


def read(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text())


def run(tool: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    # So that actionlint finds shellcheck.
    path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
    command = [TOOLS / tool, *arguments]
    return subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=120)


def test_actionlint_has_no_complaint() -> None:
    linted = run("actionlint", *WORKFLOWS)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_zizmor_has_no_finding() -> None:
    audited = run("zizmor", "--offline", "--no-progress", "--quiet", GITHUB)
    assert audited.returncode == 0, audited.stdout


def test_shellcheck_has_no_complaint() -> None:
    checked = run("shellcheck", ROOT / ".ci" / "run", *sorted((ROOT / "scripts").glob("*.sh")))
    assert (checked.returncode, checked.stdout) == (0, "")


def test_mistakes_are_noticed(tmp_path: Path) -> None:
    file = tmp_path / ".github" / "workflows" / "test.yml"
    file.parent.mkdir(parents=True)
    text = (GITHUB / "workflows" / "test.yml").read_text()
    file.write_text(text.replace("matrix.python", "matrix.pythons").replace("run: make unit", "run: echo $HOME*"))
    linted = run("actionlint", file)
    assert 'property "pythons" is not defined' in linted.stdout
    assert "shellcheck reported issue" in linted.stdout
    file.write_text(re.sub(r"@[0-9a-f]{40} # (v\S+)", r"@\1", text))
    assert "unpinned-uses" in run("zizmor", "--offline", "--no-progress", "--quiet", file).stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_to_a_commit_and_says_its_version(path: Path) -> None:
    uses = re.findall(r"uses: (.*)", path.read_text())
    assert uses
    assert [use for use in uses if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", use)] == []


def test_an_action_is_of_one_version_everywhere() -> None:
    uses = {use for path in WORKFLOWS for use in re.findall(r"uses: (.*)", path.read_text())}
    assert len({use.partition("@")[0] for use in uses}) == len(uses)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_rights_are_given_to_each_job_and_none_to_all(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {}
    assert all(job["permissions"] and job["timeout-minutes"] for job in workflow["jobs"].values())
    # Jobs for pull requests have no write access.
    on_request = [job for job in workflow["jobs"].values() if job.get("if") != "github.event_name == 'push'"]
    if "pull_request" in workflow["on"]:
        assert all(job["permissions"] == {"contents": "read"} for job in on_request)


def test_every_supported_python_is_tested() -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    supported = [line.rpartition(" ")[2] for line in classifiers if re.search(r":: 3\.\d+$", line)]
    assert read(GITHUB / "workflows" / "test.yml")["jobs"]["unit"]["strategy"]["matrix"]["python"] == supported


def test_the_containers_are_the_images_base() -> None:
    base = re.search(r"^ARG BASE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert base is not None
    containers = {job.get("container", base[1]) for path in WORKFLOWS for job in read(path)["jobs"].values()}
    assert containers == {base[1]}


@pytest.mark.parametrize("path", sorted((GITHUB / "ISSUE_TEMPLATE").glob("[!c]*.yml")), ids=lambda path: path.name)
def test_the_forms_for_issues_ask_questions_with_ids_of_their_own(path: Path) -> None:
    form = read(path)
    assert {"name", "description", "body"} <= form.keys()
    asked = [part for part in form["body"] if part["type"] != "markdown"]
    assert all(part["attributes"]["label"] for part in asked)
    assert len({part["id"] for part in asked}) == len(asked)
    assert any(part.get("validations", {}).get("required") for part in asked)
