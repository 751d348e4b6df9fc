"""Run: runs causes in parallel, each in its own place, and collects the notifications about each."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.ensemble import LIMITS, SAMPLE_LIMITS, Ensemble
from tests.integration.alerting import Notification
from tests.oncall import ordinary
from tests.oncall.causes import Cause, fill
from tests.oncall.links import LateEnsemble
from tests.oncall.stage import Form, Place, Stage
from tests.oncall.verdict import Story

#: Seconds between two checks for notifications.
_LOOK = 0.5

#: Called with each place while its cause lasts, once the first expected notification has arrived or is overdue.
Meanwhile = Callable[[Cause, Place], None]


def run(
    folder: Path,
    form: Form,
    causes: Sequence[Cause],
    *,
    meanwhile: Meanwhile = lambda cause, place: None,
    say: Callable[[str], None] = lambda line: None,
    until: float = float("inf"),
) -> list[Story]:
    """Runs causes, and returns their stories.

    `say` gets a line for each event. The run ends at the monotonic time `until`, even if a cause is not over.
    """
    with contextlib.ExitStack() as stack:
        stages = [(list(causes), "shared")]
        if form.is_real:
            alone = [cause for cause in causes if cause.own_stage]
            stages = [([cause for cause in causes if not cause.own_stage], "shared")]
            stages += [([cause], cause.name) for cause in alone]
        placed = [
            (cause, place)
            for group, name in stages
            if group
            for cause, place in stack.enter_context(_set_up(folder / name, form, group))
        ]
        say(f"{len(placed)} causes, all well")
        with ThreadPoolExecutor(len(placed)) as pool:
            since = time.monotonic()
            stories = [pool.submit(_happen, cause, place, since, meanwhile, say, until) for cause, place in placed]
            ended = [story.result() for story in stories]
        for stage in {id(place.stage): place.stage for _, place in placed}.values():
            for sent in stage.strays():
                say(f"unrelated to any cause: {sent.status} {sent.severity} {sent.name}: {sent.summary}")
        return ended


@contextlib.contextmanager
def _set_up(folder: Path, form: Form, causes: Sequence[Cause]) -> Iterator[list[tuple[Cause, Place]]]:
    folder.mkdir()
    with Stage(folder, form) as stage:
        alone = [cause for cause in causes if cause.own_ensemble and (form.is_real or not cause.own_stage)]
        limits = SAMPLE_LIMITS if form.is_real else LIMITS
        ensembles = {cause.name: _ensemble(cause, limits) for cause in alone}
        shared = Ensemble(voters=3 if form.is_real else 1, limits=limits) if len(alone) < len(causes) else None
        starting = [*ensembles.values(), *([shared] if shared else [])]
        with ThreadPoolExecutor(len(starting)) as pool:
            list(pool.map(stage.ensemble, starting))
        placed = []
        for cause in causes:
            ensemble = ensembles.get(cause.name, shared)
            assert ensemble is not None
            place = stage.add(
                cause.name,
                ensemble,
                own_job=cause.own_job and (form.is_real or not cause.own_stage),
                proxied=cause.proxied,
                tree=cause.tree,
            )
            fill(place, cause.znodes)
            cause.prepare(place)
            placed.append((cause, place))
        stage.start()
        yield placed


def _ensemble(cause: Cause, limits: Mapping[str, str]) -> Ensemble:
    if cause.late:
        # The delay and a busy machine together must not cost it the quorum.
        return LateEnsemble(limits=limits if limits is SAMPLE_LIMITS else {**limits, "syncLimit": "40"})
    oldest = ordinary.releases()[:1] if cause.own_stage else []
    return Ensemble(home=oldest[0] if oldest else None, limits=limits)


def _happen(
    cause: Cause, place: Place, since: float, meanwhile: Meanwhile, say: Callable[[str], None], until: float
) -> Story:
    form = place.form
    lasts = cause.lasts if form.is_real else cause.short
    assert lasts is not None
    time.sleep(max(0.0, since + cause.history * form.seconds("1m") - time.monotonic()))
    before = len(place.received())
    say(f"{cause.name}: begins" + (f"; already sent: {before}" if before else ""))
    harmed_at = time.monotonic()
    watching = _Watch(cause, place, harmed_at, say)
    try:
        cause.harm(place)
        meanwhile(cause, place)
        time.sleep(max(0.0, harmed_at + lasts - time.monotonic()))
    finally:
        cause.heal(place)
        place.stack.close()
    healed_at = time.monotonic()
    say(f"{cause.name}: healed")
    # Consequences have fired by then; notifications of resolved alerts come after their group's interval.
    calm = healed_at + (form.seconds("5m") if form.is_real else 15)

    def story() -> Story:
        return Story(cause, harmed_at, healed_at, watching.sent())

    while time.monotonic() < until and (time.monotonic() <= calm or (cause.resolves and not story().is_over)):
        time.sleep(_LOOK)
    watching.end()
    return story()


class _Watch:
    """Reports the notifications about a place as they arrive."""

    def __init__(self, cause: Cause, place: Place, begun: float, say: Callable[[str], None]) -> None:
        self._cause, self._place, self._begun, self._say = cause, place, begun, say
        self._said = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def sent(self) -> list[Notification]:
        """The notifications so far."""
        return self._place.received()

    def end(self) -> None:
        """Reports the rest, and stops."""
        self._over.set()
        self._thread.join()
        self._say_news()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK):
            self._say_news()

    def _say_news(self) -> None:
        received = self.sent()
        for sent in received[self._said :]:
            at = sent.at - self._begun
            self._say(f"{self._cause.name}: +{at:.0f} s {sent.status} {sent.severity} {sent.name}: {sent.summary}")
        self._said = len(received)


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for a run."""
    with tempfile.TemporaryDirectory(prefix="treecache-oncall-") as folder:
        yield Path(folder)
