"""All YAML files are read in the same way."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config.document import read as read_document
from exporter.config.sections import read as read_sections
from exporter.config.yamlfile import SIZE_LIMIT, UnreadableFileError, content_of


@pytest.mark.filterwarnings("error")
def test_an_anchor_given_again_is_passed_over_in_silence(tmp_path: Path) -> None:
    file = tmp_path / "anchors.yml"
    file.write_text("first: &it a\nsecond: &it b\n")
    document = read_document(file)
    assert (document.content, document.problems) == ({"first": "a", "second": "b"}, [])
    assert read_sections(file).text("second") == "b"


def test_no_more_is_read_than_tells_that_a_file_is_too_large(tmp_path: Path) -> None:
    file = tmp_path / "huge.yml"
    file.write_bytes(b"#" * (2 * SIZE_LIMIT))
    assert len(content_of(file)) == SIZE_LIMIT + 1


def test_the_reason_that_a_file_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="No such file or directory"):
        content_of(tmp_path / "missing.yml")
