"""Demo: a real, temporary ZooKeeper with a changing tree, for `treecache-exporter demo`, tests and benchmarks."""
