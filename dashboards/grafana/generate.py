"""Generate: the dashboards as the JSON that Grafana imports."""

from __future__ import annotations

import json
from collections.abc import Mapping

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.grafana.client import client
from dashboards.grafana.ensemble import ensemble
from dashboards.grafana.limits import Limits
from dashboards.grafana.overview import overview
from dashboards.grafana.tree import tree
from dashboards.grafana.znodes import znodes
from dashboards.prometheus.parameters import Parameters


def documents(parameters: Parameters | None = None) -> Mapping[str, str]:
    """The text of each JSON file, by its name."""
    limits = Limits(parameters or Parameters())
    boards = {
        "overview.json": overview(limits),
        "tree.json": tree(limits),
        "client.json": client(limits),
        "znodes.json": znodes(limits),
        "ensemble.json": ensemble(limits),
    }
    return {
        name: json.dumps(board, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for name, board in boards.items()
    }
