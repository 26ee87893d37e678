import { isWithin, parsePrefix } from '../net/address.ts'
import { routeText } from '../net/iproute2.ts'
import { DEFAULT_DST, isNextHop6, MAIN_TABLE, placeOf, type Route, type Snapshot, UNICAST } from '../net/route.ts'
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
  const isDefault = ({ dst }: Route) => dst === DEFAULT_DST[4]
  const kept = onNic.filter((route) => isDefault(route) || !isOwnSubnet(route, address))
  const inOrder = [...kept.filter((route) => !isDefault(route)), ...kept.filter(isDefault)]
  return {
    ...(first.gw === undefined ? {} : { router: first.gw }),
    classlessRoutes: inOrder.map(({ dst, gw = '0.0.0.0' }) => ({ dst, gw })),
  }
}

/**
 * Releases before 1.4 left out every prefix that contains the address.
 * @see https://github.com/kubevirt/kubevirt/commit/d9fe046f3f
 */
function isOwnSubnet({ dst }: Route, address: string): boolean {
  return dst === parsePrefix(address)?.network
}

/** Why KubeVirt's bridge binding would fail in a pod with these routes, or mislead its VM. */
export function kubevirtProblems({ routes, links }: Snapshot, ifname: string): Problem[] {
  const main = routes.filter((route) => route.table === MAIN_TABLE)
  const problems = main
    // KubeVirt looks up the interface of every route, and fails if there is none.
    .filter((route) => route.dev === undefined)
    .map((route) => {
      const what = route.nexthops ? 'the multipath route' : 'a route that leads nowhere,'
      return problem(`KubeVirt cannot read ${what} ${routeText(route)}; remove it, or use a binding other than bridge`)
    })
  for (const hops of multipaths6(main)) {
    const text = hops.map(routeText).join(' and ')
    problems.push(
      problem(`KubeVirt cannot read the multipath route of ${text}; remove one, or use a binding other than bridge`),
    )
  }
  const addressed = links.find((link) => link.ifname === ifname)?.addresses.some((address) => address.includes('.'))
  if (addressed && !main.some((route) => isMain4(route) && route.dev === ifname)) {
    problems.push(
      problem(
        `${ifname} would keep no IPv4 route, and KubeVirt fails a VM whose NIC has an address but no route; add one to "routes"`,
      ),
    )
  }
  return problems
}

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

/** Sorts routes as the kernel dumps a table: by prefix, wider prefixes first, then by metric. */
export function inDumpOrder(routes: readonly Route[]): Route[] {
  const key = ({ dst, priority }: Route) => {
    const [address = '', length = ''] = dst.split('/')
    return [...address.split('.'), length, String(priority)].map((part) => part.padStart(10, '0')).join('.')
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
          .filter((one) => one.gw === '0.0.0.0')
          .map((one) => one.dst),
      ]
      return gw !== '0.0.0.0' && !known.some((prefix) => isWithin(gw, parsePrefix(prefix)?.network ?? prefix))
    })
    .map(({ dst }) => dst)
}
