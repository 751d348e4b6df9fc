"""`python -m dashboards.grafana [NAME=VALUE ...] [--folder FOLDER]`: writes the dashboards' JSON.

NAME=VALUE changes a parameter of the rules, so that dashboards and alerts have the same thresholds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from dashboards.grafana.generate import documents
from dashboards.prometheus.parameters import Parameters


def main() -> None:
    """Writes one file for each dashboard."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.grafana", description="Write the dashboards' JSON.")
    parser.add_argument("changes", nargs="*", metavar="NAME=VALUE", help="sets a parameter of the rules")
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent, metavar="FOLDER", help="where to write")
    arguments = parser.parse_args()
    try:
        parameters = Parameters().with_changes(arguments.changes)
    except ValueError as error:
        parser.error(str(error))
    try:
        for name, text in documents(parameters).items():
            (arguments.folder / name).write_text(text, "utf-8")
    except OSError as error:
        parser.error(f"--folder: {error.strerror}: {error.filename}; accepted: a folder that can be written to")


if __name__ == "__main__":
    main()
