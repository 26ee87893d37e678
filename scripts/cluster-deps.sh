#!/bin/sh
# cluster-deps.sh - what `make test-cluster` needs besides the project itself: what `make e2e` needs, openssl, and the programs
# of a Kubernetes, built from the Go modules of test/cluster/tools/go.mod into .cache/cluster/bin. That takes two processors some
# six minutes and 3 GB of disk the first time; later it does nothing.
set -eu
cd "$(dirname "$0")/.."

scripts/e2e-deps.sh
for tool in go openssl; do
  command -v "$tool" >/dev/null || { echo "cluster: $tool is missing; install it" >&2; exit 1; }
done

tools=test/cluster/tools
bin=$PWD/.cache/cluster/bin
stamp=$(cat $tools/go.mod $tools/go.sum | sha256sum | cut -d' ' -f1)
[ "$(cat "$bin/.stamp" 2>/dev/null)" != "$stamp" ] || exit 0

version=$(sed -n 's|.*k8s.io/kubernetes \(v[0-9.]*\).*|\1|p' $tools/go.mod)
minor=${version#v1.}
echo "cluster: building Kubernetes $version of $tools/go.mod"
flags='-s -w'
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  flags="$flags -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=${minor%.*}"
done
rm -rf "$bin"
mkdir -p "$bin"
# CGO_ENABLED=0: static executables, as the project releases them. No version control: the one it would find is ours.
(cd $tools && CGO_ENABLED=0 go build -mod=readonly -buildvcs=false -trimpath -ldflags="$flags" -o "$bin" tool) ||
  { rm -rf "$bin"; echo "cluster: $(go version) could not build it" >&2; exit 1; }
echo "$stamp" >"$bin/.stamp"
