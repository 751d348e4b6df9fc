"""Lifecycle: `POST /-/reload`, with the same answers as Prometheus."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from exporter.config.settings import SettingsError

RELOAD_PATH = "/-/reload"

#: Reloads the configuration; raises SettingsError if it is bad.
Reload = Callable[[], Awaitable[None]]


def reload_route(reload: Reload | None) -> Route:
    """The route; `reload` is None if reloading is not allowed."""

    async def respond(_request: Request) -> Response:
        if reload is None:
            return PlainTextResponse("Lifecycle API is not enabled.\n", status_code=403)
        try:
            await reload()
        except SettingsError as error:
            return PlainTextResponse(f"failed to reload config:\n{error}\n", status_code=500)
        return PlainTextResponse("Reloaded.\n")

    return Route(RELOAD_PATH, respond, methods=["POST", "PUT"])
