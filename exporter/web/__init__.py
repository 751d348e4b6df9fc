"""HTTP: connections, authentication, and what the exporter serves: metrics, health, readiness and pages."""
