/**
 * A real OVN on a test node: northd, controller and Open vSwitch with its datapath in user space, so that no kernel module is needed.
 * Its VPC is what kube-ovn makes of one: a switch, a router, and the internet behind that.
 *
 *     pods net1 10.0.1.x -- br-int: switch ls-vpc -- router lr-vpc 10.0.1.1 | 203.0.113.2 -- br-ex -- eth0 203.0.113.10 [internet]
 */
import { INTERNET, UNDERLAY } from '../support/calico.ts'
import { ROUTER } from '../support/ovn-nic.ts'
import type { PluginConf } from './conflist.ts'
import { local, type TestNode } from './node.ts'

const OVN_DIRECTORY = '/run/ovn-e2e'
const OVN_SOCKET = `unix:${OVN_DIRECTORY}/db.sock`

const VPC = { 4: '10.0.1.0/24', 6: 'fd00:10:0:1::/64' } as const
const WAN = { 4: '203.0.113.2', 6: '2001:db8:113::2' } as const

/** A NIC in the VPC as kube-ovn makes it; `default`: with a default route, as for its annotation `default_route`. */
export const kubeOvn = (families: readonly (4 | 6)[], conf: { default?: boolean } = {}): PluginConf => ({
  type: 'test-kube-ovn',
  socket: OVN_SOCKET,
  ...conf,
  ipam: {
    type: 'host-local',
    ranges: families.map((family) => [
      { subnet: VPC[family], rangeStart: family === 4 ? '10.0.1.10' : 'fd00:10:0:1::10', gateway: ROUTER[family] },
    ]),
  },
})

// One ovsdb-server serves all three databases. ovn-controller 23.03 dies if it starts before northd has filled the southbound
// one, hence the sync. AF_PACKET hands the user-space datapath frames whose checksum the sender left to the hardware: ping works
// then, TCP does not, until the sender makes checksums itself.
const START = `
cd ${OVN_DIRECTORY}
export OVS_RUNDIR=$PWD OVS_LOGDIR=$PWD OVS_DBDIR=$PWD OVN_RUNDIR=$PWD OVN_LOGDIR=$PWD OVN_DBDIR=$PWD
start() { "$@" -vconsole:off -vsyslog:off --detach --no-chdir --pidfile="$PWD/$1.pid" --log-file="$PWD/$1.log"; }
vsctl() { ovs-vsctl --db=${OVN_SOCKET} --timeout=30 "$@"; }
nbctl() { ovn-nbctl --db=${OVN_SOCKET} --timeout=30 "$@"; }

ovsdb-tool create conf.db /usr/share/openvswitch/vswitch.ovsschema
ovsdb-tool create ovnnb.db /usr/share/ovn/ovn-nb.ovsschema
ovsdb-tool create ovnsb.db /usr/share/ovn/ovn-sb.ovsschema
start ovsdb-server --remote=p${OVN_SOCKET} conf.db ovnnb.db ovnsb.db
vsctl --no-wait -- init -- set Open_vSwitch . external_ids:system-id=node external_ids:hostname=node \\
  external_ids:ovn-remote=${OVN_SOCKET} external_ids:ovn-encap-type=geneve external_ids:ovn-encap-ip=127.0.0.1 \\
  external_ids:ovn-bridge-datapath-type=netdev external_ids:ovn-bridge-mappings=internet:br-ex
start ovs-vswitchd ${OVN_SOCKET}
vsctl add-br br-int -- set Bridge br-int datapath_type=netdev fail_mode=secure \\
  -- add-br br-ex -- set Bridge br-ex datapath_type=netdev
start ovn-northd --ovnnb-db=${OVN_SOCKET} --ovnsb-db=${OVN_SOCKET}
nbctl init
nbctl --wait=sb sync
start ovn-controller ${OVN_SOCKET}

ip netns add internet
ip link add inet0 type veth peer name eth0 netns internet
ip netns exec internet sh -ec '
  echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad
  ethtool -K eth0 tx off >/dev/null
  ip link set lo up; ip link set eth0 up'
ip link set inet0 up
ip -n internet -batch - <<BATCH
addr add ${INTERNET[4]}/24 dev eth0
addr add ${INTERNET[6]}/64 dev eth0 nodad
route add default via ${WAN[4]}
route add ::/0 via ${WAN[6]}
addr add ${UNDERLAY[4]}/32 dev lo
addr add ${UNDERLAY[6]}/128 dev lo
BATCH
vsctl add-port br-ex inet0

nbctl ls-add ls-vpc -- lr-add lr-vpc -- set Logical_Router lr-vpc options:chassis=node \\
  -- lrp-add lr-vpc lr-vpc_ls-vpc 00:00:00:00:01:01 ${ROUTER[4]}/24 ${ROUTER[6]}/64 \\
  -- lsp-add ls-vpc ls-vpc_lr-vpc -- lsp-set-type ls-vpc_lr-vpc router -- lsp-set-addresses ls-vpc_lr-vpc router \\
  -- lsp-set-options ls-vpc_lr-vpc router-port=lr-vpc_ls-vpc \\
  -- ls-add ls-ext -- lrp-add lr-vpc lr-vpc_ls-ext 00:00:00:00:01:02 ${WAN[4]}/24 ${WAN[6]}/64 \\
  -- lsp-add ls-ext ls-ext_lr-vpc -- lsp-set-type ls-ext_lr-vpc router -- lsp-set-addresses ls-ext_lr-vpc router \\
  -- lsp-set-options ls-ext_lr-vpc router-port=lr-vpc_ls-ext \\
  -- lsp-add ls-ext ls-ext_internet -- lsp-set-type ls-ext_internet localnet -- lsp-set-addresses ls-ext_internet unknown \\
  -- lsp-set-options ls-ext_internet network_name=internet \\
  -- lr-route-add lr-vpc 0.0.0.0/0 ${INTERNET[4]} -- lr-route-add lr-vpc ::/0 ${INTERNET[6]}
nbctl --wait=hv sync
`

/** Brings OVN up on a node, beside whatever is there, with hosts that answer on the underlay and on the internet. */
export async function startOvn(node: TestNode): Promise<void> {
  const plugin = `#!/bin/sh\nexec '${process.execPath}' '${local('plugins/kube-ovn.ts')}'\n`
  node.write('/opt/cni/bin/test-kube-ovn', plugin, 0o755)
  node.write(`${OVN_DIRECTORY}/README`, 'databases, logs and sockets of Open vSwitch and OVN\n')
  await node.bash(START)
  // What leaves a pod the wrong way is answered, too, by the wrong host.
  for (const netns of ['underlay', 'internet']) {
    const host = [process.execPath, local('../support/packets/host.ts'), netns, '7142']
    node.daemon(['nsenter', `--net=/run/netns/${netns}`, ...host], `/run/host-${netns}.log`)
  }
}

/** Where a pod's packets go, by answer and by the NICs' own counters, as `paths` of the tests without runtime tells it. */
export async function tracePaths(
  node: TestNode,
  netns: string,
  ...addresses: string[]
): Promise<Record<string, string>> {
  const tracer = local('../support/packets/tracer.ts')
  return JSON.parse((await node.inPod(netns, [process.execPath, tracer, ...addresses])).stdout)
}
