#!/bin/sh
# sbom.sh ARCHIVE - prints the bill of materials (CycloneDX) of the image in an archive that archive.sh has made: the Debian packages
# of each architecture, and what the plugin is made of. Needs jq.
set -eu
archive=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar -xf "$archive" -C "$work"
blob() { echo "$work/blobs/sha256/${1#sha256:}"; }

index=$(jq -r '.manifests[0].digest' "$work/index.json")
jq -r '.manifests[] | "\(.digest) \(.platform.architecture)"' "$(blob "$index")" >"$work/images"
while read -r digest arch; do
  layer=$(jq -r '.layers[0].digest' "$(blob "$digest")")
  root=$work/$arch
  mkdir "$root"
  tar -xzf "$(blob "$layer")" -C "$root" usr/lib/os-release usr/share/doc/x-calico-route var/lib/dpkg/status.d
  # shellcheck source=/dev/null # for ID and VERSION_ID
  . "$root/usr/lib/os-release"
  find "$root/var/lib/dpkg/status.d" ! -name '*.md5sums' -type f -exec jq -R -s --arg distro "$ID-$VERSION_ID" '
    [split("\n")[] | capture("^(?<key>[A-Z][A-Za-z-]*): (?<value>.+)$")] | from_entries |
    "pkg:deb/debian/\(.Package | @uri)@\(.Version | @uri)?arch=\(.Architecture)&distro=\($distro)" as $purl |
    { type: "library", "bom-ref": $purl, name: .Package, version: .Version, purl: $purl }' {} \;
  # The parts of Node.js have the same names in both executables, and no name may be there twice.
  jq --arg arch "$arch" '(.metadata.component | ."bom-ref" += "-" + $arch), (.components[] | del(.components[]?."bom-ref"))' \
    "$root/usr/share/doc/x-calico-route/x-calico-route.cdx.json"
done <"$work/images" >"$work/components"

jq -s --arg digest "${index#sha256:}" --arg id "$ID" --arg version "$VERSION_ID" '{
  bomFormat: "CycloneDX",
  specVersion: "1.6",
  version: 1,
  metadata: {
    component: { type: "container", "bom-ref": "image", name: "x-calico-route", hashes: [{ alg: "SHA-256", content: $digest }] }
  },
  components: ([{ type: "operating-system", "bom-ref": "os", name: $id, version: $version }] + unique_by(."bom-ref"))
}' "$work/components"
