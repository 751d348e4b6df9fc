"""Grafana dashboards as code: `make generate` writes the JSON beside this file.

Overview, tree and client hold what is on each; frame what they share; panels how a panel looks; promql how a query is
written; limits where green ends. The JSON needs Grafana 11.6 or newer.
"""
