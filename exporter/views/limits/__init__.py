"""Limits: a view of how near a tree is to ZooKeeper's limits of size, and of how its znodes are spread."""
