"""A new group of routes is one line: its paths, links, passwords and kinds of connections follow from the list."""

from __future__ import annotations

import asyncio

import httpx
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter.pages.history import History
from exporter.telemetry.collectors import build_registry
from exporter.web.app import create_app, kinds, open_to_all
from exporter.web.groups import GROUPS, Context, Made, Place, RouteGroup, places
from exporter.web.lobby import Kind
from tests import plainhttp


async def hello(_request: Request) -> Response:
    return PlainTextResponse("Hello.\n")


API = RouteGroup(
    "api",
    (Place("/api/hello", Kind.ESSENTIAL, is_open=True, link="Hello"), Place("/api/private")),
    lambda context: Made([Route(path, hello) for path in ("/api/hello", "/api/private")]),
)


def test_each_route_is_at_a_place_that_is_known_or_below_it() -> None:
    context = Context([], History([]), version="1", links={})
    for group in GROUPS:
        known = [place.path for place in group.places]
        paths = [route.path for route in group.make(context).routes]
        assert {path.partition("/{")[0] for path in paths} == set(known), group.name


def test_no_two_groups_have_a_name_or_a_place_in_common() -> None:
    assert len({group.name for group in GROUPS}) == len(GROUPS)
    assert len({place.path for place in places()}) == len(places())


def test_a_group_that_is_added_is_served_and_linked() -> None:
    groups = (*GROUPS, API)
    app = create_app(
        build_registry([], "1"), [], telemetry_path="/metrics", version="1", route_prefix="/zk", groups=groups
    )

    async def get(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with plainhttp.AsyncClient(transport=transport, base_url="http://exporter") as client:
            return await client.get(path)

    assert asyncio.run(get("/zk/api/hello")).text == "Hello.\n"
    assert asyncio.run(get("/api/hello")).status_code == 404
    assert 'href="api/hello"' in asyncio.run(get("/zk/")).text
    assert "/zk/api/hello" in open_to_all("/zk", groups)
    assert "/zk/api/private" not in open_to_all("/zk", groups)
    kind_of = kinds("/metrics", "/zk", groups)
    found = [kind_of(f"/zk{path}") for path in ("/api/hello", "/api/private", "/metrics", "/none")]
    assert found == [Kind.ESSENTIAL, Kind.PAGE, Kind.ESSENTIAL, Kind.PAGE]
