"""Queries: parses PromQL expressions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import promql_parser

from tests.dashboards.grafana import fill_in

#: Placeholders for Grafana's intervals, which a parser accepts and a test recognises.
INTERVALS = {"__rate_interval": "61s", "__range": "62s", "__interval": "63s"}
CHILDREN = ("expr", "lhs", "rhs", "args", "vector_selector", "param")


def parsed(expression: str) -> promql_parser.Expr:
    """The expression as a tree. Raises ValueError if it is not PromQL; variables in matchers stay."""
    return promql_parser.parse(fill_in(expression, INTERVALS))


def nodes(node: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Every part of an expression, with its enclosing parts, the outermost first."""
    yield node, above
    for attribute in CHILDREN:
        child = getattr(node, attribute, None)
        for each in child if isinstance(child, list) else [child]:
            if isinstance(each, promql_parser.Expr):
                yield from nodes(each, (*above, node))


def selectors(expression: str) -> Iterator[tuple[promql_parser.VectorSelector, tuple[Any, ...]]]:
    """Every selector of an expression, with its enclosing parts."""
    for node, above in nodes(parsed(expression)):
        if isinstance(node, promql_parser.VectorSelector):
            yield node, above


def metrics(expression: str) -> set[str]:
    """The names of an expression's metrics."""
    return {str(selector.name) for selector, _ in selectors(expression)}
