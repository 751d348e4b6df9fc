"""`python -m exporter.config > docs/config.schema.json` writes the schema of the configuration file."""

from __future__ import annotations

from exporter.config.schema import json_schema

if __name__ == "__main__":
    print(json_schema(), end="")
