#!/bin/sh
# archive.sh - makes dist/image.tar, an OCI archive of one image for all of ARCHS (amd64 arm64), of the executables in dist/, with
# podman, buildah or docker. The same commit, dist/ and Debian packages give the same digest. `make image` calls it.
#
#   TAG       of the image; the version of package.json, if not given
#   BASE      another Debian to take packages from, see Dockerfile
#   SOURCE    address of the repository, for the image's labels
set -eu
cd "$(dirname "$0")/../.."

fail() {
  echo "image: $*" >&2
  exit 1
}

case $(uname -m) in
  x86_64) native=amd64 ;;
  aarch64) native=arm64 ;;
  *) fail "this machine is $(uname -m); the image is made on x86_64 and aarch64" ;;
esac
for arch in ${ARCHS:=amd64 arm64}; do
  case $arch in
    amd64) node=x64 ;; # Node's name for it, which is also make's
    arm64) node=arm64 ;;
    *) fail "ARCHS: \"$arch\" is unknown; write amd64, arm64 or both" ;;
  esac
  directory=dist
  [ "$arch" = "$native" ] || directory=dist/$node
  [ -x "$directory/x-calico-route" ] || fail "$directory/x-calico-route is missing; run: make build ARCH=$node"
done

tool=
for name in podman buildah docker; do
  if command -v "$name" >/dev/null; then
    tool=$name
    break
  fi
done
[ -n "$tool" ] || fail 'podman, buildah and docker are missing; install one of them: apt-get install podman'

version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)
TAG=${TAG:-$version}
# Dates of files and of the image.
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
revision=$(git describe --always --abbrev=40 --dirty --exclude='*' 2>/dev/null || echo unknown)
archive=dist/image.tar
rm -f "$archive"
# --no-cache: what was downloaded earlier may lack fixes, and podman 4.3 finds a layer again whose labels had other values.
set -- --no-cache --build-arg "BASE=${BASE:-pinned}" --build-arg PLUGIN=dist \
  --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "SOURCE=${SOURCE:-unknown}" \
  --build-arg "SOURCE_DATE_EPOCH=$epoch"
if [ "$tool" = docker ]; then
  # shellcheck disable=SC2086 # a list of words
  docker buildx build --platform "$(printf ',linux/%s' $ARCHS | cut -c 2-)" --provenance=false "$@" \
    --output "type=oci,dest=$archive,name=x-calico-route:$TAG,rewrite-timestamp=true" .
else
  # What podman before 4.4, which is buildah 1.29, does not know by itself.
  set -- --build-arg "BUILDARCH=$native" --build-arg "BUILDPLATFORM=linux/$native" "$@"
  # A name that no image of the machine has.
  list=localhost/x-calico-route-$$
  "$tool" manifest create "$list" >/dev/null
  trap '"$tool" manifest rm "$list" >/dev/null' EXIT
  for arch in $ARCHS; do
    "$tool" build --quiet --layers --platform "linux/$arch" --timestamp "$epoch" "$@" --manifest "$list" . >/dev/null
  done
  "$tool" manifest push --quiet --all "$list" "oci-archive:$archive:x-calico-route:$TAG" >/dev/null
fi
digest=$(tar -xOf "$archive" index.json | grep -o 'sha256:[0-9a-f]*')
echo "$archive: x-calico-route:$TAG for $ARCHS, $digest"
echo "push it: skopeo copy --all --preserve-digests oci-archive:$archive docker://REGISTRY/x-calico-route:$TAG"
