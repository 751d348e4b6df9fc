"""Fleet: the watched ensembles, which a reload changes while scrapes read them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import overload

import structlog

from exporter.config.settings import Ensemble
from exporter.daemon.ensemble import WatchedEnsemble
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache import Shard

#: Seconds that all sessions together may take to close; a server that hangs would take longer.
STOP_TIMEOUT = 2.5

log = structlog.stdlib.get_logger("exporter")


class Fleet(Sequence[EnsembleSource]):
    """The sources of all ensembles, current at each iteration; each tree is limited to `shard`'s share."""

    def __init__(self, settings: Iterable[Ensemble], shard: Shard | None = None) -> None:
        self._shard = shard or Shard()
        self._ensembles = tuple(WatchedEnsemble(ensemble, shard=self._shard) for ensemble in settings)

    def __len__(self) -> int:
        return len(self._ensembles)

    @overload
    def __getitem__(self, index: int) -> EnsembleSource: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[EnsembleSource]: ...
    def __getitem__(self, index: int | slice) -> EnsembleSource | Sequence[EnsembleSource]:
        sources = [ensemble.source for ensemble in self._ensembles]
        return sources[index]

    def __iter__(self) -> Iterator[EnsembleSource]:
        return iter(self[:])

    def start(self) -> None:
        """Starts every ensemble without waiting for it."""
        for ensemble in self._ensembles:
            ensemble.start()

    def change(self, settings: Iterable[Ensemble]) -> None:
        """Watches these ensembles from now on; unchanged ensembles and trees keep their sessions and caches.

        Sessions that are no longer wanted are closed in the background.

        Raises the error if an ensemble or a tree cannot start, because the process is out of threads or file
        descriptors. If a new ensemble failed, nothing has changed; if a tree of an existing ensemble failed, everything
        else has changed.
        """
        before = {ensemble.settings.name: ensemble for ensemble in self._ensembles}
        after: list[tuple[WatchedEnsemble, Ensemble]] = []
        new: list[WatchedEnsemble] = []
        for wanted in settings:
            ensemble = before.get(wanted.name)
            if ensemble is None or not ensemble.can_become(wanted):
                ensemble = WatchedEnsemble(wanted, shard=self._shard)
                new.append(ensemble)
            after.append((ensemble, wanted))
        _start(new)
        kept = [ensemble for ensemble, _ in after]
        ended = [ensemble for ensemble in self._ensembles if ensemble not in kept]
        self._ensembles = tuple(kept)
        try:
            _update(after)
        finally:
            for ensemble in ended:
                log.info("ensemble ended", ensemble=ensemble.settings.name)
            _in_a_thread(lambda: _stop(ended))

    def stop(self) -> None:
        """Stops all ensembles concurrently, and abandons any that have not stopped after `STOP_TIMEOUT`."""
        _stop(self._ensembles)


def _start(ensembles: Iterable[WatchedEnsemble]) -> None:
    """Starts all of them or none."""
    started: list[WatchedEnsemble] = []
    try:
        for ensemble in ensembles:
            ensemble.start()
            started.append(ensemble)
    except Exception:
        _in_a_thread(lambda: _stop(started))
        raise


def _update(ensembles: Iterable[tuple[WatchedEnsemble, Ensemble]]) -> None:
    """Updates all of them, even if one fails; then raises the first error."""
    failures: list[Exception] = []
    for ensemble, settings in ensembles:
        try:
            ensemble.update(settings)
        except Exception as failure:
            failures.append(failure)
    if failures:
        raise failures[0]


def _stop(ensembles: Iterable[WatchedEnsemble]) -> None:
    deadline = time.monotonic() + STOP_TIMEOUT
    threads = list(filter(None, [_in_a_thread(ensemble.stop) for ensemble in ensembles]))
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        log.warning("sessions left to expire", reason=f"ZooKeeper did not answer within {STOP_TIMEOUT:g} s")


def _in_a_thread(act: Callable[[], None]) -> threading.Thread | None:
    """Runs `act` in a thread; if none can be started, runs it here and blocks."""
    thread = threading.Thread(target=act, daemon=True)
    try:
        thread.start()
    except RuntimeError:
        act()
        return None
    return thread
