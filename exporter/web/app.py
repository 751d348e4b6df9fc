"""App: the ASGI application, with all routes."""

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

#: Paths that the telemetry path must not be.
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
    probe_any_target: bool = False,
    groups: Sequence[RouteGroup] = GROUPS,
) -> Starlette:
    """The exporter's application. Each scrape of `telemetry_path` collects `registry`; `POST /-/reload` calls `reload`.

    All paths start with `route_prefix`; `/` and the prefix without a slash redirect to the first page. With
    `expose_data`, the pages show znodes' data if the caches keep it. They link to `dashboard_url` and name the `shard`.
    With `probe_any_target`, `/probe` asks any server, not only those of `ensembles`.
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
        probe_any_target=probe_any_target,
    )
    made = [group.make(context) for group in groups]
    # The telemetry path comes first, because it may be below the path of the documents.
    routes = [Route(telemetry_path, Scrapes(registry).answer), *(route for one in made for route in one.routes)]
    app = Starlette(routes=under(route_prefix, routes), lifespan=_kept_going(made))
    app.router.redirect_slashes = False
    return app


def open_to_all(route_prefix: str = "", groups: Sequence[RouteGroup] = GROUPS) -> frozenset[str]:
    """The paths that need no password, so that probes do not need one."""
    return frozenset(route_prefix + place.path for place in places(groups) if place.is_open)


def kinds(telemetry_path: str, route_prefix: str = "", groups: Sequence[RouteGroup] = GROUPS) -> Callable[[str], Kind]:
    """Maps the path of a request to its kind; `telemetry_path` is below the prefix."""
    known = {route_prefix + place.path: place.kind for place in places(groups)}
    known[route_prefix + telemetry_path] = Kind.ESSENTIAL
    return lambda path: known.get(path, Kind.PAGE)


def _kept_going(made: Sequence[Made]) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """Runs the background tasks of the routes while the app is served; they keep charts and open pages up to date."""

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
