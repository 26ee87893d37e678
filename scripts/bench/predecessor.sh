#!/bin/bash
# What clusters use without x-calico-route: bash, jq, nsenter and ip. Written for the benchmark, to do the same job on the same
# input as well as such a script can: both families, bound to the interface, all versions, a correct Result.
set -euo pipefail

conf=$(cat)
words=$(jq -r '.cniVersion, (.routes // [])[].dst' <<<"$conf")
{ read -r version && mapfile -t destinations; } <<<"$words"
case $version in 0.3.0 | 0.3.1 | 0.4.0 | 1.0.0 | 1.1.0) ;; *) exit 1 ;; esac

case $CNI_COMMAND in
  VERSION)
    printf '{"cniVersion":"%s","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}\n' "$version"
    ;;
  ADD)
    # A batch: one process for all of the routes.
    additions=("${destinations[@]/#/route replace }")
    printf '%s\n' "${additions[@]/%/ via 169.254.1.1 dev $CNI_IFNAME}" \
      "route del 0.0.0.0/0 dev $CNI_IFNAME" "route del ::/0 dev $CNI_IFNAME" | nsenter --net="$CNI_NETNS" ip -batch -
    jq -c '.cniVersion as $version | [(.routes // [])[] | {dst, gw: "169.254.1.1"}] as $ours | .prevResult
      | .cniVersion = $version | .routes = [(.routes // [])[] | select(.dst | . != "0.0.0.0/0" and . != "::/0")] + $ours' <<<"$conf"
    ;;
  DEL)
    [[ -e $CNI_NETNS ]] || exit 0
    deletions=("${destinations[@]/#/route del }")
    printf '%s\n' "${deletions[@]/%/ dev $CNI_IFNAME}" | nsenter --net="$CNI_NETNS" ip -force -batch - 2>/dev/null || true
    ;;
esac
