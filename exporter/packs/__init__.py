"""Packs: shipped rules for systems that keep their state in ZooKeeper, one YAML file for each system."""
