"""Every generated file is up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import generate
from scripts.generate import GENERATED, REMEDY, ROOT, Generated


@pytest.mark.starts
@pytest.mark.parametrize("generated", GENERATED, ids=lambda generated: generated.name)
def test_generated_files_are_current(generated: Generated) -> None:
    for path, text in generated.stale():
        current = path.read_text("utf-8") if path.exists() else None
        assert current == text, f"{path.relative_to(ROOT)}: {REMEDY}"


@pytest.mark.starts
def test_what_is_stale_or_missing_is_written_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stale").write_text("old")
    (tmp_path / "current").write_text("new")
    files = [tmp_path / name for name in ("stale", "current", "missing")]
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "GENERATED", [Generated("some", lambda: dict.fromkeys(files, "new"))])
    assert generate.main(["some"]) == 0
    assert capsys.readouterr().out == "generate: wrote stale\ngenerate: wrote missing\n"
    assert [file.read_text() for file in files] == ["new"] * 3
    assert generate.main([]) == 0
    assert capsys.readouterr().out == "generate: everything is up to date\n"


@pytest.mark.starts
def test_a_name_that_there_is_not_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(["metric"]) == 2
    assert capsys.readouterr().err.startswith("generate: metric: accepted: metrics, ")
