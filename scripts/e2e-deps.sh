#!/bin/sh
# e2e-deps.sh - what `make e2e` needs besides the project itself: container runtimes from Debian's packages, and
# cnitool with the current reference plugins from the Go module proxy and the tests' Multus, built into .cache/e2e/bin.
# Does nothing if everything is already there. With CI=true it is an error to leave anything out.
set -eu
cd "$(dirname "$0")/.."

# For what a machine may lack. A developer is told what is left out; a CI that leaves out tests proves nothing.
leave_out() {
  echo "e2e: $1" >&2
  [ "${CI:-}" != true ] || exit 1
}

debian_packages() {
  missing=
  for package in iproute2 util-linux busybox-static containerd runc podman containernetworking-plugins \
    openvswitch-switch ovn-central ovn-host ethtool patchelf; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  if ! command -v apt-get >/dev/null; then
    echo "e2e: needs the Debian packages$missing, but apt-get is missing; install them" >&2
    exit 1
  fi
  # containerd and podman come with services; the tests start what they need themselves, each in namespaces of its own
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  echo "e2e: installing$missing"
  # shellcheck disable=SC2086 # a list of words
  install_packages $missing || { apt_get update && install_packages $missing; } || {
    echo "$said" >&2
    exit 1
  }
}
said=
apt_get() { said=$(DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 "$@" 2>&1 </dev/null); }
install_packages() { apt_get install -y --no-install-recommends "$@"; }

# The versions are in test/e2e/tools/go.mod, and the hashes by which Go checks downloads in go.sum.
go_tools() {
  if ! command -v go >/dev/null; then
    leave_out "go is missing: the tests that need cnitool and the current CNI plugins are left out"
    return 0
  fi
  bin=$PWD/.cache/e2e/bin
  stamp=$(cat test/e2e/tools/go.mod test/e2e/tools/go.sum test/e2e/tools/multus/*.go | sha256sum | cut -d' ' -f1)
  [ "$(cat "$bin/.stamp" 2>/dev/null)" != "$stamp" ] || return 0
  echo "e2e: building cnitool and the CNI plugins of test/e2e/tools/go.mod"
  rm -rf "$bin"
  mkdir -p "$bin"
  # CGO_ENABLED=0: static executables, as the projects release them
  (cd test/e2e/tools && CGO_ENABLED=0 go build -mod=readonly -trimpath -ldflags='-s -w' -o "$bin" tool) ||
    { rm -rf "$bin"; leave_out "$(go version) could not build them: the tests that need them are left out"; return 0; }
  echo "$stamp" >"$bin/.stamp"
}

# What the image has files of, for both architectures.
image_packages() {
  debs=.cache/e2e/debs
  [ "$(cat $debs/.stamp 2>/dev/null)" != "$(cksum <scripts/image/debs.sh)" ] || return 0
  echo "e2e: fetching the Debian packages of the image, for amd64 and arm64"
  rm -rf $debs
  scripts/image/debs.sh amd64 $debs/amd64
  scripts/image/debs.sh arm64 $debs/arm64
  cksum <scripts/image/debs.sh >$debs/.stamp
}

[ "$(id -u)" = 0 ] || { echo "e2e: needs root: containerd and podman make network namespaces and mounts" >&2; exit 1; }
debian_packages
case $(podman --version) in
  *' '[0-4].*) ;;
  *) leave_out "$(podman --version) has no CNI backend (podman 5.0 removed it): its tests are left out" ;;
esac
go_tools
image_packages
