import { gatewayAddressesOf, type PrevResult, reportedDefault } from '../cni/result.ts'
import type { Config } from '../config/config.ts'
import { isLinkLocal, isWithin, parsePrefix, prefixesAroundIn } from '../net/address.ts'
import {
  DEFAULT_DST,
  devicesOf,
  isMainDefault,
  KERNEL_PROTOCOL,
  MAIN_TABLE,
  PROTOCOL,
  placeOf,
  type Route,
  UNICAST,
} from '../net/route.ts'
import { CALICO_GATEWAY } from './next-hop.ts'
import { tableOf } from './nic-table.ts'

/**
 * Which routes of a pod a decision can need. Of an ordinary pod all routes are kept, and nobody asks. Of others only
 * the needed ones are, and every decision must be the same as with all of them: tests check that.
 */

/**
 * Tells whether a decision can need a route. Called once for each route, in the kernel's order, and only if there are
 * many: whoever is root in a pod decides how many.
 */
export type RouteFilter = (route: Route) => boolean

/** What is kept of a pod with very many routes. */
export interface Bounds {
  readonly filter: () => RouteFilter
  /**
   * The most routes that can be kept; each next hop of a multipath route counts as one. Called only if there are many.
   */
  readonly max: () => number
}

/**
 * Not counting configured routes. With everything else at its limit too, they take less memory than an ordinary call.
 */
const MAX_OTHERS = 2000

/** What ADD and CHECK need to decide. */
export function neededToAdd(config: Config, ifname: string, prev: PrevResult): Bounds {
  const each = config.sourceRouting ? 4 : 2
  return { max: () => MAX_OTHERS + each * config.routes.length, filter: () => filterForAdd(config, ifname, prev) }
}

/** Even default routes take 5 of the 255 bytes of DHCP option 121. */
const MAX_HANDED = 52

function filterForAdd(config: Config, ifname: string, prev: PrevResult): RouteFilter {
  const { routes, gateway, sourceRouting, kubevirt } = config
  const devices = new Set([ifname, gateway?.dev ?? ifname, ...routes.map(({ dev = ifname }) => dev)])
  const destinations = new Set([
    `${CALICO_GATEWAY}/32`,
    ...routes.map(({ dst }) => dst),
    ...(prev.routes ?? []).map(({ dst }) => parsePrefix(dst)?.network ?? dst),
  ])
  const addresses = wantedAddresses(config, prev, ifname)
  const prefixesAround = prefixesAroundIn(new Set(routes.map(({ dst }) => dst)))
  const isFirst = firstSeen()
  let handed = 0
  const ownTable = sourceRouting && tableOf(ifname, sourceRouting)
  return (route) => {
    const { family, type, dst, gw, dev, table, protocol } = route
    const isOnDevice = devicesOf(route).some((one) => devices.has(one))
    if (destinations.has(dst) || table === ownTable) return true
    if (ownTable !== undefined && protocol === KERNEL_PROTOCOL && dev === ifname && table === MAIN_TABLE) return true
    // Routes that lead nowhere too: a rollback looks for all routes in the place of a default route.
    if (dst === DEFAULT_DST[family] && (table === MAIN_TABLE || isOnDevice)) return true
    // `demote` looks for another NIC with routes of ours.
    if (protocol === PROTOCOL && dev !== undefined && isFirst(`ours ${dev}`)) return true
    if (kubevirt && table === MAIN_TABLE) {
      if (dev === undefined || (family === 6 && gw !== undefined)) return true
      // More do not fit into what a VM is offered.
      if (family === 4 && type === UNICAST && dev === ifname && handed++ < MAX_HANDED) return true
    }
    if (dev === undefined || !isOnDevice) return false
    if (gw === undefined)
      return table === MAIN_TABLE && addresses.some((one) => isWithin(one, dst) && isFirst(`to ${one} ${dev}`))
    // A link-local next hop can be learnt from any route of ours.
    if (protocol === PROTOCOL && type === UNICAST && isLinkLocal(gw) && isFirst(`next hop ${family} ${dev}`))
      return true
    // One next hop for each configured prefix around it: what matters of a link route is whether there is any.
    return prefixesAround(gw).some((prefix) => isFirst(`${prefix} by ${dev}`))
  }
}

/** The addresses of gateways that default routes may be made through. */
function wantedAddresses({ gateway, defaultRoute }: Config, prev: PrevResult, ifname: string): string[] {
  const named = Object.values(gateway?.wanted ?? {}).flatMap((one) => (one === 'auto' ? [] : one.address))
  const reported = gateway ? Object.values(gatewayAddressesOf(prev, ifname)) : []
  // One that `demote` was to keep, and that is lost.
  const kept = ([4, 6] as const).filter((family) => defaultRoute[family] === 'demote')
  return [...named, ...reported, ...kept.flatMap((family) => reportedDefault(prev, family)?.gw ?? [])]
}

/** A function that is true for each text it sees for the first time. */
function firstSeen(): (text: string) => boolean {
  const seen = new Set<string>()
  return (text) => seen.size < seen.add(text).size
}

/** True for one of our routes for each NIC in each table besides the main one: they tell whose rules lead there. */
export function oneInEachTable(): RouteFilter {
  const isFirst = firstSeen()
  return ({ protocol, table, dev }) => protocol === PROTOCOL && table !== MAIN_TABLE && isFirst(`in ${table} by ${dev}`)
}

/** What DEL needs to decide. @param configured the routes of the configuration, or none if it is invalid */
export function neededToDel(configured: () => Pick<Config, 'routes'>, ifname: string): Bounds {
  const filter = (): RouteFilter => {
    const nicAndPlace = (dev: string | undefined, route: Parameters<typeof placeOf>[0]) => `${dev} ${placeOf(route)}`
    const elsewhere = new Set(configured().routes.flatMap((route) => (route.dev ? nicAndPlace(route.dev, route) : [])))
    const isInTable = oneInEachTable()
    return (route: Route) =>
      isMainDefault(route) ||
      isInTable(route) ||
      (route.protocol === PROTOCOL &&
        (devicesOf(route).includes(ifname) || elsewhere.has(nicAndPlace(route.dev, route))))
  }
  return { max: () => MAX_OTHERS + 2 * configured().routes.length, filter }
}
