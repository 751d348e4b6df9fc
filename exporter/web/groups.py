"""Groups: routes that belong together, in a list from which everything follows that a path needs.

That is the app's routes, the paths that the metrics cannot be served at, which connections are given up first when
there are too many, which paths need no password, and the links in the pages' header.
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


@dataclass(frozen=True)
class Context:
    """What the routes are made with.

    `history` is of all `ensembles`. `links` are the paths of this server by what they are called in the header;
    `dashboard_url` leads elsewhere. With `expose_data` the data of znodes is shown. `reload` is None where it is not
    allowed, `shard` where this exporter holds the whole of each tree.
    """

    ensembles: Sequence[EnsembleSource]
    history: History
    version: str
    links: Mapping[str, str]
    expose_data: bool = False
    dashboard_url: str | None = None
    reload: Reload | None = None
    shard: Shard | None = None


@dataclass(frozen=True)
class Place:
    """A path behind the prefix, and what is known of it before anything is served there.

    `kind` says what its connections are for, `is_open` that it needs no password, `link` what the pages' header calls
    it, "" where that does not name it. A path with a parameter, as `/docs/{name}`, is no place: it goes by the one
    above it.
    """

    path: str
    kind: Kind = Kind.PAGE
    is_open: bool = False
    link: str = ""


@dataclass(frozen=True)
class Made:
    """A group's routes, and what is to run for as long as they are served, if anything."""

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


#: Every group, in the order in which a request looks for its route; a new one is one line here.
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
)


def places(groups: Sequence[RouteGroup] = GROUPS) -> list[Place]:
    """The places of all groups."""
    return [place for group in groups for place in group.places]
