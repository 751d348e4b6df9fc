"""What Prometheus scrapes: the catalogue of metrics and the collectors that read them."""
