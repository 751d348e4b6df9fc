"""The budgets of notifications, with shortened windows, for the causes that do not take long.

Real ZooKeeper servers, exporters, Prometheus and Alertmanager, with the rules and the configuration as shipped. Only
waits and windows are shortened, by one factor; thresholds are unchanged. The causes run in parallel, each in its own
place. `python -m tests.oncall` runs all of them with the windows as shipped.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from dashboards.prometheus.parameters import Parameters
from tests.integration.alerting import Alert
from tests.oncall import runbook, timeline
from tests.oncall.causes import CAUSES, Cause
from tests.oncall.run import own_folder, run
from tests.oncall.stage import SHORT, Place
from tests.oncall.verdict import Story
from tests.support import eventually

#: Additional seconds for scrapes, evaluations and notifications on a busy machine.
SLACK = 60.0
CAUSED = [cause for cause in CAUSES.values() if cause.short is not None]
#: Alerts whose runbook is tested, each with the first cause of it.
ALERTS = {cause.alerts[0]: cause.name for cause in reversed(CAUSED) if cause.alerts}

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@dataclass(frozen=True)
class Run:
    """The stories of the causes, errors in the runbooks, and notifications about no cause."""

    stories: Mapping[str, Story]
    runbooks: Mapping[str, list[str]]
    strays: list[str]


@pytest.fixture(scope="module")
def happened() -> Run:
    """Runs all causes in parallel."""
    runbooks: dict[str, list[str]] = {}
    strays: list[str] = []
    # Commands take CPU time: run one at a time.
    trying = threading.Lock()

    def try_runbook(cause: Cause, place: Place) -> None:
        for alert in [alert for alert, where in ALERTS.items() if where == cause.name]:
            labels = wait_for(alert, place)
            with trying:
                runbooks[alert] = list(runbook.complaints(alert, labels, place))

    def note(line: str) -> None:
        if line.startswith("about no cause"):
            strays.append(line)

    with own_folder() as folder:
        until = time.monotonic() + 400
        stories = run(folder, SHORT, CAUSED, meanwhile=try_runbook, say=note, until=until)
    return Run({story.cause.name: story for story in stories}, runbooks, strays)


def wait_for(alert: str, place: Place) -> Mapping[str, str]:
    """The labels of the first firing alert, once it fires, and the instance that its summary names."""

    def fired() -> list[Alert]:
        alerts = [one for sent in place.received() if sent.name == alert for one in sent.alerts]
        return [one for one in alerts if one.status == "firing"]

    first = eventually(fired, timeout=SLACK, interval=0.2)[0]
    named = next((replica.instance for replica in place.replicas if replica.instance in first.summary), None)
    return first.labels if named is None else {**first.labels, "instance": named}


@pytest.mark.parametrize("cause", CAUSED, ids=lambda cause: cause.name)
def test_a_cause_keeps_its_budget(cause: Cause, happened: Run) -> None:
    story = happened.stories[cause.name]
    assert not story.complaints(SHORT, SLACK), timeline.table([story])
    if cause.resolves:
        assert story.is_over


@pytest.mark.parametrize("alert", sorted(ALERTS))
def test_what_the_runbook_says_works(alert: str, happened: Run) -> None:
    assert happened.runbooks[alert] == []


def test_nothing_is_sent_about_what_was_not_caused(happened: Run) -> None:
    assert happened.strays == []


def test_only_waits_are_shortened() -> None:
    four_scrapes = SHORT.parameters.quorum_back_for
    assert SHORT.parameters == Parameters(shorten=SHORT.shorten, quorum_back_for=four_scrapes)
    assert SHORT.parameters.shortened(four_scrapes) == "20s"
