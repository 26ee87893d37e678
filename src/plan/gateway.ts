import type { Gateway } from '../config/config.ts'
import { type Family, familyOf, isLinkLocal, isWithin } from '../net/address.ts'
import {
  DEFAULT_DST,
  DEFAULT_PRIORITY,
  devicesOf,
  GATEWAY_PROTOCOL,
  isDemoted,
  isMainDefault,
  isPlainDefault,
  MAIN_TABLE,
  nicNames,
  partOf,
  RESTORED_PROTOCOL,
  type Route,
  restored,
  Scope,
  type Snapshot,
  sameHop,
  samePlace,
  soleDevice,
  UNICAST,
} from '../net/route.ts'
import type { Problem } from './problem.ts'

/** The gateways that the plugin before us reported for the NIC, `ips[].gateway` of prevResult. */
export type Gateways = Readonly<Partial<Record<Family, string>>>

/** The default routes of one family that `ovnGateway` asks for: one, or the next hops of an IPv6 multipath route. */
export type Asked = { readonly routes: readonly Route[] } | { readonly problem: Problem }

/** What `ovnGateway` is answered from. */
export interface Place {
  readonly family: Family
  readonly ifname: string
  /** The pod's default routes of the family. */
  readonly defaults: readonly Route[]
  /** `ips[].gateway` of the NIC. */
  readonly reported: string | undefined
  readonly snapshot: Snapshot
  /** What is about to become of the defaults of the NIC. */
  readonly own: 'leave' | 'are parked' | 'stay'
}

const NONE: Asked = { routes: [] }

/** The default routes that `ovnGateway` asks for; none if it asks for none of this family. */
export function askedFor(gateway: Gateway, place: Place): Asked {
  const { family, ifname, snapshot } = place
  const wanted = gateway.ask[family]
  if (wanted === undefined) return NONE
  const { dev } = gateway
  const link = snapshot.links.find((candidate) => candidate.ifname === (dev ?? ifname))
  const refuse = (says: string): Asked => ({ problem: { at: 'ovnGateway.dev', says } })
  if (dev !== undefined && !link) return refuse(`the pod has no interface ${dev}; it has ${nicNames(snapshot.links)}`)
  if (dev !== undefined && !link?.up) return refuse(`interface ${dev} is down; the plugin that made it must set it up`)
  return wanted === 'auto' ? found(gateway, place) : made(gateway, place, wanted.address)
}

/** The default by a gateway that is named. */
function made({ named, dev, priority, onlink }: Gateway, { family, ifname, snapshot }: Place, gw: string): Asked {
  const device = dev ?? ifname
  if (!onlink && !isOnLink(gw, device, snapshot)) {
    const at = named ? `ovnGateway.ipv${family}` : 'ovnGateway'
    const says = `${gw} is not on-link on ${device}; give the gateway of the subnet of ${device}, name another NIC with "dev", or add "onlink": true`
    return { problem: { at, says } }
  }
  const route: Route = {
    family,
    type: UNICAST,
    dst: DEFAULT_DST[family],
    gw,
    dev: device,
    table: MAIN_TABLE,
    protocol: GATEWAY_PROTOCOL,
    priority: priority || DEFAULT_PRIORITY[family],
    ...(family === 4 ? { scope: Scope.global } : {}),
    ...(onlink ? { onlink } : {}),
  }
  return { routes: [route] }
}

/** `auto`: what was demoted, else what was reported for the NIC, else what another NIC has. */
function found(gateway: Gateway, place: Place): Asked {
  const { family, ifname, defaults, reported, own } = place
  const { dev, priority, either } = gateway
  const byMetric = defaults.filter(isPlainDefault).sort((a, b) => a.priority - b.priority)
  const fits = (route: Route) => {
    const sole = soleDevice(route)
    return sole !== undefined && (dev === undefined || sole === dev)
  }
  /** All next hops of one IPv6 multipath route by one NIC. */
  const together = (route: Route): readonly Route[] =>
    family === 4
      ? [route]
      : byMetric.filter(
          (other) => samePlace(other, route) && other.dev === route.dev && isDemoted(other) === isDemoted(route),
        )
  const at = (route: Route): Route => {
    const wished = priority === undefined ? route.priority : priority || DEFAULT_PRIORITY[family]
    return wished === route.priority ? route : { ...route, priority: wished, protocol: GATEWAY_PROTOCOL }
  }
  // What is parked to let Calico attach is parked, whatever else is asked.
  const parked = byMetric.filter((route) => isDemoted(route) && !(own === 'are parked' && soleDevice(route) === ifname))

  // Restored before, and nobody is demoting it again. The NIC may have others that are parked, by the same next hop even.
  const isParkedAgain = (route: Route) =>
    parked.some((copy) => sameHop(copy, route) && samePlace(restored(copy), route))
  const back = byMetric.find((route) => route.protocol === RESTORED_PROTOCOL && fits(route) && !isParkedAgain(route))
  if (back) return { routes: together(back) }
  const stale = staleCopies(byMetric)
  const copy = parked.find((route) => fits(route) && !stale.has(route))
  if (copy)
    return {
      routes: together(copy)
        .filter((route) => !stale.has(route))
        .map((route) => at(restored(route))),
    }
  if (reported !== undefined && (dev ?? ifname) === ifname) {
    // Where the subnet is also on the underlay (kube-ovn's u2o), the kernel's gateway is not the reported one, and it
    // is right.
    const standing = byMetric.find((route) => soleDevice(route) === ifname && hasGateway(route) && !isDemoted(route))
    return standing ? { routes: together(standing).map(at) } : made(gateway, place, reported)
  }
  // Another NIC's own, and right as it is; also as what remains of one over several NICs.
  const others = byMetric
    .filter((route) => !isDemoted(route))
    .map((route) => (own === 'leave' ? without(route, ifname) : route))
  const standing = others.find((route) => fits(route) && soleDevice(route) !== ifname)
  if (standing) return { routes: family === 4 ? [standing] : together(standing) }
  return either
    ? NONE
    : { problem: noGateway(ifname, { ask: { [family]: 'auto' }, ...(dev === undefined ? {} : { dev }) }) }
}

function hasGateway({ gw, nexthops }: Route): boolean {
  return gw !== undefined || nexthops !== undefined
}

function without(route: Route, ifname: string): Route {
  const devices = devicesOf(route)
  return devices.length > 1 && devices.includes(ifname) ? partOf(route, 'without', ifname) : route
}

/**
 * Demoted copies that are of the past: since they were made the NIC has got another default in the place they were taken
 * from. Not so where that one has a copy as well: then somebody was interrupted who demotes, or restores, several at once.
 */
export function staleCopies(defaults: readonly Route[]): ReadonlySet<Route> {
  const copies = defaults.filter(isDemoted)
  if (copies.length === 0) return new Set()
  const spot = (route: Route) => `${soleDevice(route)} ${route.priority}`
  // What we made for ovnGateway is none of the NIC's own, and what ends by itself takes the place of nothing.
  const isOwn = (route: Route) =>
    isPlainDefault(route) && !isDemoted(route) && route.protocol !== GATEWAY_PROTOCOL && route.expires === undefined
  const standing = Map.groupBy(defaults.filter(isOwn), spot)
  const bySpot = Map.groupBy(copies, spot)
  const stale = [...bySpot.values()].flatMap((twins) => {
    const [first] = twins
    const now = first ? standing.get(spot(restored(first))) : undefined
    const newer = now?.some((route) => !twins.some((copy) => sameHop(copy, route)))
    return newer ? twins : []
  })
  return new Set(stale)
}

/** What is wrong where no gateway is known. */
export function noGateway(ifname: string, { ask, dev }: Pick<Gateway, 'ask' | 'dev'>): Problem {
  const families = Object.keys(ask)
    .map((family) => `IPv${family}`)
    .join(' or ')
  const where =
    dev === undefined
      ? `no other NIC has a default route, and the plugin before reported no gateway for ${ifname}`
      : `there is no default route on ${dev}`
  return { at: 'ovnGateway', says: `no ${families} gateway is known: ${where}; write its address, such as "10.0.1.1"` }
}

function isOnLink(gw: string, dev: string, snapshot: Snapshot): boolean {
  if (isLinkLocal(gw)) return true
  // Not what a default route makes on-link, which may be about to go.
  return snapshot.routes.some(
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
