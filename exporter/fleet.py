"""Fleet: the ensembles under watch, which a reload changes while scrapes read them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import structlog

from exporter.ensemble import WatchedEnsemble
from exporter.settings import Ensemble
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache import Shard

#: Seconds that all sessions together may take to end; a server that hangs would take longer.
STOP_TIMEOUT = 2.5

log = structlog.stdlib.get_logger("exporter")


class Fleet(Sequence[EnsembleSource]):
    """The sources of all ensembles, as they are at the moment of each iteration; of each tree the share of `shard`."""

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
        """Starts every ensemble; waits for none."""
        for ensemble in self._ensembles:
            ensemble.start()

    def change(self, settings: Iterable[Ensemble]) -> None:
        """Watches these ensembles from now on; what did not change keeps its session and its trees.

        Sessions that are no longer wanted end by themselves, later.
        """
        before = {ensemble.settings.name: ensemble for ensemble in self._ensembles}
        after: list[WatchedEnsemble] = []
        new: list[WatchedEnsemble] = []
        for wanted in settings:
            ensemble = before.get(wanted.name)
            if ensemble is not None and ensemble.can_become(wanted):
                ensemble.update(wanted)
            else:
                ensemble = WatchedEnsemble(wanted, shard=self._shard)
                new.append(ensemble)
            after.append(ensemble)
        ended = [ensemble for ensemble in self._ensembles if ensemble not in after]
        self._ensembles = tuple(after)
        for ensemble in new:
            ensemble.start()
        for ensemble in ended:
            log.info("ensemble ended", ensemble=ensemble.settings.name)
        threading.Thread(target=_stop, args=(ended,), daemon=True).start()

    def stop(self) -> None:
        """Stops every ensemble at the same time, and leaves behind what has not ended after `STOP_TIMEOUT`."""
        _stop(self._ensembles)


def _stop(ensembles: Iterable[WatchedEnsemble]) -> None:
    deadline = time.monotonic() + STOP_TIMEOUT
    threads = [threading.Thread(target=ensemble.stop, daemon=True) for ensemble in ensembles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        log.warning("sessions left to expire", reason=f"ZooKeeper did not answer within {STOP_TIMEOUT:g} s")
