import { familyOf, isWithin, parsePrefix, specialKind } from '../net/address.ts'
import { routeText } from '../net/iproute2.ts'
import {
  DEFAULT_DST,
  isNextHop6,
  KERNEL_PROTOCOL,
  MAIN_TABLE,
  placeOf,
  type Route,
  type Snapshot,
  UNICAST,
} from '../net/route.ts'
import type { Problem } from './problem.ts'

/**
 * What KubeVirt's bridge binding makes of a pod's routes: it removes the NIC's addresses, and offers them to the VM by
 * DHCP, together with the NIC's routes.
 * @see https://github.com/kubevirt/kubevirt pkg/network/setup/netpod (which routes), pkg/network/dhcp/server/server.go (their order)
 */
export interface DhcpOffer {
  /** Option 3, router: the next hop of the first route. Absent if that route has none. */
  readonly router?: string
  /**
   * Option 121, classless static routes. Many clients apply them in this order, and ignore option 3. Next hop 0.0.0.0
   * is on-link.
   */
  readonly classlessRoutes: readonly { readonly dst: string; readonly gw: string }[]
}

/**
 * The name that the bridge binding gives the NIC when it moves it into a bridge.
 * @see https://github.com/kubevirt/kubevirt/blob/main/pkg/network/link/names.go GenerateNewBridgedVmiInterfaceName
 */
export const bridgedName = (ifname: string): string => `${ifname.replace(/^pod/, '')}-nic`

/** The name of the bridge that a binding makes for the NIC: `k6t-eth0`. @see the same file, GenerateBridgeName */
export const bridgeName = (ifname: string): string => `k6t-${ifname.replace(/^pod/, '')}`

/**
 * What the VM behind `ifname` is offered, given the routes in the order of the kernel's dump. Only IPv4 routes of the
 * main table through the NIC count. The route to the NIC's own subnet is left out, and so are sources, metrics and
 * MTUs.
 * @param address the NIC's own, with prefix length
 * @returns undefined if the NIC has no IPv4 route: then KubeVirt fails the VM ("no gateway address found")
 */
export function dhcpOffer(routes: readonly Route[], ifname: string, address: string): DhcpOffer | undefined {
  const onNic = routes.filter((route) => isMain4(route) && route.dev === ifname)
  const [first] = onNic
  if (!first) return undefined
  const kept = onNic.filter((route) => isDefault(route) || !isOwnSubnet(route, address))
  const inOrder = [...kept.filter((route) => !isDefault(route)), ...kept.filter(isDefault)]
  const router = gw4(first)
  return {
    ...(router === undefined ? {} : { router }),
    classlessRoutes: inOrder.map((route) => ({ dst: route.dst, gw: gw4(route) ?? ON_LINK })),
  }
}

export const ON_LINK = '0.0.0.0'

/** KubeVirt does not see an IPv6 next hop of an IPv4 route. */
const gw4 = ({ gw }: Route) => (gw === undefined || familyOf(gw) === 6 ? undefined : gw)

const isDefault = ({ dst }: Route) => dst === DEFAULT_DST[4]

/**
 * What an option of DHCP can hold. KubeVirt writes option 121 without a look at its length: if it is longer, clients get
 * no routes or no lease.
 */
export const MAX_OPTION = 255

/** How many bytes of option 121 the routes to these destinations take: a length, as much of the prefix as counts, a next hop. */
export function optionBytes(dsts: readonly string[]): number {
  return dsts.reduce((sum, dst) => sum + 5 + Math.ceil(Number(dst.split('/')[1]) / 8), 0)
}

/** Says that too many routes are handed to a VM; undefined if they fit. */
export function tooLong(dsts: readonly string[], whose: string): string | undefined {
  const bytes = optionBytes(dsts)
  if (bytes <= MAX_OPTION) return undefined
  return `the ${dsts.length} IPv4 routes ${whose} take ${bytes} bytes of DHCP option 121, the limit is ${MAX_OPTION}; write fewer and wider prefixes in "routes"`
}

/**
 * The address that KubeVirt offers to the VM: the first IPv4 one of the NIC that is global unicast, with prefix length.
 * @see https://github.com/kubevirt/kubevirt/blob/main/pkg/network/driver/common.go
 */
export function offeredAddress({ links, routes }: Snapshot, ifname: string): string | undefined {
  const link = links.find((one) => one.ifname === ifname)
  const index = link?.addresses.findIndex(isGlobal4) ?? -1
  if (!link || index < 0) return undefined
  const address = link.addresses[index]
  const known = link.prefixlens?.[index]
  if (known) return `${address}/${known}`
  // Without prefix lengths, the connected route has it.
  const connected = routes.find(
    ({ dev, table, protocol, src }) =>
      dev === ifname && table === MAIN_TABLE && protocol === KERNEL_PROTOCOL && src === address,
  )
  return `${address}/${connected?.dst.split('/')[1] ?? 32}`
}

/** As Go's IsGlobalUnicast. */
const isGlobal4 = (address: string) =>
  familyOf(address) === 4 && !address.startsWith('169.254.') && specialKind(address) === undefined

/**
 * Releases 1.1 to 1.3 left out every prefix that contains the address, 1.0 every route with the address as source.
 * @see https://github.com/kubevirt/kubevirt/commit/d9fe046f3f
 */
function isOwnSubnet({ dst }: Route, address: string): boolean {
  return dst === parsePrefix(address)?.network
}

/** Why KubeVirt's bridge binding would fail in a pod with these routes, or mislead its VM. */
export function kubevirtProblems(snapshot: Snapshot, ifname: string): Problem[] {
  const main = snapshot.routes.filter((route) => route.table === MAIN_TABLE)
  const problems = main
    // KubeVirt looks up the interface of every route, and fails if there is none.
    .filter((route) => route.dev === undefined)
    .map((route) => {
      const what = route.nexthops ? 'the multipath route' : 'a route that leads nowhere,'
      return problem(`${CANNOT_READ} ${what} ${routeText(route)}; remove it`)
    })
  for (const hops of multipaths6(main)) {
    problems.push(problem(`${CANNOT_READ} the multipath route of ${hops.map(routeText).join(' and ')}; remove one`))
  }
  const address = offeredAddress(snapshot, ifname)
  const offer = address === undefined ? undefined : dhcpOffer(main, ifname, address)
  if (address !== undefined && !offer) {
    problems.push(
      problem(
        `${ifname} would keep no IPv4 route, and KubeVirt fails a VM whose NIC has an address but no route; add one to "routes"`,
      ),
    )
  }
  const dsts = offer?.classlessRoutes.map(({ dst }) => dst) ?? []
  const long = tooLong(dsts, `of ${ifname}`)
  if (long !== undefined) problems.push(problem(long))
  return problems
}

/** Release 1.0 can. The later ones look at all routes of the pod, whatever the binding. */
const CANNOT_READ = 'KubeVirt 1.1 and later cannot, with any binding, read'

function problem(says: string): Problem {
  return { at: 'kubevirt', says }
}

/** Routes in one IPv6 place, which the kernel shows as one multipath route. */
function multipaths6(routes: readonly Route[]): Route[][] {
  return [...Map.groupBy(routes.filter(isNextHop6), placeOf).values()].filter((inPlace) => inPlace.length > 1)
}

function isMain4(route: Route): boolean {
  return route.family === 4 && route.table === MAIN_TABLE && route.type === UNICAST
}

/**
 * Sorts routes as the kernel dumps a table: by base address, for one base the longest prefix first, then by metric.
 * @see linux net/ipv4/fib_trie.c fn_trie_dump_leaf
 */
export function inDumpOrder<T extends Pick<Route, 'dst' | 'priority'>>(routes: readonly T[]): T[] {
  const key = ({ dst, priority }: T) => {
    const [address = '', length] = dst.split('/')
    return [...address.split('.'), 32 - Number(length), priority].map((part) => `${part}`.padStart(10, '0')).join('.')
  }
  return [...routes].sort((a, b) => (key(a) < key(b) ? -1 : 1))
}

/** The destinations that a client refuses if it applies the offer in order: it does not know their next hop yet. */
export function unreachableInOrder({ classlessRoutes }: DhcpOffer, address: string): string[] {
  return classlessRoutes
    .filter(({ gw }, i) => {
      const known = [
        address,
        ...classlessRoutes
          .slice(0, i)
          .filter((one) => one.gw === ON_LINK)
          .map((one) => one.dst),
      ]
      return gw !== ON_LINK && !known.some((prefix) => isWithin(gw, parsePrefix(prefix)?.network ?? prefix))
    })
    .map(({ dst }) => dst)
}
