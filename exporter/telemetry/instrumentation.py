"""Instrumentation: an application's own client, measured and traced from `instrument` to `uninstrument`."""

from __future__ import annotations

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

    Best before the client starts, to miss nothing. Caches come and go by themselves, those that started before
    included; the label `tree` is a cache's name. After a fork, each process instruments the clients that it makes.

    Args:
        client: the kazoo client, started or not.
        ensemble: the value of the label `ensemble`, which tells the clients of a registry apart.
        registry: where the metrics go; by default prometheus_client's own.
        tracer_provider: where the spans go; by default OpenTelemetry's global one.

    Raises:
        ValueError: the registry has another client of this ensemble or metrics of the same names, or two caches of the
            client have the same name.
        MultiprocessModeError: the environment has PROMETHEUS_MULTIPROC_DIR.
        IncompatibleKazooError: the installed kazoo lacks what the client is observed through.
    """
    with _changing, ExitStack() as undo:
        ensembles = _ensembles_of(registry)
        if ensemble in ensembles.instruments:
            raise ValueError(
                f"the registry has a client of ensemble {ensemble!r} already; "
                "tell clients apart with instrument(..., ensemble=...)"
            )
        instruments = ClientInstruments(ensemble, Session.attach(client))
        instruments.start()
        undo.callback(instruments.stop)
        ensembles.add(ensemble, instruments, registry)
        undo.callback(ensembles.remove, ensemble, registry)
        undo.callback(trace_client(client, tracer_provider))
        return Instrumentation(undo.pop_all())


class Instrumentation:
    """What `instrument` did, until it is undone; leaving its context undoes it."""

    def __init__(self, undo: ExitStack) -> None:
        self._undo = undo

    def uninstrument(self) -> None:
        """Takes the metrics off the registry and, unless others have the client traced, ends the tracing.

        Doing so again does nothing.
        """
        with _changing:
            self._undo.close()

    def __enter__(self) -> Instrumentation:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.uninstrument()


class _Ensembles:
    """The clients that one registry tells of, in one collector, since a registry takes each metric once."""

    def __init__(self) -> None:
        self.instruments: dict[str, ClientInstruments] = {}
        self._collector = EnsemblesCollector(self)

    def __iter__(self) -> Iterator[EnsembleSource]:
        return iter([instruments.source for instruments in list(self.instruments.values())])

    def add(self, ensemble: str, instruments: ClientInstruments, registry: CollectorRegistry) -> None:
        if not self.instruments:
            registry.register(self._collector)
        self.instruments[ensemble] = instruments

    def remove(self, ensemble: str, registry: CollectorRegistry) -> None:
        del self.instruments[ensemble]
        if not self.instruments:
            registry.unregister(self._collector)


_changing = threading.Lock()
_registries: WeakKeyDictionary[CollectorRegistry, _Ensembles] = WeakKeyDictionary()


def _ensembles_of(registry: CollectorRegistry) -> _Ensembles:
    return _registries.setdefault(registry, _Ensembles())
