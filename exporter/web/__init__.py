"""What the exporter serves over HTTP: connections, who may pass, the metrics, health and readiness, and the pages."""
