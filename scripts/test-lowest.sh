#!/bin/sh
# Runs the tests that depend on the libraries' behaviour with the lowest versions that pyproject.toml allows, in a
# temporary environment.
set -eu
unset CDPATH
cd -- "$(dirname -- "$0")/.."

say() { printf 'test-lowest: %s\n' "$*"; }

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1

sed -n -e '/^dependencies = \[/,/^]/p' -e '/^daemon = \[/,/^]/p' -e '/^grpc = /p' pyproject.toml |
    sed -n 's/.*"\([a-z0-9.-]*\)[^">]*>=\([^",]*\)[^"]*".*/\1==\2/p' | sort -u >"$folder/lowest.txt"
say "installing $(paste -sd ' ' "$folder/lowest.txt")"
python3 -m venv "$folder/environment"
# The test utilities and the distribution each need one exact version of the API.
beta=$(sed -n 's/^opentelemetry-instrumentation==//p' "$folder/lowest.txt")
"$folder/environment/bin/pip" install --quiet --constraint "$folder/lowest.txt" --editable '.[daemon,grpc]' \
    cryptography eventlet gevent httpx hypothesis jsonschema promql-parser pytest pytest-timeout pytest-xdist trustme \
    "opentelemetry-distro==$beta" "opentelemetry-test-utils==$beta"

say "pytest"
"$folder/environment/bin/python" -m pytest --quiet -p no:cacheprovider --numprocesses=2 --dist=loadfile \
    tests/test_*.py tests/process tests/zookeeper tests/treecache tests/telemetry tests/config tests/pages tests/web \
    tests/daemon tests/demo tests/rules/test_rules.py tests/integration/test_tracing_*.py "$@"
