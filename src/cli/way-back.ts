import { isObject } from '../cni/request.ts'
import { familyOf, isWithin, parsePrefix } from '../net/address.ts'
import { parseAnswer, typeText } from '../net/iproute2.ts'
import { MAIN_TABLE, type Route, UNICAST } from '../net/route.ts'
import { bridgedName } from '../plan/kubevirt.ts'

/**
 * The way back: what a pod sends from its NIC is answered to the NIC's address, and the answer comes to the node. The node
 * must then have a route to the address by the pod's own host end, or the pod sends and never hears.
 *
 * That is so only where the node itself routes to the NIC. Of these plugins it is known, see their sources; behind any other
 * one, nothing is said. Kube-OVN and OVN put the host end into a switch of their own, with addresses of a VPC that the node has
 * another route to, or none, and overlapping ones; with OVS' userspace datapath nothing about the host end tells. Cilium leads
 * all pods by an interface of its own. bridge, macvlan and ipvlan have no host end of their own.
 * @see https://github.com/projectcalico/calico/blob/master/cni-plugin/pkg/dataplane/linux/dataplane_linux.go SetupRoutes
 * @see https://github.com/containernetworking/plugins/blob/main/plugins/main/ptp/ptp.go setupHostVeth
 */
const ROUTED_BY_NODE: readonly string[] = ['calico', 'ptp']

/** An interface, as far as the two ends of a veth are told by it. */
export interface End {
  readonly ifname: string
  readonly index: number
  readonly kind?: string
  /** Of a veth whose other end is in another namespace: its index there. */
  readonly peer?: number
  /** Has one: it is a port of a bridge or OVS, or in a VRF. */
  readonly master?: string
  /** Bare, as the kernel prints them, less those that the NIC gave itself after a router advertisement. */
  readonly addresses: readonly string[]
}

/** A NIC that the node must have a way back to. */
export interface Nic {
  readonly index: number
  readonly peer: number
  /** What its host end may be called: nothing known if empty. */
  readonly hostNames: readonly string[]
  readonly addresses: readonly string[]
}

interface LinkJson {
  ifname?: unknown
  ifindex?: unknown
  link_index?: unknown
  master?: unknown
  linkinfo?: { info_kind?: string }
  addr_info?: { local?: unknown; dynamic?: unknown }[]
}

/** The interfaces of one `address show` or `link show` answer. @throws SyntaxError if it is no JSON */
export function parseEnds(answer: string): End[] {
  return parseAnswer<LinkJson>(answer).flatMap(({ ifname, ifindex, link_index, master, linkinfo, addr_info }) => {
    if (typeof ifname !== 'string' || typeof ifindex !== 'number') return []
    const kind = linkinfo?.info_kind
    return {
      ifname,
      index: ifindex,
      ...(kind === undefined ? {} : { kind }),
      ...(kind === 'veth' && typeof link_index === 'number' ? { peer: link_index } : {}),
      ...(typeof master === 'string' ? { master } : {}),
      addresses: (addr_info ?? []).flatMap(({ local, dynamic }) =>
        typeof local === 'string' && dynamic !== true ? [local] : [],
      ),
    }
  })
}

/** Where a NIC was asked about: the plugin that made it, and the Result that tells of it. */
export interface Made {
  readonly ifname: string
  /** The type of the first plugin of the chain. */
  readonly maker: string | undefined
  readonly result: unknown
}

/**
 * The NIC of a pod, if the node routes to it; undefined where no way back can be asked for: the NIC is no veth, or its
 * maker lets somebody else carry its packets.
 * @param ends all interfaces of the pod
 */
export function nicOf(ends: readonly End[], { ifname, maker, result }: Made): Nic | undefined {
  if (maker === undefined || !ROUTED_BY_NODE.includes(maker)) return undefined
  const named = ends.find((end) => end.ifname === ifname)
  const veth = named?.kind === 'dummy' ? ends.find((end) => end.ifname === bridgedName(ifname)) : named
  if (!named || veth?.peer === undefined) return undefined
  const { addresses: told, hostNames } = toldBy(result, ifname)
  // What somebody added to the NIC by hand is not the node's to know; what a plugin reported is.
  const asked = told.length > 0 ? told : named.addresses
  const addresses = asked.filter((one) => !isLinkLocal(one)).slice(0, MOST_ADDRESSES)
  return { index: veth.index, peer: veth.peer, hostNames, addresses }
}

/** Whoever is root in the pod may give its NIC thousands. */
const MOST_ADDRESSES = 16

const isLinkLocal = (address: string) => isWithin(address, familyOf(address) === 6 ? 'fe80::/10' : '169.254.0.0/16')

/** Of a Result the addresses of a NIC, and the names of interfaces outside of the pod. Calico up to 3.30 names no interface of an address. */
function toldBy(result: unknown, ifname: string): { addresses: string[]; hostNames: string[] } {
  const { ips, interfaces } = isObject(result) ? result : {}
  const all = Array.isArray(interfaces) ? interfaces.map((one) => (isObject(one) ? one : {})) : []
  const addresses = (Array.isArray(ips) ? ips : []).flatMap((ip) => {
    if (!isObject(ip) || typeof ip.address !== 'string') return []
    const of = typeof ip.interface === 'number' ? all[ip.interface]?.name : ifname
    const prefix = of === ifname ? parsePrefix(ip.address) : undefined
    return prefix ? [prefix.address] : []
  })
  const hostNames = all.flatMap(({ name, sandbox }) => (typeof name === 'string' && !sandbox ? [name] : []))
  return { addresses, hostNames }
}

/**
 * The host end of a NIC among the veths of a namespace. Indices of two namespaces are often the same numbers: so both ends
 * must know each other, and the name must be one that the Result tells. Not found: that namespace is not the node's.
 */
export function hostEndOf({ index, peer, hostNames }: Nic, veths: readonly End[]): End | undefined {
  return veths.find(
    (end) => end.index === peer && end.peer === index && (hostNames.length === 0 || hostNames.includes(end.ifname)),
  )
}

/** What the node tells of one address. */
export interface Told {
  /** `ip route get`; absent if it found no way. */
  readonly way?: Route
  /** `ip route show table all match`, asked where it found none. */
  readonly around?: readonly Route[]
}

/** What is wrong with the node's way to an address, whose pod is behind `host`; undefined if nothing is. */
export function noWayBack(address: string, host: string, { way, around = [] }: Told): string | undefined {
  if (way?.type === UNICAST && way.dev === host) return undefined
  const found = way ? wayText(way) : nearestText(around)
  return found === undefined
    ? `no way back: ${address}: the node has no route to it, and needs one dev ${host}`
    : `no way back: ${address}: the node's route is ${found}, not dev ${host}`
}

/** `ip route get` prints the address in the place of the destination, and no protocol that means something. */
function wayText({ type, gw, dev }: Route, ...dst: string[]): string {
  return [typeText(type), ...dst, gw && `via ${gw}`, dev && `dev ${dev}`].filter(Boolean).join(' ')
}

function nearestText(around: readonly Route[]): string | undefined {
  const inMain = around.filter(({ table }) => table === MAIN_TABLE)
  const nearest = inMain.toSorted((a, b) => lengthOf(b) - lengthOf(a) || a.priority - b.priority)[0]
  return nearest && wayText(nearest, nearest.dst)
}

const lengthOf = ({ dst }: Route) => Number(dst.split('/')[1])
