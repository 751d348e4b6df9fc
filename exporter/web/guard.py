"""Guard: wraps the app with basic authentication and security headers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.config.web import WebConfig
from exporter.pages.turns import too_many
from exporter.web.auth import CHALLENGE, PasswordCheck, TooManyAttemptsError, credentials
from exporter.web.lobby import network_of

#: The pages may load only their own style and script, and nobody may frame them.
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "deny",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Guard:
    """An ASGI app around another one.

    `config` returns the web configuration in use. Paths in `open_to_all` need no password, so that probes do not.
    """

    def __init__(self, app: ASGIApp, config: Callable[[], WebConfig | None], open_to_all: frozenset[str]) -> None:
        self._app = app
        self._config = config
        self._open_to_all = open_to_all
        self._passwords = PasswordCheck()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        config = self._config()
        send = _with_headers(send, {**SECURITY_HEADERS, **(config.headers if config else {})})
        refusal = _refusal(scope) or await self._challenge(scope, config)
        if refusal is None and scope.get("state", {}).get("refused"):
            refusal = too_many()
        # Only the server's shutdown cancels; uvicorn would log a traceback for each request.
        with contextlib.suppress(asyncio.CancelledError):
            await (refusal or self._app)(scope, receive, send)

    def close(self) -> None:
        """Stops the thread that hashes passwords."""
        self._passwords.close()

    async def _challenge(self, scope: Scope, config: WebConfig | None) -> Response | None:
        if config is None or not config.users or scope["path"] in self._open_to_all:
            return None
        given = credentials(Headers(scope=scope).get("authorization", "").encode("latin-1"))
        try:
            if given is not None and await self._passwords.is_right(config.users, *given, client=_client(scope)):
                return None
        except TooManyAttemptsError:
            return PlainTextResponse("Too many attempts.\n", status_code=429, headers={"Retry-After": "1"})
        return PlainTextResponse("Unauthorized.\n", status_code=401, headers={"WWW-Authenticate": CHALLENGE})


def _refusal(scope: Scope) -> Response | None:
    """Refuses requests that a proxy and this server may parse differently (RFC 9112, 6.3), and other sites' forms."""
    headers = Headers(scope=scope)
    if scope["method"] not in _SAFE_METHODS and _is_of_another_site(headers):
        # A browser would add the password automatically.
        return PlainTextResponse("Cross-site requests are not allowed.\n", status_code=403)
    if "content-length" in headers and "transfer-encoding" in headers:
        return PlainTextResponse("Ambiguous length.\n", status_code=400, headers={"Connection": "close"})
    return None


def _client(scope: Scope) -> str:
    return network_of(scope["client"][0]) if scope.get("client") else ""


def _is_of_another_site(headers: Headers) -> bool:
    """Whether the request's headers name another site. Browsers send more of them over HTTPS and to localhost."""
    origin = headers.get("origin")
    is_of_another_origin = origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower()
    return is_of_another_origin or headers.get("sec-fetch-site") in ("cross-site", "same-site")


def _with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    """Sends responses with these headers instead of the response's own; an empty value removes a header."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            found = MutableHeaders(scope=message)
            for name, value in headers.items():
                if value:
                    found[name] = value
                elif name in found:
                    del found[name]
        await send(message)

    return send_with_headers
