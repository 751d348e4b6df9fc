"""The command `treecache-exporter`, also `python -m exporter`: signal handlers first, everything else after them."""

from __future__ import annotations

import sys

from exporter.process import signals


def main() -> int:
    """Runs the command with the process's arguments and returns its exit status."""
    signals.take_early()
    try:
        # Takes most of the start, in which a signal may come.
        from exporter.cli import main as run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "exporter":
            raise
        print(
            f"treecache-exporter: the command needs the extra daemon, and {error.name} is not installed: "
            "pip install 'treecache-exporter[daemon]'",
            file=sys.stderr,
        )
        return 1
    return run()


if __name__ == "__main__":
    sys.exit(main())
