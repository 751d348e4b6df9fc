"""Prefix: serves everything below a path, with links that also work behind a proxy.

Links are relative, so that they also work if a proxy replaces or strips the prefix. For that, a page has to know how
many levels it is below the prefix.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def relative(path: str, depth: int = 0) -> str:
    """A path of this server as a link on pages that are `depth` levels below the prefix."""
    return "../" * depth + path.removeprefix("/") or "./"


def under(prefix: str, routes: Sequence[Route]) -> list[Route]:
    """The routes below the prefix. As in Prometheus, `/` and the prefix without a slash redirect to the first page."""
    behind = [Route(prefix + route.path, route.endpoint, methods=list(route.methods or ())) for route in routes]
    if not prefix:
        return behind
    return [_redirect("/", relative(prefix)), _redirect(prefix, prefix.rpartition("/")[2]), *behind]


def _redirect(path: str, to: str) -> Route:
    async def respond(_request: Request) -> Response:
        return Response(status_code=302, headers={"Location": f"{to}/"})

    return Route(path, respond)
