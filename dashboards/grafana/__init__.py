"""Grafana dashboards as code: `make generate` writes the JSON beside this file.

`overview`, `tree` and `client` are the dashboards; `frame` is what they share, `panels` the types of panels, `promql`
the queries, `limits` the thresholds. The JSON needs Grafana 11.6 or newer.
"""
