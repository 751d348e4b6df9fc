#!/bin/sh
# Rewrites requirements/*.txt from pyproject.toml, with every version and hash, for Python 3.11 and newer.
# Arguments go to `uv pip compile`, for example --upgrade or --upgrade-package kazoo.
set -eu
unset CDPATH
cd -- "$(dirname -- "$0")/.."

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
echo "lock: installing uv into a temporary environment"
python3 -m venv "$tools"
"$tools/bin/python" -m pip install --quiet --disable-pip-version-check uv

compile() {
    output=requirements/$1.txt
    shift
    echo "lock: writing $output"
    "$tools/bin/uv" pip compile --quiet --universal --python-version 3.11 \
        --generate-hashes --no-header --no-emit-index-url --output-file "$output" "$@" >/dev/null
}

# With pyproject.toml a file holds the exporter's own dependencies too. The tools come first: opentelemetry-test-utils
# is for one version of the API, which may not be the newest.
compile dev pyproject.toml --extra daemon --group dev "$@"
compile runtime pyproject.toml --extra daemon --constraint requirements/dev.txt "$@"
compile build --group build --constraint requirements/dev.txt "$@"
compile release --group release --constraint requirements/dev.txt "$@"
compile docs --group docs --constraint requirements/dev.txt "$@"
# pre-commit's hooks have the same versions.
python3 -m scripts.generate hooks
