/**
 * A node, a pod on it and a host on the node's underlay, wired as Calico's Linux data plane does it:
 *
 *     pod eth0 10.199.3.153/32 --veth-- cali1234567890a [node, routes] eth0 10.50.0.10 --veth-- eth0 10.50.31.21 [underlay]
 *
 * The underlay host also answers for an address of the internet, as the underlay's own gateway would.
 * @see https://github.com/projectcalico/calico/blob/master/cni-plugin/pkg/dataplane/linux/dataplane_linux.go
 */
import { configure, createNamespaces, linkLocalReady, netnsPath } from './netns.ts'

export const POD = { 4: '10.199.3.153', 6: 'fd00:10:199::153' } as const
export const UNDERLAY = { 4: '10.50.31.21', 6: 'fd00:10:50::21' } as const
export const INTERNET = { 4: '203.0.113.10', 6: '2001:db8:113::10' } as const
/** Calico's next hops in every pod: an address nobody has, and the link-local address of the host's veth. */
export const CALICO = { 4: '169.254.1.1', 6: 'fe80::ecee:eeff:feee:eeee' } as const

const NODE = { 4: '10.50.0.10', 6: 'fd00:10:50::10' } as const
export const HOST_VETH = 'cali1234567890a'
export const POD_MAC = 'da:8f:31:5c:02:7e'

export type Family = 4 | 6

export interface Pod {
  /** The namespace's name, and its path as a runtime hands it over. */
  readonly netns: string
  readonly path: string
  readonly ifname: string
  readonly families: readonly Family[]
}

export interface CalicoPod extends Pod {
  readonly node: string
  readonly underlay: string
}

export async function calicoPod({ families = [4, 6] }: { families?: readonly Family[] } = {}): Promise<CalicoPod> {
  const { node, underlay, pod } = await createNamespaces('node', 'underlay', 'pod')
  // Duplicate address detection would make every IPv6 address unusable for its first one or two seconds.
  const start = `
    sysctl net.ipv6.conf.default.accept_dad=0
    link set lo up`
  await Promise.all([configure(pod, start), configure(underlay, start)])
  // Links first, up on both ends: an IPv6 address older than its link's carrier answers nobody for a second.
  await configure(
    node,
    `${start}
    link add eth0 type veth peer name eth0 netns ${underlay}
    link add ${HOST_VETH} address ee:ee:ee:ee:ee:ee type veth peer name eth0 address ${POD_MAC} netns ${pod}
    link set eth0 up
    link set ${HOST_VETH} up`,
  )
  await Promise.all([configureUnderlay(underlay), configurePod(pod, families)])
  await configureNode(node, families)
  await Promise.all([linkLocalReady(pod, 'eth0'), linkLocalReady(node, HOST_VETH)])
  return { netns: pod, path: netnsPath(pod), ifname: 'eth0', families, node, underlay }
}

const WIRING = {
  4: `
    route add ${CALICO[4]} dev eth0 scope link
    route add default via ${CALICO[4]} dev eth0
    addr add ${POD[4]}/32 dev eth0`,
  6: `
    route add ::/0 via ${CALICO[6]} dev eth0
    addr add ${POD[6]}/128 dev eth0 nodad`,
}

/** In Calico's order: the link, the way to the gateway, the default route, the address. */
export async function configurePod(pod: string, families: readonly Family[]): Promise<void> {
  await configure(pod, `link set eth0 up ${families.map((family) => WIRING[family]).join('')}`)
}

async function configureNode(node: string, families: readonly Family[]): Promise<void> {
  const toPod = {
    4: `route add ${POD[4]}/32 dev ${HOST_VETH} scope link`,
    6: `route add ${POD[6]}/128 dev ${HOST_VETH}`,
  }
  // The default route is needed for more than the internet: the kernel's proxy_arp answers for 169.254.1.1 only
  // where the node has a route to it that leaves by another interface.
  await configure(
    node,
    `
    addr add ${NODE[4]}/16 dev eth0
    addr add ${NODE[6]}/64 dev eth0 nodad
    route add default via ${UNDERLAY[4]} dev eth0
    route add ::/0 via ${UNDERLAY[6]} dev eth0
    ${families.map((family) => toPod[family]).join('\n')}
    sysctl net.ipv4.ip_forward=1
    sysctl net.ipv6.conf.all.forwarding=1
    sysctl net.ipv4.conf.${HOST_VETH}.route_localnet=1
    sysctl net.ipv4.neigh.${HOST_VETH}.proxy_delay=0
    sysctl net.ipv4.conf.${HOST_VETH}.proxy_arp=1
    sysctl net.ipv6.conf.${HOST_VETH}.proxy_ndp=1`,
  )
}

async function configureUnderlay(underlay: string): Promise<void> {
  await configure(
    underlay,
    `
    link set eth0 up
    addr add ${UNDERLAY[4]}/16 dev eth0
    addr add ${UNDERLAY[6]}/64 dev eth0 nodad
    addr add ${INTERNET[4]}/32 dev lo
    addr add ${INTERNET[6]}/128 dev lo
    # what BGP would have taught the underlay
    route add 10.199.0.0/16 via ${NODE[4]}
    route add fd00:10:199::/64 via ${NODE[6]}`,
  )
}
