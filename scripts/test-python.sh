#!/bin/sh
# make test-python: runs the tests with another Python, in an environment of its own that is kept for the next run.
#
#   scripts/test-python.sh VERSION [PYTEST'S ARGUMENTS...]
set -eu
unset CDPATH
cd -- "$(dirname -- "$0")/.."
. scripts/pythons.sh

say() { printf 'test-python: %s\n' "$*"; }

fail() {
    printf 'test-python: %s\n' "$*" >&2
    exit 2
}

supported=$(supported_pythons | paste -s -d ' ' -)
version=${1:-}
case " $supported " in
*" ${version:-none} "*) shift ;;
*) fail "PYTHON=$version; accepted: $supported" ;;
esac
python=$(installed_python "$version") || fail "PYTHON=$version: python$version is not installed, or without venv"

environment=.venv-$version
inputs() { cksum requirements/dev.txt pyproject.toml; }
pip() { "$environment/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }

if ! [ -f "$environment/.stamp" ] || [ "$(inputs)" != "$(cat "$environment/.stamp")" ]; then
    say "installing requirements/dev.txt into $environment"
    "$python" -m venv --clear "$environment"
    pip install --require-hashes --requirement requirements/dev.txt
    pip install --no-build-isolation --no-deps --editable .
    # The tests look for it next to Python.
    [ ! -x .venv/bin/helm ] || ln -s "$PWD/.venv/bin/helm" "$environment/bin/helm"
    inputs >"$environment/.stamp"
fi
say "pytest with $("$environment/bin/python" --version)"
"$environment/bin/python" -m pytest --quiet -p no:cacheprovider --numprocesses=2 --dist=loadfile --no-loadscope-reorder "$@"
