"""App: what is served under which path, as an ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.routing import Route

from exporter.pages.history import History
from exporter.pages.prefix import under
from exporter.pages.routes import DOCS_PATH, EVENTS_PATH, PATHS, Pages
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache import Shard
from exporter.web.lifecycle import RELOAD_PATH, Reload, reload_route
from exporter.web.lobby import Kind
from exporter.web.probes import HEALTHY_PATH, READY_PATH, Probes
from exporter.web.scrapes import Scrapes

#: What a telemetry path must not be.
RESERVED_PATHS = (*PATHS, HEALTHY_PATH, READY_PATH, RELOAD_PATH)


def create_app(
    registry: CollectorRegistry,
    ensembles: Sequence[EnsembleSource],
    *,
    telemetry_path: str,
    version: str,
    route_prefix: str = "",
    expose_data: bool = False,
    dashboard_url: str | None = None,
    reload: Reload | None = None,
    shard: Shard | None = None,
) -> Starlette:
    """The exporter's pages. `registry` is collected for each scrape of `telemetry_path`, `POST /-/reload` reloads.

    All paths have `route_prefix` before them; `/` and the prefix without a slash lead to the first page. With
    `expose_data` the pages show what is in znodes, if the caches keep it. They link to `dashboard_url`, and show which
    share of the trees this is.
    """
    history = History(ensembles)
    pages = Pages(
        ensembles,
        history,
        version=version,
        links={"Metrics": telemetry_path, "Docs": DOCS_PATH, "Healthy": HEALTHY_PATH, "Ready": READY_PATH},
        dashboard_url=dashboard_url,
        expose_data=expose_data,
        shard=shard,
    )
    app = Starlette(
        routes=under(
            route_prefix,
            [
                # First: it may be below that of the documents.
                Route(telemetry_path, Scrapes(registry).answer),
                *pages.routes,
                *Probes(history).routes,
                reload_route(reload),
            ],
        ),
        lifespan=_kept_up_to_date(pages),
    )
    app.router.redirect_slashes = False
    return app


def open_to_all(route_prefix: str = "") -> frozenset[str]:
    """The paths that need no password, or a probe would need one."""
    return frozenset({route_prefix + HEALTHY_PATH, route_prefix + READY_PATH})


def kinds(telemetry_path: str, route_prefix: str = "") -> Callable[[str], Kind]:
    """What a request asks for, by its path, where Prometheus scrapes `telemetry_path` behind the prefix."""
    essential = (telemetry_path, HEALTHY_PATH, READY_PATH, RELOAD_PATH)
    known = {route_prefix + path: Kind.ESSENTIAL for path in essential}
    known[route_prefix + EVENTS_PATH] = Kind.STREAM
    return lambda path: known.get(path, Kind.PAGE)


def _kept_up_to_date(pages: Pages) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """What keeps charts and open pages going for as long as the app is served."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(pages.live.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    return lifespan
