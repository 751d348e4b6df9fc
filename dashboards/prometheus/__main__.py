"""Writes the rule files: `python -m dashboards.prometheus [NAME=VALUE...] [--folder=FOLDER]`.

Without arguments it writes the committed files, and the parts of docs/alerting.md that show them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dashboards.prometheus import document
from dashboards.prometheus.parameters import Parameters
from dashboards.prometheus.render import rule_files

FOLDER = Path(__file__).parent


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the files and returns the exit status, 2 for an invalid parameter."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.prometheus", description="Writes the rule files.")
    parser.add_argument("changes", metavar="NAME=VALUE", nargs="*", help="sets a parameter")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write (default: %(default)s)")
    given = parser.parse_args(arguments)
    try:
        files = rule_files(Parameters().with_changes(given.changes))
        for name, text in files.items():
            (given.folder / name).write_text(text, "utf-8")
        if not given.changes and given.folder == FOLDER:
            document.PATH.write_text(document.current(document.PATH.read_text("utf-8")), "utf-8")
    except (OSError, ValueError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
