#!/usr/bin/env bash
# check.sh [PART...] - whether the cluster of kind/up.sh does what the plugin promises, by routes and packets, in pods and
# in a VM: one line each, ok or FAILED. Changes nothing. The parts, all of them by default:
#   examples  conf-examples/ is what the API server takes
#   pods      two pods have both NICs, their routes, and answers through each
#   policy    Calico's NetworkPolicy limits one of them
#   vm        all of that in a VM
# It needs kubectl and its context kind-x-calico-route, which may be any cluster that has what a part is about.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=kind/lib.sh
. kind/lib.sh

failed=0
check() { # WHAT COMMAND...
  local what=$1 said
  shift
  if said=$("$@" 2>&1); then
    printf 'ok      %s\n' "$what"
  else
    printf 'FAILED  %s\n' "$what"
    warn "        $*" "$said"
    failed=$((failed + 1))
  fi
}

in_pod() { # POD COMMAND...
  local pod=$1
  shift
  k --namespace tenant exec "$pod" -- "$@"
}

# There is exactly one default route, and it is this one.
only_default() { # POD FAMILY GATEWAY
  local routes
  routes=$(in_pod "$1" ip "-$2" route show default)
  printf '%s\n' "$routes"
  [ "$(grep -c . <<<"$routes")" = 1 ] && [[ $routes == *"via $3 dev net1"* ]]
}

has_route() { # POD FAMILY DST
  local routes
  routes=$(in_pod "$1" ip "-$2" route show)
  printf '%s\n' "$routes"
  grep -q "^$3 .*dev eth0" <<<"$routes"
}

# timeout, because not every busybox has -T of wget.
fetch() { in_pod "$1" timeout 5 wget -q -O - "http://$2/"; }
fetches() { # POD HOST:PORT TEXT
  local page
  page=$(fetch "$1" "$2") || return
  printf '%s\n' "$page"
  [ "$page" = "$3" ]
}

# Silence only counts if the pod can be called at all: a failing exec proves nothing.
gets_nothing_from() { # POD HOST:PORT
  local said
  said=$(in_pod "$1" sh -c "timeout 5 wget -q -O - http://$2/ 2>&1 || echo nothing came") || {
    printf '%s\n' "$said"
    return 1
  }
  printf '%s\n' "$said"
  [[ $said == *'nothing came' ]]
}

# What the VM wrote in the last minute. Older lines may be from before the policy.
vm_says() { # SENTENCE
  local log
  log=$(k --namespace tenant logs --selector vm.kubevirt.io/name=testvm --container guest-console-log --since=60s --tail=-1) || {
    printf '%s\n' "$log"
    return 1
  }
  log=$(tr -d '\r' <<<"$log")
  tail -n 8 <<<"$log"
  grep -qE "testvm: $1\$" <<<"$log"
}

# The API server checks the examples against the schemas of Calico, Kube-OVN, Multus and KubeVirt.
accepted() { k apply --dry-run=server --validate=strict --filename "$1"; }

allowed4=172.18.31.21 other4=172.18.31.22
allowed6='[fc00:f853:ccd:e793::3121]' other6='[fc00:f853:ccd:e793::3122]'

check_examples() {
  local file
  for file in conf-examples/*.yaml; do
    grep -q '^kind:' "$file" || continue # cloud-init
    check "$file is what the API server takes" accepted "$file"
  done
}

check_pods() {
  local pod
  for pod in limited unlimited; do
    check "$pod: one IPv4 default route, to the VPC" only_default "$pod" 4 10.0.1.1
    check "$pod: one IPv6 default route, to the VPC" only_default "$pod" 6 fd00:10:0:1::1
    check "$pod: the IPv4 underlay is behind Calico's NIC" has_route "$pod" 4 172.18.0.0/16
    check "$pod: the IPv6 underlay is behind Calico's NIC" has_route "$pod" 6 fc00:f853:ccd:e793::/64
    check "$pod: the VPC's gateway answers" in_pod "$pod" ping -c 3 -W 3 10.0.1.1
    check "$pod: IPv4, the allowed host answers" fetches "$pod" "$allowed4:80" 'host 21'
    check "$pod: IPv6, the allowed host answers" fetches "$pod" "$allowed6:80" 'host 21'
  done
  check 'unlimited: IPv4, the other host answers' fetches unlimited "$other4:80" 'host 22'
  check 'unlimited: IPv6, the other host answers' fetches unlimited "$other6:80" 'host 22'
  check 'unlimited: the other port answers' fetches unlimited "$allowed4:8080" 'host 21'
}

# The silence only means something because these hosts answer the pod "unlimited".
check_policy() {
  check 'limited: IPv4, nothing from the other host' gets_nothing_from limited "$other4:80"
  check 'limited: IPv6, nothing from the other host' gets_nothing_from limited "$other6:80"
  check 'limited: nothing from the other port' gets_nothing_from limited "$allowed4:8080"
}

check_vm() {
  wait_for 900 'the first words of the VM' tenant vm_says '10\.0\.1\.1: .*'
  check 'VM: one IPv4 default route, to the VPC' vm_says 'default: 10\.0\.1\.1 eth1'
  check "VM: the VPC's gateway answers" vm_says '10\.0\.1\.1: reached'
  check 'VM: the allowed host answers' vm_says '172\.18\.31\.21 80: reached'
  check 'VM: nothing from the other port' vm_says '172\.18\.31\.21 8080: silent'
  check 'VM: nothing from the other host' vm_says '172\.18\.31\.22 80: silent'
}

(($#)) || set -- examples pods policy vm
for part; do
  case $part in
    examples | pods | policy | vm) ;;
    *) fail "there is no part \"$part\" to check; write examples, pods, policy or vm" ;;
  esac
done
need_tools kubectl
said=$(k get --raw /readyz 2>&1) || fail "there is no cluster $CLUSTER; make it with kind/up.sh" "$said"
for part; do "check_$part"; done

if ((failed)); then
  diagnose tenant
  fail "$failed of the checks failed"
fi
say 'everything is as promised'
