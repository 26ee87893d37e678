import { gatewaysOf, type PrevResult } from '../cni/result.ts'
import type { Config } from '../config/config.ts'
import { familyOf, isLinkLocal, isWithin, parsePrefix } from '../net/address.ts'
import {
  DEFAULT_DST,
  devicesOf,
  isMainDefault,
  MAIN_TABLE,
  PROTOCOL,
  placeOf,
  type Route,
  UNICAST,
} from '../net/route.ts'
import type { Gateways } from './gateway.ts'
import { CALICO_GATEWAY } from './next-hop.ts'

/**
 * Which routes of a pod a decision can need. In an ordinary pod these are as good as all, and nobody asks. In others what a
 * decision makes of the needed ones must be what it makes of all; tests hold every decision to that.
 */

/**
 * Tells of each route whether a decision can need it. Asked once of each, in the kernel's order, and only where there are
 * many: whoever is root in a pod decides how many.
 */
export type Lens = (route: Route) => boolean

/** What is kept of a pod that holds more than an ordinary one. */
export interface Bounds {
  readonly lens: () => Lens
  /** How many routes can be kept, a next hop of several counting as one. Asked only where there are many. */
  readonly most: () => number
}

/** Beside the routes that are configured; with everything else at its limit as well they take less than an ordinary call. */
const MOST_ROUTES = 2000

/** What ADD and CHECK decide on. */
export function neededToAdd(config: Config, ifname: string, prev: PrevResult): Bounds {
  return { most: () => MOST_ROUTES + 2 * config.routes.length, lens: () => lensOfAdd(config, ifname, prev) }
}

function lensOfAdd(config: Config, ifname: string, prev: PrevResult): Lens {
  const { routes, gateway, kubevirt } = config
  const devices = new Set([ifname, gateway?.dev ?? ifname, ...routes.map(({ dev = ifname }) => dev)])
  const destinations = new Set([
    `${CALICO_GATEWAY}/32`,
    ...routes.map(({ dst }) => dst),
    ...(prev.routes ?? []).map(({ dst }) => parsePrefix(dst)?.network ?? dst),
  ])
  const addresses = gatewayAddresses(config, gatewaysOf(prev, ifname))
  const lies = liesIn(new Set(routes.map(({ dst }) => dst)))
  const isFirst = firstOf()
  return (route) => {
    const { family, type, dst, gw, dev, table, protocol } = route
    const isOnDevice = devicesOf(route).some((one) => devices.has(one))
    if (destinations.has(dst)) return true
    // Also what leads nowhere: a rollback looks for all that were in the place of a default.
    if (dst === DEFAULT_DST[family] && (table === MAIN_TABLE || isOnDevice)) return true
    // With `demote`: another NIC has routes of ours.
    if (protocol === PROTOCOL && dev !== undefined && isFirst(`ours ${dev}`)) return true
    if (kubevirt && table === MAIN_TABLE) {
      if (dev === undefined || (family === 6 && gw !== undefined)) return true
      if (family === 4 && type === UNICAST && dev === ifname && isFirst('main')) return true
    }
    if (dev === undefined || !isOnDevice) return false
    if (gw === undefined)
      return table === MAIN_TABLE && addresses.some((one) => isWithin(one, dst) && isFirst(`to ${one} ${dev}`))
    // A link-local next hop is learnt from any of ours.
    if (protocol === PROTOCOL && type === UNICAST && isLinkLocal(gw) && isFirst(`next hop ${family} ${dev}`))
      return true
    // A link route is one to a next hop.
    return lies(gw).some((prefix) => isFirst(`${prefix} by ${dev}`))
  }
}

/** The addresses that `ovnGateway` may ask for a route to. */
function gatewayAddresses({ gateway }: Config, reported: Gateways): string[] {
  if (!gateway) return []
  const asked = Object.values(gateway.ask).flatMap((one) => (one === 'auto' ? [] : one.address))
  return [...asked, ...Object.values(reported)]
}

/** Tells which of `prefixes` an address lies in; `prefixes` of few lengths, as those of a configuration are. */
function liesIn(prefixes: ReadonlySet<string>): (address: string) => string[] {
  const lengths = { 4: new Set<string>(), 6: new Set<string>() }
  for (const prefix of prefixes) lengths[familyOf(prefix)].add(prefix.slice(prefix.indexOf('/')))
  return (address) =>
    [...lengths[familyOf(address)]]
      .map((length) => parsePrefix(`${address}${length}`)?.network ?? '')
      .filter((network) => prefixes.has(network))
}

/** True for a text that was not asked for before. */
function firstOf(): (text: string) => boolean {
  const seen = new Set<string>()
  return (text) => seen.size < seen.add(text).size
}

/** What DEL decides on. @param configured the routes of the configuration, if any can be told */
export function neededToDel(configured: () => Pick<Config, 'routes'>, ifname: string): Bounds {
  const lens = (): Lens => {
    const spot = (dev: string | undefined, route: Parameters<typeof placeOf>[0]) => `${dev} ${placeOf(route)}`
    const elsewhere = new Set(configured().routes.flatMap((route) => (route.dev ? spot(route.dev, route) : [])))
    return (route: Route) =>
      isMainDefault(route) ||
      (route.protocol === PROTOCOL && (devicesOf(route).includes(ifname) || elsewhere.has(spot(route.dev, route))))
  }
  return { most: () => MOST_ROUTES + 2 * configured().routes.length, lens }
}
