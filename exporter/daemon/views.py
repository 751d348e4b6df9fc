"""Views: one kind of view for each tree of an ensemble, while the configuration changes and the caches run on."""

from __future__ import annotations

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
    """The views of one kind, by tree. A view that is replaced is shown until the new one knows the whole tree."""

    def __init__(self) -> None:
        self._current: dict[str, AnyKnown] = {}
        self._replaced: dict[str, AnyKnown] = {}

    def has_failed(self, tree: str) -> bool:
        """Whether the view of this tree has failed; False without one."""
        return tree in self._current and self._current[tree].failure is not None

    def begin(self, tree: str, cache: TreeCache, view: AnyKnown | None) -> None:
        """Gives the cache of a tree its view, or none; what another cache of this tree had is forgotten."""
        self.end(tree)
        if view is not None:
            assert isinstance(view, View)
            cache.add_view(view)
            self._current[tree] = view

    def change(self, tree: str, cache: TreeCache, view: AnyKnown | None) -> None:
        """Replaces the view of a cache, which goes on as it is."""
        before = self._current.get(tree)
        if before is not None:
            assert isinstance(before, View)
            cache.remove_view(before)
            before = self._shown(tree, before)
        self.begin(tree, cache, view)
        if before is not None and view is not None:
            self._replaced[tree] = before

    def end(self, tree: str) -> None:
        """Forgets the view of a tree."""
        self._current.pop(tree, None)
        self._replaced.pop(tree, None)

    def shown(self) -> Mapping[str, AnyKnown]:
        """The view to show of each tree. From any thread."""
        return {tree: self._shown(tree, view) for tree, view in self._current.copy().items()}

    def _shown(self, tree: str, view: AnyKnown) -> AnyKnown:
        before = self._replaced.get(tree)
        if before is None or view.is_known or view.failure is not None:
            self._replaced.pop(tree, None)
            return view
        return before
