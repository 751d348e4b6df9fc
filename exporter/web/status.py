"""Status page: what a person sees at `/`, links and the state of each tree; no script, no data of znodes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from exporter.telemetry.sources import EnsembleSource

_UNITS = ("KiB", "MiB", "GiB", "TiB")


class StatusPage:
    """The page at `/`. `links` are the other pages, by what they are called."""

    def __init__(self, ensembles: Sequence[EnsembleSource], *, version: str, links: Mapping[str, str]) -> None:
        environment = Environment(
            loader=PackageLoader("exporter.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters["bytes"] = human_bytes
        environment.filters["count"] = human_count
        style = resources.files("exporter.web").joinpath("templates/style.css").read_text("utf-8")
        self._template = environment.get_template("status.html")
        self._constants = {"version": version, "links": links, "style": Markup(style)}
        self._ensembles = ensembles
        self._headers = {
            "Content-Security-Policy": f"default-src 'none'; img-src data:; style-src 'sha256-{_sha256(style)}'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        }

    def respond(self, _request: Request) -> Response:
        """The page as of now."""
        ensembles = [
            {
                "name": ensemble.name,
                "client": ensemble.client.stats(),
                "trees": [(name, cache.stats()) for name, cache in ensemble.caches.items()],
            }
            for ensemble in self._ensembles
        ]
        return HTMLResponse(self._template.render(self._constants, ensembles=ensembles), headers=self._headers)


def human_bytes(size: int) -> str:
    """A size as a person reads it, for example `1.5 MiB`."""
    if size < 1024:
        return f"{size} B"
    power = min(len(_UNITS), (size.bit_length() - 1) // 10)
    return f"{size / 1024**power:.1f} {_UNITS[power - 1]}"


def human_count(number: int) -> str:
    """A number with its thousands apart."""
    return f"{number:,}".replace(",", "\u202f")


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
