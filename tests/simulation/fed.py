"""Fed: replicas with a view, fed as a `TreeCache` does it, which is compared with the tree after any schedule."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from exporter.treecache.feed import Feed
from exporter.treecache.outcome import Fault, Outcome
from exporter.treecache.replica import Replica
from exporter.treecache.view import View
from exporter.zookeeper.messages import Message
from tests.simulation.plan import draw
from tests.simulation.schedule import Schedule

AnyView = TypeVar("AnyView", bound=View)


class FedReplica(Replica, Generic[AnyView]):
    """A replica with a view; derive a class that makes it and compares it. A fault of the view is raised.

    Attributes:
        compared: how often the replicas of a class have called `compare`.
    """

    compared = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.faults: list[Fault] = []
        self.view = self.new_view()
        self.feed = Feed(self.faults.extend)
        self.feed.add(self.view)
        self.attend(self.feed)

    def new_view(self) -> AnyView:
        """The view that the replica keeps up to date."""
        raise NotImplementedError

    def compare(self) -> None:
        """Compares the view with the tree, which is complete and has changed; by default not at all."""

    def take(self, now: float) -> Outcome:
        outcome = super().take(now)
        self._feed_view(outcome)
        return outcome

    def shortcut(self, message: Message, now: float) -> Outcome | None:
        outcome = super().shortcut(message, now)
        if outcome is not None:
            self._feed_view(outcome)
        return outcome

    def _feed_view(self, outcome: Outcome) -> None:
        self.feed.take(outcome.events, interrupted=bool(outcome.syncs), is_complete=self.is_in_sync)
        if self.faults:
            raise self.faults[0].error
        if self.is_in_sync and (outcome.events or outcome.syncs):
            type(self).compared += 1
            self.compare()


def run_without_poison(seed: int, **options: Any) -> None:
    """Carries out a seed's plan, with these options changed, but for what views cannot know.

    That is what a bug does to the tree, or a flipped bit: nobody is told.
    """
    plan = draw(seed)
    steps = [step for step in plan.steps if step[0] != "poison"]
    Schedule(plan.options._replace(**options)).run(plan._replace(steps=steps))
