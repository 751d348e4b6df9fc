"""Headline: one text about all ensembles and trees, which says that all is well only if nothing is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from exporter.pages.conditions import CONDITIONS, CONNECTIONS, LEVELS, Condition
from exporter.pages.format import brief, counted, human_count
from exporter.pages.standing import Standing

#: How many trees in the same condition are named.
_NAMED = 3
#: Situations without a connection: those that count as one in the headline, the worst first.
_DISCONNECTED = (("turned_away",), ("suspended", "lost"))


class Connected(NamedTuple):
    """An ensemble: what `situation_of` says of its client, the standings of its trees, and its name."""

    situation: str
    trees: Sequence[Standing]
    name: str = ""


class Headline(NamedTuple):
    """The text, one of `LEVELS`, and the alert whose runbook says what to do first; "" if there is none."""

    text: str
    level: str
    runbook: str = ""


class _Tree(NamedTuple):
    ensemble: Connected
    standing: Standing


def headline(ensembles: Sequence[Connected]) -> Headline:
    """A sentence for each problem, the worst first."""
    trees = [tree for ensemble in ensembles for tree in ensemble.trees]
    said = [*_of_connections(ensembles), *_of_trees(ensembles, len(trees))]
    said.sort(key=lambda sentence: -LEVELS.index(sentence.level))
    if said:
        runbook = next((sentence.runbook for sentence in said if sentence.runbook), "")
        return Headline(" ".join(f"{sentence.text}." for sentence in said), said[0].level, runbook)
    if not trees:
        return Headline("No tree is watched.", "waiting")
    if len(trees) == 1:
        return Headline("The tree is complete, and its changes arrive.", "good")
    return Headline(f"All {human_count(len(trees))} trees are complete, and their changes arrive.", "good")


def _of_connections(ensembles: Sequence[Connected]) -> Iterator[Headline]:
    for situations in (*_DISCONNECTED, ("connecting",), ("connected_ro",)):
        of_them = [ensemble for ensemble in ensembles if ensemble.situation in situations]
        if not of_them:
            continue
        connection = CONNECTIONS[situations[0]]
        text = _about(len(of_them), len(ensembles), "ensemble", (connection.one, connection.many))
        if situations in _DISCONNECTED:
            is_known = any(tree.was_complete for ensemble in of_them for tree in ensemble.trees)
            text += "; showing the last known data" if is_known else "; no data loaded yet"
        yield Headline(text, connection.level, connection.runbook)


def _of_trees(ensembles: Sequence[Connected], total: int) -> Iterator[Headline]:
    for condition in CONDITIONS:
        trees = [
            _Tree(ensemble, tree)
            for ensemble in ensembles
            for tree in ensemble.trees
            if condition in tree.conditions and not _is_said_of_the_ensemble(condition, ensemble)
        ]
        if trees:
            several = len(ensembles) > 1
            text = (
                _of_one(condition, trees[0], several) if len(trees) == 1 else _of_many(condition, trees, total, several)
            )
            yield Headline(text, condition.level, condition.runbook)


def _is_said_of_the_ensemble(condition: Condition, ensemble: Connected) -> bool:
    return condition.is_of_connection and ensemble.situation in ("connecting", "suspended", "lost", "turned_away")


def _of_one(condition: Condition, tree: _Tree, several: bool) -> str:
    return f"{_name(tree, several)}: {tree.standing.in_headline[tree.standing.conditions.index(condition)]}"


def _of_many(condition: Condition, trees: Sequence[_Tree], total: int, several: bool) -> str:
    """How many trees are in this condition, and some of their names: those with the most unreadable znodes first."""
    unreadable = sum(tree.standing.unreadable for tree in trees)
    znodes = sum(tree.standing.znodes for tree in trees)
    what = condition.many.format(unreadable=human_count(unreadable), znodes=counted(znodes, "znode"))
    if len(trees) == total:
        return f"All {human_count(total)} trees {what}"
    named = sorted(trees, key=lambda tree: -tree.standing.unreadable)[:_NAMED]
    more = [f"{human_count(len(trees) - _NAMED)} more"] if len(trees) > _NAMED else []
    names = ", ".join([*(_name(tree, several) for tree in named), *more])
    return f"{human_count(len(trees))} of {counted(total, 'tree')} {what}: {names}"


def _name(tree: _Tree, several: bool) -> str:
    """A tree's name, with its ensemble's if there are several ensembles."""
    return f"{brief(tree.ensemble.name)} {brief(tree.standing.name)}" if several else brief(tree.standing.name)


def _about(number: int, total: int, what: str, says: tuple[str, str]) -> str:
    """A sentence with its subject: `The ensemble is ...`, `All 3 ensembles are ...`, `1 of 3 ensembles is ...`."""
    one, many = says
    if total == 1:
        return f"The {what} {one}"
    if number == total:
        return f"All {human_count(total)} {what}s {many}"
    return f"{human_count(number)} of {counted(total, what)} {one if number == 1 else many}"
