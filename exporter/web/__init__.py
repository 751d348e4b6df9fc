"""What the exporter serves over HTTP: the metrics, health and readiness, and a status page."""
