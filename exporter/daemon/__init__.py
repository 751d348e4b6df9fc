"""The process that watches ensembles and serves what it finds: what it starts, what it reloads, and how it ends."""
