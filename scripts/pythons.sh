# shellcheck shell=sh
# Pythons: the versions that pyproject.toml supports, and where they are on this machine. For scripts to read with `.`.

supported_pythons() {
    sed -n 's/.*"Programming Language :: Python :: \(3\.[0-9]*\)".*/\1/p' pyproject.toml
}

# Prints where a version is that can make environments, or fails. Where pyenv is, its command answers for all versions, also
# for those that were not chosen and for those that it does not have.
installed_python() {
    PYENV_VERSION=$(pyenv versions --bare 2>/dev/null | paste -s -d : -) \
        "python$1" -c 'import ensurepip, sys, venv; print(sys.executable)' 2>/dev/null
}
