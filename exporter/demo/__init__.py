"""A throw-away real ZooKeeper with a living tree, for `treecache-exporter demo`, tests and benchmarks."""
