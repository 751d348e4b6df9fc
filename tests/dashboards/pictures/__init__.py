"""Pictures of the dashboards without Grafana, drawn from a real Prometheus' answers.

`python -m tests.dashboards.pictures` plays a scene for some minutes and rewrites docs/dashboard-*.png. They follow the
JSON (grid, titles, units, thresholds, states, legends), in Grafana's style but without its code.
"""
