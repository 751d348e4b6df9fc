"""What a release consists of: the wheel and its metadata. `make release-check` builds and installs everything."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import exporter

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (file,) = folder.glob("*.whl")
    return zipfile.ZipFile(file)


def dist_info(wheel: zipfile.ZipFile, name: str) -> str:
    return wheel.read(f"treecache_exporter-{exporter.__version__}.dist-info/{name}").decode()


def metadata(wheel: zipfile.ZipFile) -> Message:
    return Parser().parsestr(dist_info(wheel, "METADATA"))


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tracked = [path for path in (ROOT / "exporter").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    expected = {str(path.relative_to(ROOT)) for path in tracked}
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == expected
    assert "exporter/py.typed" in expected


def test_the_wheel_has_the_licence_and_the_command(wheel: zipfile.ZipFile) -> None:
    assert dist_info(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text()
    assert "treecache-exporter = exporter.cli:main" in dist_info(wheel, "entry_points.txt")
    assert "kazoo = exporter.telemetry.tracing:KazooInstrumentor" in dist_info(wheel, "entry_points.txt")


def test_the_metadata_says_what_a_package_index_shows(wheel: zipfile.ZipFile) -> None:
    fields = metadata(wheel)
    assert (fields["Version"], fields["License-Expression"]) == (exporter.__version__, "Apache-2.0")
    assert fields["Description-Content-Type"] == "text/markdown"
    assert fields["Requires-Python"] == ">=3.10"
    classified = {line.rpartition(" ")[2] for line in fields.get_all("Classifier", []) if "Python :: 3." in line}
    assert classified == {"3.10", "3.11", "3.12", "3.13"}
