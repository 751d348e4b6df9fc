"""Rules for Prometheus: rendered from one set of parameters, and committed as the YAML that Prometheus loads."""
