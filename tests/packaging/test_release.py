"""One command cuts a release: it writes the version everywhere and the changes under it, or nothing if it cannot."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import exporter
from scripts import release

ROOT = Path(__file__).parents[2]
NEXT = "1.2.3"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the files that a release writes, with an unreleased change."""
    for name in (release.CHANGELOG, *release.PLACES):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    changelog = tmp_path / release.CHANGELOG
    released = changelog.read_text().partition(f"\n## [{exporter.__version__}]")
    introduction = released[0].partition("\n## [Unreleased]")[0]
    unreleased = f"\n## [Unreleased]\n\nThis becomes {NEXT}.\n\n### Added\n\n- A key.\n"
    changelog.write_text(introduction + unreleased + released[1] + released[2])
    return tmp_path


def texts(folder: Path) -> dict[str, str]:
    return {name: (folder / name).read_text() for name in (release.CHANGELOG, *release.PLACES)}


def test_the_version_is_written_wherever_it_stands(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = texts(copy)
    assert release.main([NEXT], copy) == 0
    after = texts(copy)
    for name in release.PLACES:
        assert after[name] == before[name].replace(exporter.__version__, NEXT) != before[name]
    said = capsys.readouterr().out
    assert f"git tag --sign v{NEXT}" in said
    assert all(name in said for name in after)


def test_the_changes_go_under_the_version_with_its_date(copy: Path) -> None:
    before = (copy / release.CHANGELOG).read_text()
    release.cut(copy, NEXT, "2027-01-02")
    after = (copy / release.CHANGELOG).read_text()
    assert (
        f"\n## [Unreleased]\n\n## [{NEXT}] - 2027-01-02\n\n### Added\n\n- A key.\n\n## [{exporter.__version__}]"
        in after
    )
    assert "This becomes" not in after
    # Earlier releases stay.
    old = f"## [{exporter.__version__}]"
    assert after.partition(old)[2] == before.partition(old)[2]


def test_the_notes_are_those_of_the_version(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    release.cut(copy, NEXT, "2027-01-02")
    assert release.main(["--notes", NEXT], copy) == 0
    assert capsys.readouterr().out == "### Added\n\n- A key.\n"
    assert release.main(["--notes", exporter.__version__], copy) == 2
    assert capsys.readouterr().err == f"release: {exporter.__version__}: the checked-out version is {NEXT}\n"


def test_the_version_that_is_out_has_notes(capsys: pytest.CaptureFixture[str]) -> None:
    assert release.main(["--notes", exporter.__version__]) == 0
    assert capsys.readouterr().out.startswith("### ")


@pytest.mark.parametrize(
    ("version", "problem"),
    [
        ("", "accepted: MAJOR.MINOR.PATCH"),
        ("1.2", "accepted: MAJOR.MINOR.PATCH"),
        ("v1.2.3", "accepted: MAJOR.MINOR.PATCH"),
        ("01.2.3", "accepted: MAJOR.MINOR.PATCH"),
        (exporter.__version__, f"accepted: one after {exporter.__version__}"),
        ("0.0.9", f"accepted: one after {exporter.__version__}"),
    ],
)
def test_a_version_that_cannot_be_changes_nothing(
    copy: Path, capsys: pytest.CaptureFixture[str], version: str, problem: str
) -> None:
    before = texts(copy)
    assert release.main([version], copy) == 2
    said = capsys.readouterr().err
    assert said.startswith("release: ")
    assert said.count("\n") == 1
    assert problem in said
    assert texts(copy) == before


def test_a_release_of_nothing_is_refused(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changelog = copy / release.CHANGELOG
    changelog.write_text(changelog.read_text().replace("- A key.\n", ""))
    before = texts(copy)
    assert release.main([NEXT], copy) == 2
    assert capsys.readouterr().err == "release: CHANGELOG.md: there are no unreleased changes\n"
    assert texts(copy) == before


def test_a_place_that_is_no_more_is_named_and_nothing_is_changed(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "docs" / "installation.md").write_text("")
    before = texts(copy)
    assert release.main([NEXT], copy) == 2
    assert capsys.readouterr().err.startswith("release: docs/installation.md: ")
    assert texts(copy) == before
