#!/bin/sh
# make docs: builds the documents as a site in site/, from an environment of its own. It fails for a broken link, a page
# that is not in the navigation, and an unknown name in docs/api.md.
set -eu
unset CDPATH
cd -- "$(dirname -- "$0")/.."

say() { printf 'docs: %s\n' "$*"; }

python=.venv/bin/python
[ -x "$python" ] || python=python3

inputs() { cksum requirements/docs.txt; }
if ! [ -f .docs-venv/.stamp ] || [ "$(inputs)" != "$(cat .docs-venv/.stamp)" ]; then
    say "installing requirements/docs.txt into .docs-venv"
    "$python" -m venv --clear .docs-venv
    .docs-venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes \
        --requirement requirements/docs.txt
    inputs >.docs-venv/.stamp
fi
say "building site/"
# The theme gets only fixes, until May 2027; Zensical, by the same people, reads the same mkdocs.yml.
export NO_MKDOCS_2_WARNING=1
.docs-venv/bin/mkdocs build --strict "$@" 2>.docs-venv/log || {
    cat .docs-venv/log >&2
    exit 1
}
say "open site/index.html"
