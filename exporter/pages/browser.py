"""Browser: one znode of a tree and a page of its children, from the cache alone, without asking ZooKeeper."""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from exporter.config.settings import one_line
from exporter.pages.format import BRIEF, brief, counted, human_bytes, human_count, human_duration, human_moment, visible
from exporter.pages.links import meant, short_name, short_path
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache.stats import CacheStats
from exporter.zookeeper.records import kind_of

#: Children on one page.
PAGE = 200
#: Bytes of a znode's data that are shown.
DATA_SHOWN = 64 * 1024
#: Characters of it that are shown as JSON, whose indentation may take a thousand times the space of the data.
JSON_SHOWN = 4 * DATA_SHOWN
#: Characters of a long path that are shown on the page of its znode.
PATH_SHOWN = 256 * 1024
#: How many of a path's names are shown, the first and the last ones.
_FIRST_STEPS, _LAST_STEPS = 4, 12
VIEWS = ("text", "json", "hex")
#: By what the children are sorted; by size and by children, the largest come first.
ORDERS = ("name", "size", "children")
#: The most children that are sorted by anything but their names, since each has to be looked at.
SORTED = 20_000


@runtime_checkable
class Browsable(Protocol):
    """A cache whose znodes can be shown, such as a TreeCache."""

    def stats(self) -> CacheStats:
        """The cache's stats now."""

    def get_data(self, path: str, default: Any = None) -> Any:
        """The znode's path, data and stat."""

    def get_children(self, path: str, default: Any = None) -> Any:
        """The names of its children."""


@dataclass(frozen=True)
class Child:
    """A row of the list of children. `link` is the path for a link, None if it is too long for one."""

    name: str
    link: str | None
    kind: str
    children: str
    size: str
    changed: str


@dataclass(frozen=True)
class Znode:
    """A znode in words. `facts` is empty if its stat is unknown, `data` None if it is not shown.

    `link` is its path for a link, `whole` its path if that is too long for a heading. Steps are names and links.
    `is_held` says whether the cache has the znode, or at least its name; `heading` is the heading of its children.
    `order` is by what the children are sorted, one of `ORDERS`; `omitted` is how many a page leaves out that is not
    sorted by name, and so has only the largest ones.
    """

    path: str
    link: str | None
    whole: str
    steps: list[tuple[str, str | None]]
    is_held: bool
    facts: Mapping[str, str]
    data: str | None
    children: list[Child]
    heading: str
    begins_with: str
    after: str
    next_after: str
    order: str = "name"
    omitted: int = 0


def find(ensembles: Iterable[EnsembleSource], ensemble: str, tree: str) -> Browsable | None:
    """The cache of this tree; None if the tree has none, or one that the pages cannot browse."""
    for one in ensembles:
        if one.name == ensemble:
            cache = one.caches.get(tree)
            return cache if isinstance(cache, Browsable) else None
    return None


def look_up(
    cache: Browsable,
    path: str,
    *,
    after: str = "",
    view: str = "text",
    order: str = "name",
    expose_data: bool = False,
) -> Znode:
    """The znode at `path`; if there is none, its nearest ancestor, with the children that match the rest of `path`.

    The page of children starts after the name `after`. In another `order` than by name it has the first ones; more than
    `SORTED` children come by name. A `path` outside the tree means the root. Names may be shortened as by `links`.
    """
    root = cache.stats().path
    path = path.lstrip()
    found, rest = _nearest(cache, root, path or root)
    held = cache.get_children(found)
    names = held or frozenset()
    if rest and path != path.rstrip() and not any(name.startswith(rest) for name in names):
        # No znode here has a name that ends in spaces: they were pasted with the path.
        return look_up(cache, path.rstrip(), after=after, view=view, order=order, expose_data=expose_data)
    matching = [name for name in names if name.startswith(rest)]
    if order == "name" or len(matching) > SORTED:
        order, after = "name", meant(after, names) or after
        shown = heapq.nsmallest(PAGE + 1, [name for name in matching if name > after])
    else:
        after = ""
        shown = heapq.nsmallest(PAGE, matching, key=_weight(cache, found, order))
    node, link = cache.get_data(found), short_path(found)
    return Znode(
        path=found,
        link=link,
        whole=_whole(found),
        steps=_steps(root, found),
        is_held=held is not None,
        facts=_facts(node),
        data=_shown(node.data, view) if expose_data and node is not None and node.data is not None else None,
        children=[_child(cache, found, link, name) for name in shown[:PAGE]],
        heading=_heading(node, len(names)),
        begins_with=rest,
        after=after,
        next_after=short_name(shown[PAGE - 1]) if len(shown) > PAGE else "",
        order=order,
        omitted=0 if order == "name" else len(matching) - len(shown),
    )


def _weight(cache: Browsable, parent: str, order: str) -> Callable[[str], tuple[int, str]]:
    """A key that sorts the children of a znode, the largest first and equals by name."""

    def key(name: str) -> tuple[int, str]:
        node = cache.get_data(f"{parent.rstrip('/')}/{name}")
        size = 0 if node is None else node.stat.numChildren if order == "children" else node.stat.dataLength
        return -size, name

    return key


def _nearest(cache: Browsable, root: str, path: str) -> tuple[str, str]:
    """The nearest ancestor of `path` in the cache, or `path` itself, and the name that follows it in `path`."""
    path = "/" + "/".join(name for name in path.split("/") if name)
    prefix = root.rstrip("/")
    if path != root and not path.startswith(prefix + "/"):
        return root, ""
    found = root
    for name in path[len(prefix) :].split("/"):
        if not name:
            continue
        below = f"{found.rstrip('/')}/{name}"
        if cache.get_children(below) is None:
            long = meant(name, cache.get_children(found, frozenset()))
            if long is None:
                return found, name
            below = f"{found.rstrip('/')}/{long}"
        found = below
    return found, ""


def _whole(path: str) -> str:
    if len(path) <= BRIEF:
        return ""
    left = len(path) - PATH_SHOWN
    return visible(path[:PATH_SHOWN]) + (f"… and {human_count(left)} more characters" if left > 0 else "")


def _steps(root: str, path: str) -> list[tuple[str, str | None]]:
    """The names from the root to a znode, each with its link; of a very deep znode only the first and last ones."""
    prefix = root.rstrip("/")
    names = [name for name in path[len(prefix) :].split("/") if name]
    steps: list[tuple[str, str | None]] = [(brief(root), short_path(root))]
    for index, name in enumerate(names):
        if index < _FIRST_STEPS or index >= len(names) - _LAST_STEPS:
            steps.append((brief(name), short_path("/".join([prefix, *names[: index + 1]]))))
        elif index == _FIRST_STEPS:
            steps.append(("…", None))
    return steps


def _child(cache: Browsable, parent: str, parent_link: str | None, name: str) -> Child:
    link = None if parent_link is None else f"{parent_link.rstrip('/')}/{short_name(name)}"
    path = f"{parent.rstrip('/')}/{name}"
    node = cache.get_data(path)
    if node is None:
        held = cache.get_children(path) is not None
        return Child(brief(name), link, "unreadable" if held else "not in the cache", "", "", "")
    stat = node.stat
    return Child(
        name=brief(name),
        link=link,
        kind=kind_of(stat.ephemeralOwner),
        children=human_count(stat.numChildren) if stat.numChildren else "",
        size=human_bytes(stat.dataLength),
        changed=_ago(stat.mtime),
    )


def _heading(node: Any, held: int) -> str:
    """The number of children; for an unreadable znode, the number of children that the cache knows."""
    if node is None:
        return f"{counted(held, 'child', 'children')} known" if held else "No children known"
    there = node.stat.numChildren
    number = counted(there, "child", "children")
    return number if held == there else f"{human_count(held)} of {number} in the cache"


def _facts(node: Any) -> dict[str, str]:
    if node is None:
        return {}
    stat = node.stat
    kind = kind_of(stat.ephemeralOwner)
    owner = {"Owner": f"session {stat.ephemeralOwner & 0xFFFF_FFFF_FFFF_FFFF:#x}"} if kind == "ephemeral" else {}
    return {
        "Kind": kind,
        **owner,
        "Created": f"{_ago(stat.ctime)}, {human_moment(stat.ctime / 1000)}, zxid {stat.czxid:#x}",
        "Changed": f"{_ago(stat.mtime)}, {human_moment(stat.mtime / 1000)}, zxid {stat.mzxid:#x}",
        "Children": f"{counted(stat.numChildren, 'child', 'children')}, last changed with zxid {stat.pzxid:#x}"
        if stat.cversion
        else "none so far",
        "Data": human_bytes(stat.dataLength),
        "Versions": f"data {stat.version}, children {stat.cversion}, ACL {stat.aversion}",
    }


def _ago(milliseconds: int) -> str:
    seconds = time.time() - milliseconds / 1000
    return f"{human_duration(seconds)} ago" if seconds >= 0 else f"{human_duration(-seconds)} ahead (server clock)"


def _shown(data: bytes, view: str) -> str:
    if not data:
        return ""
    cut = data[:DATA_SHOWN]
    text = _dump(cut) if view == "hex" else _json(data) if view == "json" else cut.decode("utf-8", "backslashreplace")
    lines = "\n".join(one_line(line.expandtabs()) for line in text.splitlines())
    return lines + (f"\n… {human_bytes(len(data) - DATA_SHOWN)} more" if len(data) > DATA_SHOWN else "")


def _json(data: bytes) -> str:
    if len(data) > DATA_SHOWN:
        return "too large to show as JSON"
    try:
        return _first(json.JSONEncoder(indent=2, ensure_ascii=False).iterencode(json.loads(data)), JSON_SHOWN)
    except ValueError:
        return "not JSON"
    except RecursionError:
        return "nested too deeply to show as JSON"


def _first(parts: Iterable[str], limit: int) -> str:
    """Joins the parts up to about `limit` characters; takes no part after those."""
    taken: list[str] = []
    length = 0
    for part in parts:
        if length > limit:
            return "".join(taken) + "\n… truncated, too long as JSON"
        taken.append(part)
        length += len(part)
    return "".join(taken)


def _dump(data: bytes) -> str:
    lines = []
    for start in range(0, len(data), 16):
        part = data[start : start + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:08x}  {part.hex(' '):<47}  {text}")
    return "\n".join(lines)
