"""Compares the load of 100,101 znodes with kazoo's TreeCache and with ours, in turn, from the same server.

    python -m bench.sync [--rounds 3]

A part of `bench.suite` that takes a few minutes.
"""

from __future__ import annotations

import argparse

from bench.suite import commands, run


def main() -> None:
    """Compares the loads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    run("b", ["sync"], commands(["kazoo", "ours"], None), parser.parse_args().rounds)


if __name__ == "__main__":
    main()
