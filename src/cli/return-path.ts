import { isObject } from '../cni/request.ts'
import { familyOf, isWithin, parsePrefix } from '../net/address.ts'
import { parseAnswer, typeText } from '../net/iproute2.ts'
import { MAIN_TABLE, type Route, UNICAST } from '../net/route.ts'
import { bridgedName } from '../plan/kubevirt.ts'

/**
 * The return path: answers to what a pod sends from its NIC go to the address of the NIC, and arrive at the node. The node
 * must then have a route to that address through the pod's own host veth, or the pod never hears an answer.
 *
 * That holds only if the node itself routes to the NIC, as with these plugins (see their sources). For any other plugin
 * nothing is said. Kube-OVN and OVN put the host veth into a switch of their own: the node has another route to the
 * addresses of a VPC, or none, and VPCs may overlap. With OVS' userspace datapath the host veth does not even show this.
 * Cilium reaches all pods through an interface of its own. bridge, macvlan and ipvlan have no routed host veth.
 * @see https://github.com/projectcalico/calico/blob/master/cni-plugin/pkg/dataplane/linux/dataplane_linux.go SetupRoutes
 * @see https://github.com/containernetworking/plugins/blob/main/plugins/main/ptp/ptp.go setupHostVeth
 */
const ROUTED_BY_NODE: readonly string[] = ['calico', 'ptp']

/** An interface, with what is needed to match the two ends of a veth pair. */
export interface End {
  readonly ifname: string
  readonly index: number
  readonly kind?: string
  /** For a veth whose other end is in another namespace, the index of that end. */
  readonly peer?: number
  /** Present for a port of a bridge or OVS, and in a VRF. */
  readonly master?: string
  /** Without prefix length, and without those that the kernel made from router advertisements. */
  readonly addresses: readonly string[]
}

/** A NIC that the node must have a return path to. */
export interface Nic {
  readonly index: number
  readonly peer: number
  /** The possible names of its host veth; empty if unknown. */
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

/** The interfaces of one `address show` or `link show` answer. @throws SyntaxError if it is not JSON */
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

/** How a NIC was made: by which plugin, and what the Result says about it. */
export interface Made {
  readonly ifname: string
  /** The type of the first plugin of the chain. */
  readonly maker: string | undefined
  readonly result: unknown
}

/**
 * The NIC of a pod, if the node routes to it; undefined if the NIC is not a veth, or if its plugin leaves its packets to
 * something other than the node's routes.
 * @param ends all interfaces of the pod
 */
export function nicOf(ends: readonly End[], { ifname, maker, result }: Made): Nic | undefined {
  if (maker === undefined || !ROUTED_BY_NODE.includes(maker)) return undefined
  const named = ends.find((end) => end.ifname === ifname)
  const veth = named?.kind === 'dummy' ? ends.find((end) => end.ifname === bridgedName(ifname)) : named
  if (!named || veth?.peer === undefined) return undefined
  const { addresses: told, hostNames } = toldBy(result, ifname)
  // The node must know the addresses that a plugin reported, not those that somebody added by hand.
  const asked = told.length > 0 ? told : named.addresses
  const addresses = asked.filter((one) => !isLinkLocal(one)).slice(0, MAX_ADDRESSES)
  return { index: veth.index, peer: veth.peer, hostNames, addresses }
}

/** Root in the pod may give its NIC thousands. */
const MAX_ADDRESSES = 16

const isLinkLocal = (address: string) => isWithin(address, familyOf(address) === 6 ? 'fe80::/10' : '169.254.0.0/16')

/** The addresses of a NIC in a Result, and the names of interfaces outside the pod. Up to 3.30, Calico gives addresses no interface. */
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
 * The host veth of a NIC among the veths of a network namespace; undefined if that is not the node's. Two namespaces often
 * use the same indices, so both ends must refer to each other, and the Result must have the name, if it has any.
 */
export function hostEndOf({ index, peer, hostNames }: Nic, veths: readonly End[]): End | undefined {
  return veths.find(
    (end) => end.index === peer && end.peer === index && (hostNames.length === 0 || hostNames.includes(end.ifname)),
  )
}

/** What the node says of one address. */
export interface Told {
  /** The route that `ip route get` found; absent if there is none. */
  readonly way?: Route
  /** What `ip route show table all match` printed, if it found none. */
  readonly around?: readonly Route[]
}

/** What is wrong with the node's route to an address whose host veth is `host`; undefined if nothing is. */
export function missingReturnPath(address: string, host: string, { way, around = [] }: Told): string | undefined {
  if (way?.type === UNICAST && way.dev === host) return undefined
  const found = way ? wayText(way) : nearestText(around)
  return found === undefined
    ? `no return path to ${address}: the node has no route to it; it must have one with dev ${host}`
    : `no return path to ${address}: the node's route is ${found}, not dev ${host}`
}

/** Leaves out what `ip route get` does not have: it prints the address as destination, and no real protocol. */
function wayText({ type, gw, dev }: Route, ...dst: string[]): string {
  return [typeText(type), ...dst, gw && `via ${gw}`, dev && `dev ${dev}`].filter(Boolean).join(' ')
}

function nearestText(around: readonly Route[]): string | undefined {
  const inMain = around.filter(({ table }) => table === MAIN_TABLE)
  const nearest = inMain.toSorted((a, b) => lengthOf(b) - lengthOf(a) || a.priority - b.priority)[0]
  return nearest && wayText(nearest, nearest.dst)
}

const lengthOf = ({ dst }: Route) => Number(dst.split('/')[1])
