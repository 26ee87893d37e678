#!/bin/sh
# helm-deps.sh - what the tests of charts/ need besides the project itself: helm, built from the Go module of
# test/manifests/tools/go.mod into .cache/helm/bin. That takes two processors some two minutes the first time; later it does nothing.
# With CI=true it is an error to leave it out.
set -eu
cd "$(dirname "$0")/.."

# A developer is told what is left out; a CI that leaves out tests proves nothing.
leave_out() {
  echo "helm: $1: the chart is unchecked" >&2
  [ "${CI:-}" != true ] || exit 1
  exit 0
}

tools=test/manifests/tools
bin=$PWD/.cache/helm/bin
stamp=$(cat $tools/go.mod $tools/go.sum | sha256sum | cut -d' ' -f1)
[ "$(cat "$bin/.stamp" 2>/dev/null)" != "$stamp" ] || exit 0
command -v go >/dev/null || leave_out 'no Go on this machine'
echo "helm: building that of $tools/go.mod"
rm -rf "$bin"
mkdir -p "$bin"
(cd $tools && CGO_ENABLED=0 go build -mod=readonly -buildvcs=false -trimpath -ldflags='-s -w' -o "$bin" tool) ||
  { rm -rf "$bin"; leave_out "$(go version) could not build it"; }
echo "$stamp" >"$bin/.stamp"
