"""Metrics and spans: the catalogue of metrics, the collectors that read them, and the tracing of clients and caches."""
