"""Pages: `/`, `/browse` and `/docs`, with their style and their script."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import anyio.to_thread
from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from exporter.pages import browser, documents, status
from exporter.pages.conditions import situation_of
from exporter.pages.format import brief, counted, human_count, visible
from exporter.pages.headline import Connected, headline
from exporter.pages.history import History, Look
from exporter.pages.live import Live, TooManyPagesError
from exporter.pages.prefix import relative
from exporter.pages.rules import metrics_from
from exporter.pages.standing import Places, Standing
from exporter.pages.turns import Turns, endings
from exporter.telemetry.sources import EnsembleSource
from exporter.treecache import Shard

STATUS_PATH, BROWSE_PATH, DOCS_PATH, EVENTS_PATH = "/", "/browse", documents.PATH, "/-/events"
STYLE_PATH, SCRIPT_PATH = "/-/page.css", "/-/page.js"
#: Trees of one ensemble on the status page, and on one page of its list of trees.
TREES_SHOWN = 200
#: Concurrent requests, and how many more may wait: for `/browse`, and for the rest.
_BROWSING, _READING = (2, 62), (2, 126)


@dataclass(frozen=True)
class _List:
    """A page of one ensemble's trees, the total number, and the name after which the next page starts, or ""."""

    ensemble: str
    total: int
    trees: Sequence[Standing]
    next_after: str


class Pages:
    """The pages about these ensembles, or about `shard`'s share of their trees. Keeps `history` up to date.

    `links` are this server's other paths by title; `dashboard_url` may lead to another server.
    """

    def __init__(
        self,
        ensembles: Sequence[EnsembleSource],
        history: History,
        *,
        version: str,
        links: Mapping[str, str],
        dashboard_url: str | None,
        expose_data: bool,
        shard: Shard | None = None,
    ) -> None:
        self._ensembles = ensembles
        self._expose_data = expose_data
        self._history = history
        self._places = Places(TREES_SHOWN)
        self._browsing, self._reading = Turns(*_BROWSING), Turns(*_READING)
        self.live = Live(self._history.look, self._now)
        self._files = {name: _file(name) for name in ("page.css", "page.js")}
        self._digests = {name: _digest(text) for name, text in self._files.items()}
        self._environment = _environment()
        self._environment.globals.update(
            version=version,
            shard=shard if shard is not None and shard.total > 1 else None,
            expose_data=expose_data,
        )
        self._links, self._dashboard_url = links, dashboard_url
        self._documents = documents.packaged()

    @property
    def routes(self) -> list[Route]:
        """The routes. Reading a cache may take a moment, so pages are made on worker threads."""
        return [
            Route(STATUS_PATH, self._reading.taking(self._status)),
            Route(BROWSE_PATH, self._browsing.taking(self._browse)),
            Route(DOCS_PATH, self._reading.taking(self._docs)),
            Route(f"{DOCS_PATH}/{{name}}", self._reading.taking(self._document)),
            Route(EVENTS_PATH, self._events),
            Route(STYLE_PATH, self._style),
            Route(SCRIPT_PATH, self._script),
        ]

    async def run(self) -> None:
        """Keeps open pages up to date until it is cancelled."""
        # Loads the renderer early: when somebody needs a runbook later, many clients may have used up the file
        # descriptors. If none is free even now, the first document loads it.
        with contextlib.suppress(OSError):
            await anyio.to_thread.run_sync(documents.renderer)
        await self.live.run()

    def _now(self) -> status.Status:
        return status.status(self._history, self._places)

    def _status(self, _request: Request) -> Response:
        now = self._now()
        return self._page(
            "status.html",
            status=now,
            changes=status.as_json(now.changes),
            faults=status.as_json(now.faults),
            browsable=self._browsable(),
        )

    def _browsable(self) -> set[tuple[str, str]]:
        return {(one.name, name) for one in self._ensembles for name in one.caches if self._find(one.name, name)}

    def _browse(self, request: Request) -> Response:
        asked = {
            name: request.query_params.get(name, "") for name in ("ensemble", "tree", "path", "after", "view", "sort")
        }
        cache = self._find(asked["ensemble"], asked["tree"])
        if cache is None:
            return self._trees(asked)
        view = asked["view"] if asked["view"] in browser.VIEWS else "text"
        order = asked["sort"] if asked["sort"] in browser.ORDERS else "name"
        znode = browser.look_up(
            cache, asked["path"], after=asked["after"], view=view, order=order, expose_data=self._expose_data
        )
        wrong, level = self._wrong_with(asked["ensemble"], asked["tree"])
        return self._page(
            "browse.html",
            asked=asked,
            znode=znode,
            view=view,
            views=browser.VIEWS,
            orders=browser.ORDERS,
            wrong=wrong,
            level=level,
            metrics=self._metrics_from(asked["ensemble"], asked["tree"], znode.path),
        )

    def _metrics_from(self, ensemble: str, tree: str, path: str) -> list[str]:
        """The metrics that rules make from a znode."""
        views = next((one.views for one in self._ensembles if one.name == ensemble), {})
        return metrics_from(views.get(tree), path)

    def _wrong_with(self, ensemble: str, tree: str) -> tuple[str, str]:
        """The problems of a tree whose znodes are shown, and their level; "" for a complete tree."""
        found = self._history.standing(ensemble, tree)
        text, level, _ = headline([] if found is None else [Connected(situation_of(found[0]), [found[1]])])
        return ("", level) if level == "good" else (text, level)

    def _trees(self, asked: Mapping[str, str]) -> Response:
        """The trees of one or all ensembles by name, including trees that have no place on the status page."""
        looks = self._history.look()
        if asked["ensemble"] or asked["tree"]:
            looks = [look for look in looks if look.name == asked["ensemble"]]
        if asked["tree"] or (asked["ensemble"] and not looks):
            return self._page("missing.html", status_code=404, asked=asked)
        return self._page(
            "trees.html",
            asked=asked,
            total=sum(len(look.trees) for look in looks),
            lists=[self._list(look, asked, TREES_SHOWN // len(looks) or 1) for look in looks],
            browsable=self._browsable(),
        )

    def _list(self, look: Look, asked: Mapping[str, str], limit: int) -> _List:
        found = [
            tree
            for tree in sorted(look.standings, key=lambda one: one.name)
            if tree.name.startswith(asked["path"]) and tree.name > asked["after"]
        ]
        shown = found[:limit]
        return _List(look.name, len(look.trees), shown, shown[-1].name if len(found) > limit else "")

    def _docs(self, _request: Request) -> Response:
        return self._page("docs.html", documents=list(self._documents))

    def _document(self, request: Request) -> Response:
        document = self._documents.find(request.path_params["name"])
        if document is None:
            return self._page("undocumented.html", status_code=404, depth=1)
        return self._page("document.html", depth=1, document=document)

    async def _events(self, request: Request) -> Response:
        try:
            messages = self.live.open(*endings(request))
        except TooManyPagesError:
            return PlainTextResponse("Too many open pages.\n", status_code=503, headers={"Retry-After": "10"})
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        if request.method == "HEAD":
            return Response(media_type="text/event-stream", headers=headers)
        return StreamingResponse(messages, media_type="text/event-stream", headers=headers)

    async def _style(self, _request: Request) -> Response:
        return self._static("page.css", "text/css")

    async def _script(self, _request: Request) -> Response:
        return self._static("page.js", "text/javascript")

    def _static(self, name: str, media_type: str) -> Response:
        # The address contains a digest of the file.
        headers = {"Cache-Control": "private, max-age=31536000, immutable"}
        return Response(self._files[name], media_type=media_type, headers=headers)

    def _find(self, ensemble: str, tree: str) -> browser.Browsable | None:
        return browser.find(self._ensembles, ensemble, tree)

    def _page(self, template: str, *, status_code: int = 200, depth: int = 0, **shown: object) -> Response:
        """A page that is `depth` levels below the first one."""
        shown |= self._addresses(depth)
        content = self._environment.get_template(template).render(shown)
        return HTMLResponse(content, status_code=status_code, headers={"Cache-Control": "no-store"})

    def _addresses(self, depth: int) -> Mapping[str, object]:
        """The links of a page."""
        links = {name: relative(path, depth) for name, path in self._links.items()}
        return {
            "links": links | ({"Dashboards": self._dashboard_url} if self._dashboard_url else {}),
            "style": f"{relative(STYLE_PATH, depth)}?{self._digests['page.css']}",
            "script": f"{relative(SCRIPT_PATH, depth)}?{self._digests['page.js']}",
            "home": relative(STATUS_PATH, depth),
            "browse": relative(BROWSE_PATH, depth),
            "docs": relative(DOCS_PATH, depth),
            "events": relative(EVENTS_PATH, depth),
        }


class _Compiled(BytecodeCache):
    """Templates are compiled once in a process, however many servers it has."""

    def __init__(self) -> None:
        self._code: dict[str, Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Gives a bucket its code, if there is any."""
        bucket.code = self._code.get(bucket.key)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keeps the code of a bucket."""
        self._code[bucket.key] = bucket.code


_COMPILED = _Compiled()


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("exporter.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=_COMPILED,
    )
    environment.filters.update(count=human_count, counted=counted, visible=visible, brief=brief)
    environment.globals.update(chart_width=status.CHART_WIDTH, chart_height=status.CHART_HEIGHT)
    # Loaded now: later the process may have run out of file descriptors.
    for name in environment.list_templates():
        environment.get_template(name)
    return environment


def _file(name: str) -> str:
    return resources.files("exporter.pages").joinpath(f"static/{name}").read_text("utf-8")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
