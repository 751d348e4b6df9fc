"""Pack: the rules and alerts for one known system, and where their paths begin in a tree.

Paths are below the system's root: the path that its own configuration sets, as HBase's ``zookeeper.znode.parent``, or
its chroot.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, replace

from exporter.views.rules.rule import Rule

#: What a pattern does not take as text.
NOT_TEXT = frozenset("{}*")


@dataclass(frozen=True)
class Alert:
    """An alert about the metrics of a pack.

    Attributes:
        name: its name in Prometheus.
        expr: a query that is true of a tree about which the alert fires; that the copy is fresh is added to it.
        wait: how long the query must be true.
        severity: ``warning`` or ``critical``.
        summary: what is wrong, as a template of Prometheus' in which ``{tree}`` and ``{value}`` stand for both.
        look: what to look at first.
    """

    name: str
    expr: str
    wait: str
    severity: str
    summary: str
    look: str


@dataclass(frozen=True)
class Pack:
    """The rules and alerts for one system.

    Attributes:
        name: its name in `packs`; the names of its rules begin with it.
        title: the system.
        description: what the rules say about it.
        root: the system's root by default; the patterns of `rules` begin below it.
        root_is: what in the system's own configuration the root is.
        omits: what one would ask for, and rules cannot say.
        rules: the rules, with patterns below the root.
        alerts: the alerts about their metrics.
        sources: the addresses of the files that their paths are from, by the names of the files.
        text: the file.
    """

    name: str
    title: str
    description: str
    root: str
    root_is: str
    omits: tuple[str, ...]
    rules: tuple[Rule, ...]
    alerts: tuple[Alert, ...]
    sources: Mapping[str, str]
    text: str

    def is_in(self, path: str) -> bool:
        """Whether the default root is in the tree at a path."""
        return posixpath.commonpath((self.root, path)) == path

    def root_in(self, path: str) -> str:
        """The system's root in the tree at a path: the default root if the tree has it, else the root of the tree."""
        return self.root if self.is_in(path) else path

    def rules_in(self, path: str) -> tuple[Rule, ...]:
        """The rules for the tree at a path.

        Raises:
            ValueError: patterns cannot express the path.
        """
        root = self.root_in(path)
        if not NOT_TEXT.isdisjoint(root):
            raise ValueError(f"no pattern can begin with the path {root}; accepted: a path without {{, }} and *")
        return tuple(replace(rule, match=_joined(root, rule.match)) for rule in self.rules)


def _joined(root: str, below: str) -> str:
    return root if below == "/" else root.rstrip("/") + below
