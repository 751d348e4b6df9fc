"""kazoo's own tests, which its wheel brings along, run with ours on every client and without, and compared."""
