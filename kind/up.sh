#!/usr/bin/env bash
# A KinD cluster with Calico, Kube-OVN, Multus, KubeVirt, this plugin, and pods and a VM that use it. Run it again after a
# failure: what is already there stays. Versions are in kind/versions.env; kind/check.sh says whether it works.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=kind/lib.sh
. kind/lib.sh

INOTIFY=${INOTIFY:-/proc/sys/fs/inotify}
KUBECTL_WAIT=10s # of one try of wait_for

# With lower limits, nodes fail with "too many open files" much later: https://kind.sigs.k8s.io/docs/user/known-issues
need_inotify() {
  local low=() limit least
  while read -r limit least; do
    [ ! -r "$INOTIFY/$limit" ] || (($(<"$INOTIFY/$limit") >= least)) || low+=("fs.inotify.$limit=$least")
  done <<<$'max_user_instances 512\nmax_user_watches 524288'
  ((${#low[@]} == 0)) || fail "this machine's inotify limits are too low for a cluster of two nodes; raise them:" "sudo sysctl ${low[*]}"
}

# The addresses that kind usually picks. The manifests here depend on them.
SUBNETS=(172.18.0.0/16 fc00:f853:ccd:e793::/64)
node_network() {
  say "network $NETWORK: ${SUBNETS[*]}"
  if ! docker network inspect "$NETWORK" >/dev/null 2>&1; then
    docker network create --driver bridge --ipv6 --subnet "${SUBNETS[0]}" --subnet "${SUBNETS[1]}" \
      --opt com.docker.network.bridge.enable_ip_masquerade=true "$NETWORK" >/dev/null ||
      fail "docker cannot make the network $NETWORK; if another one has these addresses (docker network ls), remove that first"
  fi
  local has subnet
  has=$(docker network inspect --format '{{range .IPAM.Config}}{{.Subnet}} {{end}}' "$NETWORK")
  for subnet in "${SUBNETS[@]}"; do
    [[ " $has" == *" $subnet "* ]] ||
      fail "docker's network $NETWORK is $has, the manifests here are for ${SUBNETS[*]}; without clusters of yours in it:" \
        "docker network rm $NETWORK"
  done
}

cluster() {
  if has_cluster; then
    say "cluster $CLUSTER is there"
    kind export kubeconfig --name "$CLUSTER" >/dev/null 2>&1
  else
    say "cluster $CLUSTER"
    # No --wait: nodes only become ready with a CNI plugin.
    kind create cluster --name "$CLUSTER" --image "$KIND_NODE_IMAGE" --config kind/cluster.yaml ||
      fail 'kind could not start the cluster; remove what it left with kind/down.sh, then try again'
  fi
  wait_for 120 'the API server' kube-system k get --raw /readyz
}

calico() {
  say "Calico $CALICO_VERSION"
  # Server-side: the definitions are too long for the annotation of a client-side apply.
  k apply --server-side --force-conflicts --filename "$CALICO_MANIFESTS/operator-crds.yaml" >/dev/null
  k apply --server-side --force-conflicts --filename "$CALICO_MANIFESTS/tigera-operator.yaml" >/dev/null
  wait_for 60 "Calico's definitions" tigera-operator \
    k wait --for=condition=Established --timeout="$KUBECTL_WAIT" crd/installations.operator.tigera.io crd/apiservers.operator.tigera.io
  k apply --filename kind/calico.yaml
  wait_for 600 'Calico' calico-system \
    k wait --for=condition=Available --timeout="$KUBECTL_WAIT" tigerastatus/calico tigerastatus/apiserver
  wait_for 120 'the nodes' calico-system k wait --for=condition=Ready --timeout="$KUBECTL_WAIT" nodes --all
}

kube_ovn() {
  say "Kube-OVN $KUBE_OVN_VERSION"
  helm --kube-context "kind-$CLUSTER" upgrade --install kube-ovn "$KUBE_OVN_CHART" --version "$KUBE_OVN_VERSION" \
    --namespace kube-system --values kind/kube-ovn-values.yaml --wait --timeout 10m >/dev/null || {
    diagnose kube-system
    fail 'helm could not install Kube-OVN; it needs the kernel module openvswitch on this machine (modprobe openvswitch)'
  }
  k apply --filename conf-examples/vpc.yaml
  wait_for 120 'the subnet of the VPC' kube-system \
    k wait --for=condition=Ready --timeout="$KUBECTL_WAIT" subnets.kubeovn.io/tenant-vpc-net
}

multus() {
  say "Multus $MULTUS_VERSION"
  local manifest
  manifest=$(curl --fail --silent --show-error --location "$MULTUS_MANIFEST") || fail "cannot fetch $MULTUS_MANIFEST"
  # All plugins of all pods that start at once share its limits, by default 50 MiB and a tenth of a CPU.
  manifest=$(sed -e "s|image: .*/multus-cni:.*|image: $MULTUS_IMAGE|" \
    -e 's/cpu: "100m"/cpu: "500m"/' -e 's/memory: "50Mi"/memory: "256Mi"/' <<<"$manifest")
  k apply --filename - <<<"$manifest"
  wait_for 300 'Multus' kube-system k --namespace kube-system rollout status --timeout="$KUBECTL_WAIT" daemonset/kube-multus-ds
  k apply --filename kind/networks.yaml
}

plugin() {
  say 'x-calico-route'
  docker build --quiet --tag x-calico-route:kind . >/dev/null || fail 'docker could not build the image; see: docker build .'
  kind load docker-image x-calico-route:kind --name "$CLUSTER" >/dev/null || fail 'kind could not load the image into the nodes'
  k apply --kustomize kind/daemonset
  # The tag stays the same when the image changes.
  k --namespace x-calico-route rollout restart daemonset/x-calico-route >/dev/null
  wait_for 180 'the plugin on every node' x-calico-route \
    k --namespace x-calico-route rollout status --timeout="$KUBECTL_WAIT" daemonset/x-calico-route
}

kubevirt() {
  say "KubeVirt $KUBEVIRT_VERSION"
  k apply --server-side --force-conflicts --filename "$KUBEVIRT_MANIFEST" >/dev/null
  wait_for 60 "KubeVirt's definition" kubevirt k wait --for=condition=Established --timeout="$KUBECTL_WAIT" crd/kubevirts.kubevirt.io
  k apply --filename kind/kubevirt.yaml
  if ! docker exec "$CLUSTER-worker" test -c /dev/kvm; then
    say 'no /dev/kvm in the nodes: the VM is emulated, and slow'
    k --namespace kubevirt patch kubevirt kubevirt --type merge \
      --patch '{"spec":{"configuration":{"developerConfiguration":{"useEmulation":true}}}}'
  fi
  wait_for 900 'KubeVirt' kubevirt k --namespace kubevirt wait --for=condition=Available --timeout="$KUBECTL_WAIT" kubevirt/kubevirt
}

# Hosts beside the cluster, on the nodes' own network: HTTP on 80 and 8080, and nothing of Kubernetes.
underlay() {
  local name last
  for name in "${UNDERLAY_HOSTS[@]}"; do
    last=${name##*-}
    [ "$(docker inspect --format '{{.State.Running}}' "$name" 2>/dev/null)" != true ] || continue
    say "underlay host 172.18.31.$last"
    docker rm --force "$name" >/dev/null 2>&1 || true
    docker run --detach --name "$name" --network "$NETWORK" --ip "172.18.31.$last" --ip6 "fc00:f853:ccd:e793::31$last" \
      --restart unless-stopped --init "$BUSYBOX_IMAGE" \
      sh -c "mkdir /www && echo host $last >/www/index.html && httpd -h /www -p 8080 && exec httpd -f -h /www -p 80" >/dev/null ||
      fail "docker could not start the host 172.18.31.$last of the underlay"
  done
}

workloads() {
  say 'two pods and a VM, limited by a NetworkPolicy'
  k apply --filename kind/policy.yaml --filename kind/pods.yaml
  wait_for 300 'the pods' tenant k --namespace tenant wait --for=condition=Ready --timeout="$KUBECTL_WAIT" pod/limited pod/unlimited
  k apply --filename kind/virtual-machine.yaml
  # The disk image is several hundred megabytes.
  wait_for 900 'the VM' tenant k --namespace tenant wait --for=condition=Ready --timeout="$KUBECTL_WAIT" virtualmachine/testvm
}

need_tools docker kind kubectl helm curl
need_docker_daemon
need_inotify
node_network
cluster
calico
kube_ovn
multus
plugin
kubevirt
underlay
workloads
say 'up; next: kind/check.sh, and kind/down.sh to remove it all'
