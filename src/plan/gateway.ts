import type { Gateway } from '../config/gateway.ts'
import { type Family, familyOf, isLinkLocal, isWithin } from '../net/address.ts'
import {
  DEFAULT_PRIORITY,
  defaultVia,
  devicesOf,
  GATEWAY_PROTOCOL,
  isDemoted,
  isMainDefault,
  isPlainDefault,
  MAIN_TABLE,
  partOf,
  RESTORED_PROTOCOL,
  type Route,
  restored,
  type Snapshot,
  sameNextHop,
  samePlace,
  soleDevice,
  UNICAST,
} from '../net/route.ts'
import { nicProblem, type Problem } from './problem.ts'

/** The addresses of the gateways that the previous plugins reported for the NIC: `ips[].gateway` of prevResult. */
export type GatewayAddresses = Readonly<Partial<Record<Family, string>>>

/** The default routes of one family that `ovnGateway` wants: one, or the next hops of an IPv6 multipath route. */
export type WantedDefaults =
  /** `isSkipped`: there is none because its NIC has no address of the family. */
  { readonly routes: readonly Route[]; readonly isSkipped?: true } | { readonly problem: Problem }

/** What the wanted default routes depend on. */
export interface GatewayInputs {
  readonly family: Family
  readonly ifname: string
  /** All default routes of the pod in this family. */
  readonly defaults: readonly Route[]
  /** The gateway that the previous plugins reported for the NIC. */
  readonly reported: string | undefined
  readonly snapshot: Snapshot
  /** What `defaultRoute` does to the default routes of the NIC. */
  readonly own: 'are removed' | 'are demoted' | 'stay'
  /** Whether a NIC need not have a gateway, since it has no address of the family. */
  readonly isSkipped: (dev: string) => boolean
}

const NONE: WantedDefaults = { routes: [] }
const SKIPPED: WantedDefaults = { routes: [], isSkipped: true }

/** The default routes that `ovnGateway` wants; none if it names the other family only. */
export function wantedDefaults(gateway: Gateway, inputs: GatewayInputs): WantedDefaults {
  const { family, snapshot } = inputs
  const wanted = gateway.wanted[family]
  if (wanted === undefined) return NONE
  const problem = gateway.dev === undefined ? undefined : nicProblem('ovnGateway.dev', gateway.dev, snapshot)
  if (problem) return { problem }
  return wanted === 'auto' ? autoGateway(gateway, inputs) : namedGateway(gateway, inputs, wanted.address)
}

/** The default route by the gateway at `gw`. */
function namedGateway(
  { named, dev, priority, onlink }: Gateway,
  { family, ifname, snapshot, defaults, isSkipped }: GatewayInputs,
  gw: string,
): WantedDefaults {
  const device = dev ?? ifname
  const route: Route = {
    ...defaultVia(gw, device),
    protocol: GATEWAY_PROTOCOL,
    priority: priority || DEFAULT_PRIORITY[family],
    ...(onlink ? { onlink } : {}),
  }
  if (isSkipped(device)) {
    const isThere = defaults.some((other) => samePlace(other, route) && sameNextHop(other, route))
    return isThere ? { routes: [route] } : SKIPPED
  }
  if (!onlink && !isOnLink(gw, device, snapshot.routes)) {
    const at = named ? `ovnGateway.ipv${family}` : 'ovnGateway'
    const says = `${gw} is not on-link on ${device}; write the gateway of its subnet, another NIC as "dev", or "onlink": true`
    return { problem: { at, says } }
  }
  return { routes: [route] }
}

/** For "auto": a route that was demoted, else one by the reported gateway of the NIC, else that of another NIC. */
function autoGateway(gateway: Gateway, inputs: GatewayInputs): WantedDefaults {
  const { family, ifname, defaults, reported, own, isSkipped } = inputs
  const { dev, priority, either } = gateway
  const byMetric = defaults.filter(isPlainDefault).sort((a, b) => a.priority - b.priority)
  const fits = (route: Route) => {
    const sole = soleDevice(route)
    return sole !== undefined && (dev === undefined || sole === dev)
  }
  // What is demoted so that Calico can attach stays demoted, whatever ovnGateway wants.
  const demotedRoutes = byMetric.filter(
    (route) => isDemoted(route) && !(own === 'are demoted' && soleDevice(route) === ifname),
  )

  // First what was restored before, unless somebody is demoting it again. The NIC may have other demoted routes, even
  // by the same next hop.
  const isDemotedAgain = (route: Route) =>
    demotedRoutes.some((copy) => sameNextHop(copy, route) && samePlace(restored(copy), route))
  const back = byMetric.find((route) => route.protocol === RESTORED_PROTOCOL && fits(route) && !isDemotedAgain(route))
  if (back) return { routes: hopsTogether(back, byMetric) }
  const stale = staleCopies(byMetric)
  const copy = demotedRoutes.find((route) => fits(route) && !stale.has(route))
  if (copy)
    return {
      routes: hopsTogether(copy, byMetric)
        .filter((route) => !stale.has(route))
        .map((route) => withMetric(restored(route), priority)),
    }
  if (reported !== undefined && (dev ?? ifname) === ifname) {
    // If the subnet is also on the underlay (kube-ovn's u2o), the kernel's gateway differs from the reported one. The
    // kernel's is right.
    const standing = byMetric.find((route) => soleDevice(route) === ifname && hasGateway(route) && !isDemoted(route))
    if (standing) return { routes: hopsTogether(standing, byMetric).map((route) => withMetric(route, priority)) }
    if (!isSkipped(ifname)) return namedGateway(gateway, inputs, reported)
  }
  // Another NIC's default route stays as it is, or as what is left of it once this NIC's next hops are removed.
  const others = byMetric
    .filter((route) => !isDemoted(route))
    .map((route) => (own === 'are removed' ? without(route, ifname) : route))
  const standing = others.find((route) => fits(route) && soleDevice(route) !== ifname)
  if (standing) return { routes: hopsTogether(standing, byMetric) }
  if (either) return NONE
  return isSkipped(dev ?? ifname)
    ? SKIPPED
    : { problem: noGateway(ifname, { wanted: { [family]: 'auto' }, ...(dev === undefined ? {} : { dev }) }) }
}

/** All next hops that the default route, if it is an IPv6 multipath route, has on its NIC. */
function hopsTogether(route: Route, defaults: readonly Route[]): readonly Route[] {
  if (route.family === 4) return [route]
  return defaults.filter(
    (other) => samePlace(other, route) && other.dev === route.dev && isDemoted(other) === isDemoted(route),
  )
}

/** The route with the configured metric, if there is one: with another metric than its own it is one that we make. */
function withMetric(route: Route, priority: number | undefined): Route {
  const metric = priority === undefined ? route.priority : priority || DEFAULT_PRIORITY[route.family]
  return metric === route.priority ? route : { ...route, priority: metric, protocol: GATEWAY_PROTOCOL }
}

function hasGateway({ gw, nexthops }: Route): boolean {
  return gw !== undefined || nexthops !== undefined
}

function without(route: Route, ifname: string): Route {
  const devices = devicesOf(route)
  return devices.length > 1 && devices.includes(ifname) ? partOf(route, 'without', ifname) : route
}

/**
 * Demoted copies that are out of date: the NIC has since got another default route in their old place. But if that
 * route has a copy too, then demoting or restoring several routes was interrupted, and the copies are current.
 */
export function staleCopies(defaults: readonly Route[]): ReadonlySet<Route> {
  const copies = defaults.filter(isDemoted)
  if (copies.length === 0) return new Set()
  const nicAndMetric = (route: Route) => `${soleDevice(route)} ${route.priority}`
  // Routes we made for ovnGateway are not the NIC's own, and a route that expires replaces nothing.
  const isOwn = (route: Route) =>
    isPlainDefault(route) && !isDemoted(route) && route.protocol !== GATEWAY_PROTOCOL && route.expires === undefined
  const standing = Map.groupBy(defaults.filter(isOwn), nicAndMetric)
  const copiesByKey = Map.groupBy(copies, nicAndMetric)
  const stale = [...copiesByKey.values()].flatMap((sameKey) => {
    const [first] = sameKey
    const now = first ? standing.get(nicAndMetric(restored(first))) : undefined
    const newer = now?.some((route) => !sameKey.some((copy) => sameNextHop(copy, route)))
    return newer ? sameKey : []
  })
  return new Set(stale)
}

/** The problem that no gateway is known. */
export function noGateway(ifname: string, { wanted, dev }: Pick<Gateway, 'wanted' | 'dev'>): Problem {
  const families = Object.keys(wanted)
    .map((family) => `IPv${family}`)
    .join(' or ')
  const where =
    dev === undefined
      ? `no other NIC has a default route, and the previous plugin reported no gateway for ${ifname}`
      : `there is no default route on ${dev}`
  return { at: 'ovnGateway', says: `no ${families} gateway is known: ${where}; write its address, such as "10.0.1.1"` }
}

/** True if a gateway can be reached on a NIC without another. */
export function isOnLink(gw: string, dev: string, routes: readonly Route[]): boolean {
  if (isLinkLocal(gw)) return true
  // What a default route makes on-link does not count: it may be about to be removed.
  return routes.some(
    (route) =>
      !isMainDefault(route) &&
      route.table === MAIN_TABLE &&
      route.type === UNICAST &&
      route.dev === dev &&
      route.gw === undefined &&
      route.family === familyOf(gw) &&
      isWithin(gw, route.dst),
  )
}
