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
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache import Shard
from exporter.web.groups import GROUPS, Context, Made, RouteGroup, places
from exporter.web.lifecycle import Reload
from exporter.web.lobby import Kind
from exporter.web.scrapes import Scrapes

#: What a telemetry path must not be.
RESERVED_PATHS = tuple(place.path for place in places())


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
    groups: Sequence[RouteGroup] = GROUPS,
) -> Starlette:
    """The exporter's pages. `registry` is collected for each scrape of `telemetry_path`, `POST /-/reload` reloads.

    All paths have `route_prefix` before them; `/` and the prefix without a slash lead to the first page. With
    `expose_data` the pages show what is in znodes, if the caches keep it. They link to `dashboard_url`, and show which
    share of the trees this is.
    """
    context = Context(
        ensembles,
        History(ensembles),
        version=version,
        links={"Metrics": telemetry_path, **{place.link: place.path for place in places(groups) if place.link}},
        expose_data=expose_data,
        dashboard_url=dashboard_url,
        reload=reload,
        shard=shard,
    )
    made = [group.make(context) for group in groups]
    # First: the telemetry path may be below that of the documents.
    routes = [Route(telemetry_path, Scrapes(registry).answer), *(route for one in made for route in one.routes)]
    app = Starlette(routes=under(route_prefix, routes), lifespan=_kept_going(made))
    app.router.redirect_slashes = False
    return app


def open_to_all(route_prefix: str = "", groups: Sequence[RouteGroup] = GROUPS) -> frozenset[str]:
    """The paths that need no password, or a probe would need one."""
    return frozenset(route_prefix + place.path for place in places(groups) if place.is_open)


def kinds(telemetry_path: str, route_prefix: str = "", groups: Sequence[RouteGroup] = GROUPS) -> Callable[[str], Kind]:
    """What a request asks for, by its path, where Prometheus scrapes `telemetry_path` behind the prefix."""
    known = {route_prefix + place.path: place.kind for place in places(groups)}
    known[route_prefix + telemetry_path] = Kind.ESSENTIAL
    return lambda path: known.get(path, Kind.PAGE)


def _kept_going(made: Sequence[Made]) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """Runs what goes with the routes for as long as the app is served: it keeps charts and open pages up to date."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.ensure_future(one.run()) for one in made if one.run is not None]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    return lifespan
