#!/bin/sh
# Writes requirements/*.txt anew from pyproject.toml: every version and hash, for Python 3.10 and newer.
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
    "$tools/bin/uv" pip compile pyproject.toml --quiet --universal --python-version 3.10 \
        --generate-hashes --no-header --no-emit-index-url --output-file "$output" "$@" >/dev/null
}

compile runtime --group build "$@"
compile dev --group dev --constraint requirements/runtime.txt "$@"
