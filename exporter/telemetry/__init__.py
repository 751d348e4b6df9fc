"""What the exporter tells Prometheus: the catalogue of metrics and the collectors that read them."""
