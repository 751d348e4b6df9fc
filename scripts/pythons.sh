# shellcheck shell=sh
# Pythons: the versions that pyproject.toml supports, and where they are on this machine. For scripts to read with `.`.

supported_pythons() {
    sed -n 's/.*"Programming Language :: Python :: \(3\.[0-9]*\)".*/\1/p' pyproject.toml
}

# Prints the path of a Python version that can make environments, or fails. If pyenv is installed, it has a command for
# every version, also for versions that are not selected or not installed.
installed_python() {
    PYENV_VERSION=$(pyenv versions --bare 2>/dev/null | paste -s -d : -) \
        "python$1" -c 'import ensurepip, sys, venv; print(sys.executable)' 2>/dev/null
}
