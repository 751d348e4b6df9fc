"""Instrumentation: measures and traces an application's own client, from `instrument` to `uninstrument`."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from weakref import WeakKeyDictionary

from kazoo.client import KazooClient
from opentelemetry.trace import TracerProvider
from prometheus_client import REGISTRY, CollectorRegistry

from exporter.telemetry.collectors import EnsemblesCollector
from exporter.telemetry.instruments import ClientInstruments
from exporter.telemetry.sources import EnsembleSource
from exporter.telemetry.tracing import trace_client
from exporter.zookeeper.session import Session


def instrument(
    client: KazooClient,
    *,
    ensemble: str = "default",
    registry: CollectorRegistry = REGISTRY,
    tracer_provider: TracerProvider | None = None,
) -> Instrumentation:
    """Adds the metrics of a client and of the `TreeCache`s on it to a registry, and makes a span for each of its calls.

    Call it before the client starts, to miss nothing. The metrics follow caches as these start and close, and include
    caches that have started already; the label `tree` is a cache's name.

    After a fork, each process makes, starts and instruments its own client. A client instrumented before the fork
    belongs to the parent: it has no metrics in the child, and the child's client takes its place in the registry. If
    it was not running at the fork, the child may start it, and it is measured there as well.

    Args:
        client: the kazoo client, started or not.
        ensemble: the value of the label `ensemble`, unique among the clients of a registry.
        registry: takes the metrics; by default prometheus_client's own.
        tracer_provider: takes the spans; by default OpenTelemetry's global one.

    Raises:
        ValueError: the registry has another client of this ensemble or metrics of the same names, or two caches of the
            client have the same name.
        MultiprocessModeError: the environment has PROMETHEUS_MULTIPROC_DIR.
        IncompatibleKazooError: the installed kazoo lacks private attributes that this package needs.
        ForkedClientError: the client was started before this process was forked.
    """
    with _changing, ExitStack() as undo:
        ensembles = _ensembles_of(registry)
        if ensembles.is_taken(ensemble):
            raise ValueError(
                f"the registry has a client of ensemble {ensemble!r} already; "
                "tell clients apart with instrument(..., ensemble=...)"
            )
        instruments = ClientInstruments(ensemble, Session.attach(client))
        ensembles.vacate(ensemble)
        instruments.start()
        undo.callback(instruments.stop)
        ensembles.add(ensemble, instruments, registry)
        undo.callback(ensembles.remove, ensemble, instruments, registry)
        undo.callback(trace_client(client, tracer_provider))
        return Instrumentation(undo.pop_all())


class Instrumentation:
    """The result of `instrument`; `uninstrument`, or leaving its context, undoes it."""

    def __init__(self, undo: ExitStack) -> None:
        self._undo = undo

    def uninstrument(self) -> None:
        """Removes the metrics from the registry and ends the tracing, unless others still have the client traced.

        Calling it again does nothing.
        """
        with _changing:
            self._undo.close()

    def __enter__(self) -> Instrumentation:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.uninstrument()


class _Ensembles:
    """All clients of one registry, as one collector, since a registry takes each metric once."""

    def __init__(self) -> None:
        self.instruments: dict[str, ClientInstruments] = {}
        self._collector = EnsemblesCollector(self)
        self._is_registered = False

    def __iter__(self) -> Iterator[EnsembleSource]:
        return iter([instruments.source for instruments in list(self.instruments.values()) if instruments.is_alive])

    def is_taken(self, ensemble: str) -> bool:
        instruments = self.instruments.get(ensemble)
        return instruments is not None and not instruments.gives_way

    def vacate(self, ensemble: str) -> None:
        """Removes a client that a fork has left here."""
        instruments = self.instruments.pop(ensemble, None)
        if instruments is not None:
            instruments.stop()

    def add(self, ensemble: str, instruments: ClientInstruments, registry: CollectorRegistry) -> None:
        if not self._is_registered:
            registry.register(self._collector)
            self._is_registered = True
        self.instruments[ensemble] = instruments

    def remove(self, ensemble: str, instruments: ClientInstruments, registry: CollectorRegistry) -> None:
        if self.instruments.get(ensemble) is instruments:
            del self.instruments[ensemble]
        if not self.instruments and self._is_registered:
            registry.unregister(self._collector)
            self._is_registered = False


_changing = threading.Lock()
_registries: WeakKeyDictionary[CollectorRegistry, _Ensembles] = WeakKeyDictionary()


def _ensembles_of(registry: CollectorRegistry) -> _Ensembles:
    return _registries.setdefault(registry, _Ensembles())


def _after_fork() -> None:
    """In a fork's child: renews the locks, which a scrape in the parent may have held at the fork."""
    global _changing
    _changing = threading.Lock()
    for registry in list(_registries):
        # prometheus_client does not renew its own.
        if "_lock" in registry.__dict__:
            registry.__dict__["_lock"] = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
