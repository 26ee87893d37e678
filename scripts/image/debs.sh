#!/bin/sh
# debs.sh ARCH DIR - fetches into DIR the Debian packages that the image has files of, and all that those depend on, for ARCH (amd64, arm64).
# Asks the package sources of this machine, which may have another architecture: no file of a package runs.
set -eu
arch=$1 dir=$2
# base-files tells a scanner which Debian this is, and has the licences; dash and coreutils are for what install puts beside the plugin.
packages='base-files coreutils dash iproute2 libc6 libgcc-s1 libstdc++6 util-linux'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
apt_get() {
  # Nothing counts as installed, so that nothing is left out, and no state of this machine is read or changed.
  apt-get -qq -o APT::Architecture="$arch" -o APT::Architectures="$arch" -o APT::Sandbox::User=root \
    -o Dir::State::status=/dev/null -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" \
    -o DPkg::Post-Invoke= -o APT::Update::Post-Invoke= -o APT::Update::Post-Invoke-Success= "$@"
}
apt_get update
# shellcheck disable=SC2086 # a list of words
apt_get install -y --no-install-recommends --download-only $packages
rm -rf "$dir"
mkdir -p "$dir"
cp "$work"/cache/archives/*.deb "$dir"
