"""Views: one kind of view for each tree of an ensemble, while the configuration changes and the caches run on."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Generic, Protocol, TypeVar

from exporter.treecache import TreeCache
from exporter.treecache.view import View


class _Known(Protocol):
    """What a view of such a kind says of itself."""

    failure: BaseException | None

    @property
    def is_known(self) -> bool:
        """Whether it knows the whole tree."""


AnyKnown = TypeVar("AnyKnown", bound=_Known)


class Views(Generic[AnyKnown]):
    """The views of one kind, by tree. A view that is replaced is shown until the new one knows the whole tree.

    Thread-safe: a scrape finds each tree either as before a change or as after it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._current: dict[str, AnyKnown] = {}
        self._replaced: dict[str, AnyKnown] = {}

    def has_failed(self, tree: str) -> bool:
        """Whether the view of this tree has failed; False without one."""
        view = self._current.get(tree)
        return view is not None and view.failure is not None

    def begin(self, tree: str, cache: TreeCache, view: AnyKnown | None) -> None:
        """Gives the cache of a tree its view, or none; what another cache of this tree had is forgotten."""
        with self._lock:
            self._forget(tree)
            self._add(tree, cache, view)

    def change(self, tree: str, cache: TreeCache, view: AnyKnown | None) -> None:
        """Replaces the view of a cache, which goes on as it is."""
        with self._lock:
            before = self._current.get(tree)
            if before is not None:
                assert isinstance(before, View)
                cache.remove_view(before)
                before = self._shown(tree, before)
            self._forget(tree)
            self._add(tree, cache, view)
            if before is not None and view is not None:
                self._replaced[tree] = before

    def end(self, tree: str) -> None:
        """Forgets the view of a tree."""
        with self._lock:
            self._forget(tree)

    def shown(self) -> Mapping[str, AnyKnown]:
        """The view to show of each tree. From any thread."""
        with self._lock:
            return {tree: self._shown(tree, view) for tree, view in self._current.items()}

    def _forget(self, tree: str) -> None:
        self._current.pop(tree, None)
        self._replaced.pop(tree, None)

    def _add(self, tree: str, cache: TreeCache, view: AnyKnown | None) -> None:
        if view is not None:
            assert isinstance(view, View)
            cache.add_view(view)
            self._current[tree] = view

    def _shown(self, tree: str, view: AnyKnown) -> AnyKnown:
        before = self._replaced.get(tree)
        if before is None or view.is_known or view.failure is not None:
            self._replaced.pop(tree, None)
            return view
        return before
