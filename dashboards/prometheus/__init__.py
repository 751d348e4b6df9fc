"""Rules for Prometheus: written in Python from one set of parameters, committed as the YAML that Prometheus loads."""
