/** NICs that a pod of ovn-nic.ts may have besides Calico's and that in the VPC, each as its plugin makes it. */
import type { Family, Pod } from './calico.ts'
import { configure, linkLocalReady } from './netns.ts'
import type { Site } from './ovn-nic.ts'
import type { CniResult } from './runtime.ts'

/** Services that are reached through the node. What answers for them is the host of the underlay. */
export const SERVICES = { 4: '172.20.0.10', 6: 'fd00:10:172::10' } as const
/** The Service of the API server, whose address Kube-OVN knows. */
export const API_SERVER = '172.20.0.1'

export interface Nic extends Pod {
  readonly result: CniResult
}

/** A NIC in a network of its own, as macvlan makes it. Its default route is what `ip route` adds with these words. */
export async function macvlanNic(pod: Site, ifname: string, words: string | undefined): Promise<void> {
  await configure(
    pod.underlay,
    `
    link add net172 type veth peer name peer172
    link set net172 up
    link set peer172 up
    addr add 172.16.3.2/24 dev net172
    addr add fd00:172:16:3::2/64 dev net172 nodad
    link add link peer172 name ${ifname} netns ${pod.netns} type macvlan mode bridge
    route add 172.16.3.0/24 dev net172 table 1`,
  )
  await configure(
    pod.netns,
    `link set ${ifname} up\naddr add 172.16.3.101/24 dev ${ifname}\n${words === undefined ? '' : `route ${words}`}`,
  )
}

/** ptp's ADD, with a default route in each family: in a pod that has one, IPv4's comes before it, IPv6's is joined with it. */
export async function ptpNic(pod: Site, ifname: string): Promise<Nic> {
  await configure(pod.node, `link add ptp0 type veth peer name ${ifname} netns ${pod.netns}\nlink set ptp0 up`)
  await configure(
    pod.netns,
    `
    link set ${ifname} up
    addr add 10.1.0.5/24 dev ${ifname}
    addr add fd00:10:1::5/64 dev ${ifname} nodad
    route prepend default via 10.1.0.1 dev ${ifname}
    route append ::/0 via fd00:10:1::1 dev ${ifname}
    # a point-to-point link: the subnet is behind the gateway, which alone is on-link
    route del 10.1.0.0/24 dev ${ifname}
    route add 10.1.0.1/32 dev ${ifname} scope link src 10.1.0.5
    route add 10.1.0.0/24 via 10.1.0.1 dev ${ifname} src 10.1.0.5
    route del fd00:10:1::/64 dev ${ifname}
    route add fd00:10:1::1/128 dev ${ifname} src fd00:10:1::5
    route add fd00:10:1::/64 via fd00:10:1::1 dev ${ifname} src fd00:10:1::5`,
  )
  await configure(
    pod.node,
    `
    addr add 10.1.0.1/32 dev ptp0
    addr add fd00:10:1::1/128 dev ptp0 nodad
    route add 10.1.0.5/32 dev ptp0
    route add fd00:10:1::5/128 dev ptp0`,
  )
  await answerForServices(pod, ifname, 'ptp0')
  const ips = [
    { interface: 1, address: '10.1.0.5/24', gateway: '10.1.0.1' },
    { interface: 1, address: 'fd00:10:1::5/64', gateway: 'fd00:10:1::1' },
  ]
  const interfaces = [{ name: 'ptp0' }, { name: ifname, sandbox: pod.path }]
  const routes = [{ dst: '0.0.0.0/0' }, { dst: '::/0' }]
  return { ...pod, ifname, result: { cniVersion: '1.0.0', interfaces, ips, routes, dns: {} } }
}

const DEFAULT_SUBNET = {
  4: { address: '10.16.0.20/16', gateway: '10.16.0.1', prefix: '10.16.0.0/16' },
  6: { address: 'fd00:10:16::20/112', gateway: 'fd00:10:16::1', prefix: 'fd00:10:16::/112' },
} as const

/**
 * Kube-OVN's NIC of a vpc-dns pod in the cluster's default subnet. Kube-OVN routes the API server's address by it, and nothing else.
 * @see https://github.com/kubeovn/kube-ovn/blob/v1.16.2/pkg/controller/vpc_dns.go setVpcDNSRoute
 */
export async function defaultSubnetNic(pod: Site, ifname: string): Promise<Nic> {
  const families: readonly Family[] = [4, 6]
  await configure(pod.node, `link add ovn0 type veth peer name ${ifname} netns ${pod.netns}\nlink set ovn0 up`)
  const addresses = families.map(
    (family) => `addr add ${DEFAULT_SUBNET[family].address} dev ${ifname} ${NODAD[family]}`,
  )
  const toApi = { dst: `${API_SERVER}/32`, gw: DEFAULT_SUBNET[4].gateway }
  await configure(
    pod.netns,
    `link set ${ifname} up\n${addresses.join('\n')}\nroute replace ${toApi.dst} via ${toApi.gw} dev ${ifname}`,
  )
  const gateways = families.map((family) => {
    const { gateway, prefix } = DEFAULT_SUBNET[family]
    return `addr add ${gateway}/${prefix.split('/')[1]} dev ovn0 ${NODAD[family]}`
  })
  await configure(pod.node, gateways.join('\n'))
  await answerForServices(pod, ifname, 'ovn0')
  const ips = families.map((family) => ({ interface: 0, address: DEFAULT_SUBNET[family].address }))
  const routes = [...families.map((family) => ({ dst: DEFAULT_SUBNET[family].prefix })), toApi]
  const interfaces = [{ name: ifname, sandbox: pod.path }]
  return { ...pod, ifname, result: { cniVersion: '1.0.0', interfaces, ips, routes, dns: {} } }
}

const NODAD = { 4: '', 6: 'nodad' } as const

/** kube-proxy's part: the node sends on what the pod sends to Services by this NIC. */
async function answerForServices(pod: Site, ifname: string, hostEnd: string): Promise<void> {
  await configure(
    pod.underlay,
    `
    addr add ${SERVICES[4]}/32 dev lo
    addr add ${API_SERVER}/32 dev lo
    addr add ${SERVICES[6]}/128 dev lo`,
  )
  await Promise.all([linkLocalReady(pod.netns, ifname), linkLocalReady(pod.node, hostEnd)])
}
