"""Groups: the list of all groups of routes, from which everything about paths is derived.

That is: the app's routes, the paths that the telemetry path cannot be, the kinds of connections, the paths without
password, and the links in the pages' header.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from starlette.routing import Route

from exporter.pages import routes as pages
from exporter.pages.history import History
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache import Shard
from exporter.web.lifecycle import RELOAD_PATH, Reload, reload_route
from exporter.web.lobby import Kind
from exporter.web.probes import HEALTHY_PATH, READY_PATH, Probes
from exporter.web.serverprobes import PROBE_PATH, ServerProbes


@dataclass(frozen=True)
class Context:
    """The objects and options that the routes use.

    `history` covers all `ensembles`. `links` are this server's paths by their titles in the header; `dashboard_url` may
    be elsewhere. With `expose_data`, pages show znodes' data. `reload` is None if reloading is not allowed, `shard` if
    this exporter holds whole trees. With `probe_any_target`, probes may name servers that the configuration does not.
    """

    ensembles: Sequence[EnsembleSource]
    history: History
    version: str
    links: Mapping[str, str]
    expose_data: bool = False
    dashboard_url: str | None = None
    reload: Reload | None = None
    shard: Shard | None = None
    probe_any_target: bool = False


@dataclass(frozen=True)
class Place:
    """A path below the prefix.

    `kind` is the kind of its connections, `is_open` says that it needs no password, `link` is its title in the pages'
    header, "" for none. A path with a parameter, such as `/docs/{name}`, is covered by the place above it.
    """

    path: str
    kind: Kind = Kind.PAGE
    is_open: bool = False
    link: str = ""


@dataclass(frozen=True)
class Made:
    """A group's routes, and the background task that runs while they are served, if any."""

    routes: Sequence[Route]
    run: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True)
class RouteGroup:
    """Routes that belong together."""

    name: str
    places: tuple[Place, ...]
    make: Callable[[Context], Made]


def _pages(context: Context) -> Made:
    made = pages.Pages(
        context.ensembles,
        context.history,
        version=context.version,
        links=context.links,
        dashboard_url=context.dashboard_url,
        expose_data=context.expose_data,
        shard=context.shard,
    )
    return Made(made.routes, made.run)


#: All groups; the first matching route answers a request. A new group is one line here.
GROUPS: tuple[RouteGroup, ...] = (
    RouteGroup(
        "pages",
        (
            Place(pages.STATUS_PATH),
            Place(pages.BROWSE_PATH),
            Place(pages.DOCS_PATH, link="Docs"),
            Place(pages.EVENTS_PATH, Kind.STREAM),
            Place(pages.STYLE_PATH),
            Place(pages.SCRIPT_PATH),
        ),
        _pages,
    ),
    RouteGroup(
        "probes",
        (
            Place(HEALTHY_PATH, Kind.ESSENTIAL, is_open=True, link="Healthy"),
            Place(READY_PATH, Kind.ESSENTIAL, is_open=True, link="Ready"),
        ),
        lambda context: Made(Probes(context.history).routes),
    ),
    RouteGroup(
        "lifecycle",
        (Place(RELOAD_PATH, Kind.ESSENTIAL),),
        lambda context: Made([reload_route(context.reload)]),
    ),
    RouteGroup(
        "server probes",
        (Place(PROBE_PATH, Kind.ESSENTIAL),),
        lambda context: Made([ServerProbes(context.ensembles, context.probe_any_target).route]),
    ),
)


def places(groups: Sequence[RouteGroup] = GROUPS) -> list[Place]:
    """The places of all groups."""
    return [place for group in groups for place in group.places]
