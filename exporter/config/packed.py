"""Packed: the trees for the packs that flags ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from exporter.config.settings import SettingsError, Tree, parse_trees
from exporter.packs.library import NAMES, load
from exporter.packs.pack import Pack
from exporter.treecache.options import CacheOptions


def packed(paths: Sequence[str], packs: Sequence[str], options: CacheOptions) -> tuple[Tree, ...]:
    """The trees at these paths of `--treecache.path`, with the rules of packs: all belong to the one tree.

    Without a path, there is a tree for each root that packs have by default, unless another one of them has it.

    Raises SettingsError if a path or a pack cannot be used.
    """
    for place, name in enumerate(packs):
        if name not in NAMES:
            raise SettingsError("--pack", name, f"unknown; accepted: {', '.join(NAMES)}")
        if name in packs[:place]:
            raise SettingsError("--pack", name, "the pack is given twice; accepted: once")
    if packs and len(paths) > 1:
        problem = "it is not clear which tree is meant; accepted: with one --treecache.path at most, or a --config.file"
        raise SettingsError("--pack", packs[0], problem)
    loaded = [load(name) for name in packs]
    trees = parse_trees(paths or _roots(loaded), options)
    return tuple(_with_rules(tree, [pack for pack in loaded if paths or pack.is_in(tree.path)]) for tree in trees)


def _roots(packs: Sequence[Pack]) -> list[str]:
    """The default roots of packs, without those that are below others."""
    roots = dict.fromkeys(pack.root for pack in packs)
    below = {pack.root for pack in packs for other in roots if pack.root != other and pack.is_in(other)}
    return [root for root in roots if root not in below]


def _with_rules(tree: Tree, packs: Sequence[Pack]) -> Tree:
    try:
        return replace(tree, rules=tuple(rule for pack in packs for rule in pack.rules_in(tree.path)))
    except ValueError as error:
        raise SettingsError("--treecache.path", tree.path, str(error)) from None
