"""The memory limit of the process, from the files of both versions of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.process import memory


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("0::/pod/app\n", {"pod/app/memory.max": "max", "pod/memory.max": "536870912"}, 536870912),
        ("0::/pod/app\n", {"pod/app/memory.max": "1048576", "pod/memory.max": "536870912"}, 1048576),
        ("0::/\n", {"memory.max": "2097152"}, 2097152),
        ("0::/\n", {}, 0),
        ("4:cpu,memory:/docker/abc\n0::/\n", {"memory/docker/abc/memory.limit_in_bytes": "4194304"}, 4194304),
        # A container sees only the end of the host's path.
        ("4:memory:/docker/abc\n", {"memory/memory.limit_in_bytes": "8388608"}, 8388608),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, 0),
        ("5:cpu:/\n", {"cpu/memory.limit_in_bytes": "1"}, 0),
    ],
)
def test_the_least_limit_counts(tmp_path: Path, groups: str, files: dict[str, str], limit: int) -> None:
    (tmp_path / "groups").write_text(groups)
    for name, text in files.items():
        path = tmp_path / "mounted" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    assert memory.limit(tmp_path / "groups", tmp_path / "mounted") == limit


def test_a_system_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    assert memory.limit(tmp_path / "none", tmp_path) == 0
