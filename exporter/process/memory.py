"""Memory: the lowest limit that Linux' control groups set for the memory of this process.

Version 2 has it in `memory.max`, version 1 in `memory.limit_in_bytes` of the controller's own hierarchy; a group's
limit holds for all groups below it (cgroup-v2.rst and cgroup-v1/memory.rst of the kernel). In a container the path may
be the host's, of which the container sees only the end: groups that do not exist are skipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

#: Without a limit, version 1 gives the largest number of whole pages.
_UNLIMITED = 1 << 60


def limit(groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")) -> int:
    """The limit in bytes; 0 if there is no limit or the system does not say.

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
    """The limits of a group and of those above it."""
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
