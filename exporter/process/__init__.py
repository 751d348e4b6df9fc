"""Logs, standard error, signals, memory and the like, for any process. Imports nothing else of this package."""
