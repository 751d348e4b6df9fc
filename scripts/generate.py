"""Generate: the list of all generated files. `make generate` writes them, and a test finds stale ones.

A file belongs here if its sources give the same text on every machine. Recorded or measured files have commands of
their own: pictures, the frames for fuzzing the decoders, the simulation's findings, the on-call notifications.

`python -m scripts.generate [NAME...]` writes only the files of these names.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]

#: What a test says if a file is stale.
REMEDY = "run `make generate`, and read what changed"

Texts = Mapping[Path, str]


class Generated(NamedTuple):
    """Files that are generated together.

    Attributes:
        name: their name in `make generate NAME` and in a failing test.
        texts: returns the contents by the files' paths.
    """

    name: str
    texts: Callable[[], Texts]

    def stale(self) -> Iterator[tuple[Path, str]]:
        """The stale or missing files, with their correct contents."""
        for path, text in self.texts().items():
            if not path.exists() or path.read_text("utf-8") != text:
                yield path, text


# Each function imports what it needs: Grafana's SDK alone takes a second.


def _metrics() -> Texts:
    from exporter.telemetry.reference import reference

    return {ROOT / "docs" / "metrics.md": reference()}


def _servers() -> Texts:
    from exporter.servers.reference import current

    path = ROOT / "docs" / "servers.md"
    return {path: current(path.read_text("utf-8"))}


def _schema() -> Texts:
    from exporter.config.schema import json_schema

    return {ROOT / "docs" / "config.schema.json": json_schema()}


def _rules() -> Texts:
    from dashboards.prometheus.parameters import Parameters
    from dashboards.prometheus.render import rule_files

    return {ROOT / "dashboards" / "prometheus" / name: text for name, text in rule_files(Parameters()).items()}


def _alerting() -> Texts:
    from dashboards.prometheus import document

    return {document.PATH: document.current(document.PATH.read_text("utf-8"))}


def _packs() -> Texts:
    from scripts import packs

    return packs.texts()


def _dashboards() -> Texts:
    from dashboards.grafana.generate import documents

    return {ROOT / "dashboards" / "grafana" / name: text for name, text in documents().items()}


def _chart() -> Texts:
    from scripts import chart

    return chart.texts()


def _scrapes() -> Texts:
    from tests.telemetry import known

    return {path: text.decode() for path, text in known.expositions().items()}


def _scrapes_of_servers() -> Texts:
    from tests.servers import known

    return known.expositions()


def _scrape_of_a_server() -> Texts:
    from tests.telemetry import real

    return real.texts()


def _public() -> Texts:
    from scripts import public

    return public.texts()


def _hooks() -> Texts:
    from scripts import hooks

    return hooks.texts()


#: The order matters: the chart's schema includes the configuration's schema from the disk.
GENERATED = (
    Generated("metrics", _metrics),
    Generated("servers", _servers),
    Generated("schema", _schema),
    Generated("rules", _rules),
    Generated("alerting", _alerting),
    Generated("packs", _packs),
    Generated("dashboards", _dashboards),
    Generated("chart", _chart),
    Generated("scrapes", _scrapes),
    Generated("scrapes-of-servers", _scrapes_of_servers),
    Generated("scrape-of-a-server", _scrape_of_a_server),
    Generated("public", _public),
    Generated("hooks", _hooks),
)


def main(names: Sequence[str]) -> int:
    """Writes the stale files and returns the exit status, 2 for an unknown name."""
    known = [generated.name for generated in GENERATED]
    for name in names:
        if name not in known:
            print(f"generate: {name}: accepted: {', '.join(known)}", file=sys.stderr)
            return 2
    changed = 0
    for generated in GENERATED:
        if names and generated.name not in names:
            continue
        for path, text in generated.stale():
            path.write_text(text, "utf-8")
            print(f"generate: wrote {path.relative_to(ROOT)}")
            changed += 1
    if not changed:
        print("generate: everything is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
