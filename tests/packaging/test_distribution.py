"""The parts of a release: wheel, sdist and metadata. `make release-check` builds and installs all of them."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

import exporter
from exporter.pages.documents import packaged
from scripts import image_requirements
from tests.packaging.chart import helm

ROOT = Path(__file__).parents[2]


#: What the sdist needs, so that it can be built, tested and packaged without the repository.
FOLDERS = (
    ".github",
    "bench",
    "compose",
    "dashboards",
    "docs",
    "examples",
    "exporter",
    "helm",
    "requirements",
    "scripts",
    "tests",
)
FILES = (
    ".dockerignore",
    ".pre-commit-config.yaml",
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "LICENSE",
    "Makefile",
    "README.md",
)
MORE_FILES = ("SECURITY.md", "compose.yaml", "mkdocs.yml", "pyproject.toml")


def built(target: str, folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    (file,) = folder.iterdir()
    return file


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return zipfile.ZipFile(built("wheel", tmp_path_factory.mktemp("wheel")))


def dist_info(wheel: zipfile.ZipFile, name: str) -> str:
    return wheel.read(f"treecache_exporter-{exporter.__version__}.dist-info/{name}").decode()


def metadata(wheel: zipfile.ZipFile) -> Message:
    return Parser().parsestr(dist_info(wheel, "METADATA"))


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    tracked = [path for path in (ROOT / "exporter").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    documents = {f"exporter/docs/{document.name}.md" for document in packaged()}
    expected = {str(path.relative_to(ROOT)) for path in tracked} | documents
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == expected
    assert "exporter/py.typed" in expected


def test_the_wheel_serves_its_documents(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    script = "from exporter.pages.documents import packaged; print(*[one.name for one in packaged()])"
    command = [sys.executable, "-c", script]
    # In its own folder, without the repository.
    served = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True, timeout=60)
    assert served.stdout.split() == [document.name for document in packaged()]


def test_the_wheel_has_the_licence_and_the_command(wheel: zipfile.ZipFile) -> None:
    assert dist_info(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text()
    assert "treecache-exporter = exporter.__main__:main" in dist_info(wheel, "entry_points.txt")
    assert "kazoo = exporter.telemetry.tracing:KazooInstrumentor" in dist_info(wheel, "entry_points.txt")


def test_the_metadata_says_what_a_package_index_shows(wheel: zipfile.ZipFile) -> None:
    fields = metadata(wheel)
    assert (fields["Version"], fields["License-Expression"]) == (exporter.__version__, "Apache-2.0")
    assert fields["Description-Content-Type"] == "text/markdown"
    assert fields["Requires-Python"] == ">=3.11"
    classified = {line.rpartition(" ")[2] for line in fields.get_all("Classifier", []) if "Python :: 3." in line}
    assert classified == {"3.11", "3.12", "3.13", "3.14"}


def test_the_sdist_holds_the_repository_and_the_chart_can_be_packed_from_it(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    archive = built("sdist", tmp_path / "dist")
    subprocess.run(["tar", "--extract", "--file", archive, "--directory", tmp_path], check=True, timeout=60)
    unpacked = tmp_path / f"treecache_exporter-{exporter.__version__}"
    missing = [name for name in (*FILES, *MORE_FILES) if not (unpacked / name).is_file()]
    missing += [str(path) for folder in FOLDERS for path in kept(ROOT / folder) if not (unpacked / path).is_file()]
    assert missing == []
    packed = helm("package", unpacked / "helm" / "treecache-exporter", "--destination", tmp_path)
    assert packed.returncode == 0, packed.stderr


def kept(folder: Path) -> Iterator[Path]:
    """The files of a folder as paths in the repository, without Python's caches."""
    for path in folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(ROOT)


def test_the_changelog_tells_of_this_version_and_holds_what_comes_apart() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(exporter.__version__)}\] - 20[0-9]{{2}}-[01][0-9]-[0-3][0-9]", headings[1])


def test_the_images_dependencies_are_listed_for_its_python_whatever_python_lists_them() -> None:
    python = image_requirements.python_of_image((ROOT / "Dockerfile").read_text())
    lock = (ROOT / "requirements" / "runtime.txt").read_text()
    entries = list(image_requirements.needed(lock, python))
    names = [entry.partition("==")[0] for entry in entries]
    assert len(set(names)) == len(names)
    assert all("--hash=sha256:" in entry and ";" not in entry for entry in entries)
    unconditional = re.findall(r"^([a-z0-9-]+)==\S+ \\$", lock, re.MULTILINE)
    assert set(unconditional) <= set(names)


@pytest.mark.parametrize(("python", "names"), [("3.11.9", ["always", "backport"]), ("3.13.7", ["always"])])
def test_a_dependency_of_other_pythons_is_not_listed(python: str, names: list[str]) -> None:
    markers = {"always": "", "backport": " ; python_full_version < '3.12'", "elsewhere": " ; os_name == 'nt'"}
    lock = "".join(f"{name}==1{marker} \\\n    --hash=sha256:00\n    # via other\n" for name, marker in markers.items())
    assert [entry.partition("==")[0] for entry in image_requirements.needed(lock, python)] == names
