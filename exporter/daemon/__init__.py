"""The daemon: starts and stops the process, watches the configured ensembles, and reloads the configuration."""
