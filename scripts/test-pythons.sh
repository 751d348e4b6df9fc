#!/bin/sh
# make test-pythons: runs the unit tests with each supported Python that is installed, and says which are not.
set -eu
unset CDPATH
cd -- "$(dirname -- "$0")/.."
. scripts/pythons.sh

passed=''
missing=''
for version in $(supported_pythons); do
    if installed_python "$version" >/dev/null; then
        sh scripts/test-python.sh "$version" -m unit
        passed="$passed $version"
    else
        missing="$missing $version"
    fi
done
echo "test-pythons: passed with${passed:- none}; not installed:${missing:- none}"
[ -n "$passed" ]
