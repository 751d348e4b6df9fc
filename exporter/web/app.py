"""App: what is served under which path, as an ASGI application."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter.telemetry.sources import EnsembleSource
from exporter.web.exposition import expose
from exporter.web.status import StatusPage

HEALTHY_PATH = "/-/healthy"
READY_PATH = "/-/ready"
#: What a telemetry path must not be.
RESERVED_PATHS = ("/", HEALTHY_PATH, READY_PATH)


def create_app(
    registry: CollectorRegistry, ensembles: Sequence[EnsembleSource], *, telemetry_path: str, version: str
) -> Starlette:
    """The exporter's pages. `registry` is collected for each scrape of `telemetry_path`."""
    status = StatusPage(
        ensembles,
        version=version,
        links={"Metrics": telemetry_path, "Healthy": HEALTHY_PATH, "Ready": READY_PATH},
    )

    # Functions, not coroutines: Starlette runs those on a worker thread, and neither collecting nor asking a cache
    # for its stats may hold up the event loop.
    def metrics(request: Request) -> Response:
        return expose(registry, request)

    def healthy(_request: Request) -> Response:
        return PlainTextResponse("Healthy.\n")

    def ready(_request: Request) -> Response:
        loading = [tree for ensemble in ensembles for tree in trees_never_loaded(ensemble)]
        if loading:
            return PlainTextResponse(f"Loading: {', '.join(loading)}.\n", status_code=503)
        return PlainTextResponse("Ready.\n")

    app = Starlette(
        routes=[
            Route("/", status.respond),
            Route(telemetry_path, metrics),
            Route(HEALTHY_PATH, healthy),
            Route(READY_PATH, ready),
        ],
    )
    app.router.redirect_slashes = False
    return app


def trees_never_loaded(ensemble: EnsembleSource) -> list[str]:
    """The trees that were never complete. A tree that once was stays out of this, whatever became of its session."""
    return [name for name, cache in ensemble.caches.items() if not cache.stats().events["initialized"]]
