#!/bin/sh
# Builds all parts of a release in dist/, and checks them as users would install them.
set -eu
unset CDPATH
cd -- "$(dirname -- "$0")/.."
. scripts/pythons.sh

say() { printf 'release-check: %s\n' "$*"; }

fail() {
    printf 'release-check: %s\n' "$*" >&2
    exit 1
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export PIP_DISABLE_PIP_VERSION_CHECK=1

say "installing requirements/release.txt into a temporary environment"
python3 -m venv "$folder/tools"
tools=$folder/tools/bin
"$tools/pip" install --quiet --require-hashes --requirement requirements/release.txt

version=$("$tools/python" -c 'import ast; print(next(ast.literal_eval(line.partition("=")[2].strip())
    for line in open("exporter/__init__.py") if line.startswith("__version__ =")))')
grep -q "^## \[$version\]" CHANGELOG.md || fail "CHANGELOG.md: no section [$version]"

say "building version $version"
rm -rf dist
"$tools/python" -m build --no-isolation >"$folder/build.log" 2>&1 || {
    cat "$folder/build.log" >&2
    fail "the build failed"
}
wheel=dist/treecache_exporter-$version-py3-none-any.whl
"$tools/twine" check --strict dist/*
"$tools/python" -m zipfile --list "$wheel" | grep -q 'dist-info/licenses/LICENSE' || fail "$wheel has no licence file"
tar -tzf "dist/treecache_exporter-$version.tar.gz" | grep -q '/LICENSE$' || fail "the sdist has no licence file"

# As a user would: the wheel alone, with the newest versions of its dependencies.
for supported in $(supported_pythons); do
    python=python$supported
    found=$(installed_python "$supported") || {
        say "passing over $python, which is not installed or makes no environment"
        continue
    }
    "$found" -m venv "$folder/$python"
    say "installing the wheel with $python"
    "$folder/$python/bin/pip" install --quiet "${wheel}[daemon]"
    "$folder/$python/bin/pip" check
    (
        cd "$folder"
        "./$python/bin/treecache-exporter" --version | grep -qF "$version" || fail "$python: another version is installed"
        "./$python/bin/python" -c 'from exporter import KazooInstrumentor, TreeCache, instrument'
        "./$python/bin/python" -c 'from exporter.pages.documents import packaged; assert packaged().find("runbooks")' ||
            fail "$python: the wheel has no documents"
    )
    tried="${tried:-} $python"
done
[ -n "${tried:-}" ] || fail "no supported Python is here"

# As in the image: the versions of requirements/runtime.txt for the image's Python.
say "listing the image's dependencies in dist/treecache-exporter-$version.cdx.json"
python3 -m venv --without-pip "$folder/image"
"$tools/python" scripts/image_requirements.py >"$folder/image.txt"
"$tools/pip" --python "$folder/image/bin/python" install --quiet --no-deps --ignore-requires-python \
    --require-hashes --requirement "$folder/image.txt"
"$tools/pip" --python "$folder/image/bin/python" install --quiet --no-deps "$wheel"
"$tools/cyclonedx-py" environment --output-reproducible --validate --pyproject pyproject.toml \
    --output-file "dist/treecache-exporter-$version.cdx.json" "$folder/image/bin/python" 2>"$folder/sbom.log" || {
    cat "$folder/sbom.log" >&2
    fail "the list could not be made"
}
# pyproject.toml does not hold the version.
"$tools/python" - "dist/treecache-exporter-$version.cdx.json" "$version" <<'PYTHON'
import json, pathlib, sys
file = pathlib.Path(sys.argv[1])
listed = json.loads(file.read_text())
listed["metadata"]["component"]["version"] = sys.argv[2]
file.write_text(json.dumps(listed, indent=2) + "\n")
PYTHON

say "asking for known vulnerabilities of these versions"
"$tools/pip" --python "$folder/image/bin/python" freeze --exclude treecache-exporter >"$folder/frozen.txt"
status=0
"$tools/pip-audit" --no-deps --disable-pip --progress-spinner off --requirement "$folder/frozen.txt" \
    >"$folder/audit.log" 2>&1 || status=$?
if [ "$status" -eq 0 ]; then
    say "none are known"
elif grep -q 'Found [0-9]* known vulnerabilit' "$folder/audit.log"; then
    cat "$folder/audit.log" >&2
    fail "there are known vulnerabilities"
else
    say "not checked, the database did not answer: $(tail -n 1 "$folder/audit.log")"
fi

say "packing the chart"
.venv/bin/python -m scripts.generate chart
helm=.venv/bin/helm
[ -x "$helm" ] || helm=helm
"$helm" package helm/treecache-exporter --destination dist >/dev/null 2>&1 || fail "the chart cannot be packed"

say "passed with$tried"
ls -l dist
