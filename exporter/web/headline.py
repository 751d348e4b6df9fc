"""Headline: one text about all ensembles and their trees, which says that all is well only where nothing is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from exporter.web.conditions import CONDITIONS, LEVELS, Condition, connection_headline, connection_in_words
from exporter.web.standing import Standing
from exporter.web.words import counted, human_count


class Connected(NamedTuple):
    """An ensemble: its client's state, and how its trees stand."""

    client_state: str
    trees: Sequence[Standing]


def headline(ensembles: Sequence[Connected]) -> tuple[str, str]:
    """The text and its level: a sentence for each thing that is wrong, the worst first."""
    trees = [tree for ensemble in ensembles for tree in ensemble.trees]
    levels = [connection_in_words(ensemble.client_state)[0] for ensemble in ensembles]
    level = max([*levels, *(tree.level for tree in trees)], key=LEVELS.index, default="good")
    sentences = [*_of_connections(ensembles), *_of_trees(ensembles, len(trees))]
    if sentences:
        return " ".join(sentences), level
    if not trees:
        return "No tree is watched.", "waiting"
    if len(trees) == 1:
        return "The tree is complete, and its changes arrive.", level
    return f"All {human_count(len(trees))} trees are complete, and their changes arrive.", level


def _of_connections(ensembles: Sequence[Connected]) -> Iterator[str]:
    for states in (("suspended", "lost"), ("connecting",), ("connected_ro",)):
        of_them = [ensemble for ensemble in ensembles if ensemble.client_state in states]
        if not of_them:
            continue
        said = _about(len(of_them), len(ensembles), "ensemble", connection_headline(states[0]))
        if states[0] == "suspended":
            is_known = any(tree.was_complete for ensemble in of_them for tree in ensemble.trees)
            said += "; showing the last known data" if is_known else "; nothing was loaded yet"
        yield f"{said}."


def _of_trees(ensembles: Sequence[Connected], total: int) -> Iterator[str]:
    for condition in CONDITIONS:
        trees = [
            tree
            for ensemble in ensembles
            for tree in ensemble.trees
            if condition in tree.conditions and not _is_said_of_the_ensemble(condition, ensemble)
        ]
        if trees:
            said = _about(len(trees), total, "tree", condition.headline)
            unreadable, znodes = sum(tree.unreadable for tree in trees), sum(tree.znodes for tree in trees)
            yield said.format(unreadable=human_count(unreadable), znodes=counted(znodes, "znode")) + "."


def _is_said_of_the_ensemble(condition: Condition, ensemble: Connected) -> bool:
    return condition.is_of_connection and ensemble.client_state in ("connecting", "suspended", "lost")


def _about(number: int, total: int, what: str, says: tuple[str, str]) -> str:
    """A subject and what is said of it: `The tree is ...`, `All 3 trees are ...`, `1 of 3 trees is ...`."""
    one, many = says
    if total == 1:
        return f"The {what} {one}"
    if number == total:
        return f"All {human_count(total)} {what}s {many}"
    return f"{human_count(number)} of {counted(total, what)} {one if number == 1 else many}"
