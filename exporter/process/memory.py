"""Memory: the least limit that Linux' control groups set to the memory of this process.

Version 2 has it in `memory.max`, version 1 in `memory.limit_in_bytes` of the controller's own hierarchy; the limit of a
group holds for all below it (cgroup-v2.rst and cgroup-v1/memory.rst of the kernel). In a container the path may be the
host's, of which the container sees the end alone: groups that are not there are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

#: What version 1 says where there is no limit is the largest number of whole pages.
_UNLIMITED = 1 << 60


def limit(groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")) -> int:
    """The limit in bytes; 0 where there is none, or where the system does not say.

    Args:
        groups: the file that names the process' control groups.
        mounted: where the control groups are mounted.
    """
    try:
        lines = groups.read_text().splitlines()
    except OSError:
        return 0
    named = [line.split(":", 2) for line in lines]
    limits = [limit for _, controllers, path in named for limit in _limits(controllers, path, mounted)]
    return min((limit for limit in limits if limit < _UNLIMITED), default=0)


def _limits(controllers: str, path: str, mounted: Path) -> Iterator[int]:
    """What a group and those above it say."""
    if controllers == "":
        folder, name = mounted, "memory.max"
    elif "memory" in controllers.split(","):
        folder, name = mounted / "memory", "memory.limit_in_bytes"
    else:
        return
    group = PurePosixPath(path)
    for above in (group, *group.parents):
        try:
            text = (folder / above.relative_to("/") / name).read_text().strip()
        except (OSError, ValueError):
            continue
        if text.isdecimal():
            yield int(text)
