"""A throw-away real ZooKeeper with a living tree, for `treecache-exporter demo`, tests and benchmarks."""

from exporter.demo.command import run

__all__ = ["run"]
