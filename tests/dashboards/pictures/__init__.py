"""Pictures of the dashboards for people without Grafana, drawn from a real Prometheus' answers.

`python -m tests.dashboards.pictures` plays a scene for some minutes and writes docs/dashboard-*.png anew. They show
what the JSON says (grid, titles, units, thresholds, states, legends), in Grafana's manner but not with its code.
"""
