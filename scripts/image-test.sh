#!/bin/sh
# Builds the image without a container engine or a registry, and tests it.
#
# The base is Debian's own Python, unpacked by debootstrap from apt's sources; buildah runs the Dockerfile in a chroot.
# Everything stays in .image-test; the base is kept there for the next run. It is unpacked elsewhere first, because
# debootstrap does not work in a path with a space.
# Needs root. pip's variables and the proxies of the environment are passed on as build arguments.
set -eu
unset CDPATH
cd -- "$(dirname -- "$0")/.."

say() { printf 'image-test: %s\n' "$*"; }

fail() {
    printf 'image-test: %s\n' "$*" >&2
    exit 1
}

[ "$(id -u)" -eq 0 ] || fail "this needs root, for debootstrap and for chroot"
for tool in buildah debootstrap; do
    command -v "$tool" >/dev/null || missing="${missing:-} $tool"
done
if [ -n "${missing:-}" ]; then
    say "installing through apt:$missing"
    apt-get -qq update
    # $missing is unquoted on purpose: one word for each.
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends $missing >/dev/null
fi

folder=$PWD/.image-test
image=localhost/treecache-exporter:test
authorities=/etc/ssl/certs/ca-certificates.crt
mkdir -p "$folder"

in_store() { buildah --root "$folder/store" --runroot "$folder/run" --storage-driver vfs "$@"; }

make_base() {
    # The first entry is the distribution itself; those of updates and security follow.
    # The names are apt's.
    # shellcheck disable=SC2016
    source=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Identifier: Packages' | head -n 1)
    [ -n "$source" ] || fail "apt has no source of packages"
    say "unpacking Debian ${source#* } for the base image"
    # Not below TMPDIR, which may have a space too, nor in /tmp, which may be mounted without devices or programs.
    base=$(mktemp -d /var/tmp/image-test.XXXXXX)
    trap 'rm -rf "$base"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv \
        "${source#* }" "$base" "${source% *}" >"$folder/debootstrap.log" || fail "see $folder/debootstrap.log"
    # The root of the image, which mktemp gave to its owner alone.
    chmod 755 "$base"
    container=$(in_store from scratch)
    in_store add --quiet "$container" "$base" / >/dev/null
    in_store commit --quiet --rm "$container" localhost/base >/dev/null
    rm -rf "$base"
    trap - EXIT
}

build() {
    say "building the image"
    set -- --build-arg "BASE=localhost/base" --build-arg "VERSION=$1"
    # The proxies' variables need no mention.
    for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST; do
        if value=$(printenv "$name"); then set -- "$@" --build-arg "$name=$value"; fi
    done
    # This machine may trust an authority that the base does not know.
    if [ -e "$authorities" ]; then
        set -- "$@" --volume "$authorities:$authorities:ro" --build-arg "PIP_CERT=$authorities"
    fi
    in_store build --isolation chroot --format docker --pull-never --tag "$image" "$@" . >"$folder/build.log" 2>&1 || {
        tail -n 30 "$folder/build.log" >&2
        fail "the build failed; its log is $folder/build.log"
    }
}

in_store inspect --type image localhost/base >/dev/null 2>&1 || make_base
version=$(.venv/bin/python -c 'import exporter; print(exporter.__version__)')
build "$version"

container=$(in_store from --pull-never "$image")
trap 'in_store rm "$container" >/dev/null' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
in_store inspect --type image "$image" >"$folder/image.json"
say "running the image"
.venv/bin/python -m tests.packaging.image "$(in_store mount "$container")" "$folder/image.json" "$version"
in_store umount "$container" >/dev/null
# Removes the results of earlier builds.
in_store rmi --prune >/dev/null
say "passed"
