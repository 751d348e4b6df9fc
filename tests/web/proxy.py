"""A proxy that serves the exporter below another path, as nginx and ingress controllers do."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tests import plainhttp

_OF_THE_CONNECTION = ("connection", "keep-alive", "transfer-encoding", "host")
_METHODS = ["GET", "HEAD", "POST"]


@contextlib.contextmanager
def proxied(upstream: str, public: str, in_place: str) -> Iterator[str]:
    """The URL at which `upstream` is served below the path `public`, which is replaced by `in_place`."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with plainhttp.AsyncClient(base_url=upstream, timeout=30) as app.state.client:
            yield

    async def hand_on(request: Request) -> Response:
        path = request.scope["raw_path"].decode("ascii")
        if not path.startswith(f"{public}/") and path != public:
            return PlainTextResponse("This is the proxy.\n", status_code=404)
        target = in_place + path.removeprefix(public)
        client: httpx.AsyncClient = request.app.state.client
        headers = [pair for pair in request.headers.items() if pair[0] not in _OF_THE_CONNECTION]
        asking = client.build_request(
            request.method, f"{target}?{request.scope['query_string'].decode()}", headers=headers
        )
        answer = await client.send(asking, stream=True)

        async def body() -> AsyncIterator[bytes]:
            try:
                async for part in answer.aiter_raw():
                    yield part
            finally:
                await answer.aclose()

        passed = {name: value for name, value in answer.headers.items() if name not in _OF_THE_CONNECTION}
        return StreamingResponse(body(), status_code=answer.status_code, headers=passed)

    app = Starlette(routes=[Route("/{path:path}", hand_on, methods=_METHODS)], lifespan=lifespan)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, lifespan="on", log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=[[listener]])
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}{public}"
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()
