import { listed } from '../errors.ts'
import type { Family } from './address.ts'

/**
 * The route protocol of the routes this plugin makes. It is how a later call, or another copy of the plugin, knows them
 * again. No daemon that writes routes in pods or on nodes uses this number.
 * @see ip-route(8), `protocol RTPROTO`
 */
export const PROTOCOL = 142

/** The route protocol of a default route this plugin made for `ovnGateway`. */
export const GATEWAY_PROTOCOL = 143

/**
 * The route protocol of a demoted default route: a copy with a metric that every other default goes before. The
 * metric tells the one it had, so that whoever comes later can restore it.
 */
export const DEMOTED_PROTOCOL = 144
const DEMOTED_PRIORITY = 0xf0000000
/** Metrics below this can be demoted: there is room for as many defaults of one metric as there are NICs with one. */
const SLOT = 0x1000000

/**
 * The demoted copy of a default route, in the first place where `inPlace` shows none of another NIC or kind; undefined if
 * there is none.
 */
export function demoted(route: Route, inPlace: (route: Route) => readonly Route[]): Route | undefined {
  const own = soleDevice(route)
  const { presumed: _, ...known } = route
  for (
    let priority = DEMOTED_PRIORITY + route.priority;
    route.priority < SLOT && priority < 2 ** 32;
    priority += SLOT
  ) {
    const copy = { ...known, protocol: DEMOTED_PROTOCOL, priority }
    // What ends by itself would be shown as if it did not, beside what does not.
    const fits = (other: Route) =>
      soleDevice(other) === own && (other.expires === undefined) === (route.expires === undefined)
    if (inPlace(copy).every(fits)) return copy
  }
  return undefined
}

/**
 * The route protocol of a default route that was demoted and is restored. It is not the one it had, so that a copy of
 * the plugin that is just demoting it, and deletes the route it has seen, does not delete the restored one.
 */
export const RESTORED_PROTOCOL = 145

/** What a demoted route was before. */
export function restored(route: Route): Route {
  const { presumed: _, ...known } = route
  return { ...known, protocol: RESTORED_PROTOCOL, priority: (route.priority - DEMOTED_PRIORITY) % SLOT }
}

/** A default route for all packets: one by type of service or source is for some only. */
export function isPlainDefault(route: Route): boolean {
  return isMainDefault(route) && route.tos === undefined && route.from === undefined
}

export function isDemoted(route: Route): boolean {
  return isPlainDefault(route) && route.protocol === DEMOTED_PROTOCOL && route.priority >= DEMOTED_PRIORITY
}

/**
 * RTPROT_UNSPEC: of an IPv6 multipath route the kernel tells the protocol of its first next hop only; it takes this one for
 * any, when a route is deleted, and for BOOT_PROTOCOL when one is added.
 */
export const UNKNOWN_PROTOCOL = 0

/** RTPROT_KERNEL: the connected routes that addresses bring along. */
export const KERNEL_PROTOCOL = 2

/** RTPROT_BOOT: what ip(8) and netlink libraries give a route that is added without a protocol. */
export const BOOT_PROTOCOL = 3

export const MAIN_TABLE = 254
export const LOCAL_TABLE = 255

/** @see rtnetlink(7): `rtm_scope` */
export const Scope = { global: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const

/** @see rtnetlink(7): `rtm_type` RTN_UNICAST */
export const UNICAST = 1

/** The metric the kernel gives an IPv6 route that comes without one; IPv4's is 0. */
export const DEFAULT_PRIORITY = { 4: 0, 6: 1024 } as const

export const DEFAULT_DST = { 4: '0.0.0.0/0', 6: '::/0' } as const

/** One of the next hops of a multipath route. */
export interface NextHop {
  readonly gw?: string
  readonly dev: string
  readonly weight: number
  readonly onlink: boolean
}

/**
 * A route as the kernel holds it. Every attribute we can read is kept, so that a removed route can be put back as it
 * was. Each next hop of an IPv6 multipath route is a route of its own, as it is to the kernel, which only shows them
 * together.
 */
export interface Route {
  readonly family: Family
  /** rtm_type as a number; 1 is unicast. */
  readonly type: number
  /** With its prefix length, also for a host and for a default: `169.254.1.1/32`, `0.0.0.0/0`. */
  readonly dst: string
  /** Of the other family in an IPv4 route with an IPv6 next hop (RFC 5549). Absent: on-link. */
  readonly gw?: string
  /** Absent for multipath routes, and for types that lead nowhere. */
  readonly dev?: string
  readonly table: number
  readonly protocol: number
  /** The protocol is that of the first next hop of the IPv6 multipath route that this one is shown in; we take it for its own. */
  readonly presumed?: boolean
  /** The metric. */
  readonly priority: number
  /** Only for packets with this type of service (IPv4). */
  readonly tos?: string
  /** Only for packets from this prefix (IPv6). */
  readonly from?: string
  /** IPv4 only: IPv6 routes have no scope. */
  readonly scope?: number
  readonly src?: string
  readonly mtu?: number
  readonly advmss?: number
  readonly onlink?: boolean
  /** Of an IPv6 route that is one next hop of several: its share. Absent: 1. */
  readonly weight?: number
  /** Of an IPv4 multipath route, or of one by a nexthop object. */
  readonly nexthops?: readonly NextHop[]
  /** Number of the nexthop object (ip-nexthop(8)) the route uses; then `gw` and `dev` are only a copy. */
  readonly nhid?: number
  /** Seconds after which the kernel takes the route away, as one from a router advertisement. */
  readonly expires?: number
  /** Further attributes, as ip-route(8) takes them: `['window', '1000', 'pref', 'high']`. */
  readonly extra?: readonly string[]
  /** An attribute we cannot write back (`encap`): the route must not be removed or replaced. */
  readonly opaque?: string
}

/** What a change, or a problem, comes from. */
export interface Origin {
  readonly key: 'routes' | 'defaultRoute' | 'ovnGateway' | 'DEL' | 'rollback'
  /** Where it stands in the configuration: `routes[0]`, `args.cni.routes[0]`, `ovnGateway.ipv4`. */
  readonly path: string
  /** Of `routes`: the entry names its next hop itself. */
  readonly gwWritten?: boolean
}

/** A change to the pod's routes. */
export interface RouteOp {
  readonly op: 'add' | 'append' | 'prepend' | 'replace' | 'del'
  readonly route: Route
  readonly origin: Origin
}

export interface Link {
  readonly ifname: string
  readonly up: boolean
  /** rtnl kind (`veth`, `dummy`); absent for `lo` and physical interfaces. */
  readonly kind?: string
  /** In lower case. */
  readonly mac?: string
  /** Bare addresses as the kernel prints them. */
  readonly addresses: readonly string[]
}

/** Who is root in a pod decides how many there are. */
export const MAX_NAMED = 10

/** The names of interfaces, for a message. */
export function nicNames(links: readonly Link[]): string {
  return (
    listed(
      links.map(({ ifname }) => ifname),
      MAX_NAMED,
    ).join(', ') || 'none'
  )
}

/** What a pod's network namespace held at one moment: the routes of all tables of both families, and the interfaces. */
export interface Snapshot {
  readonly routes: readonly Route[]
  readonly links: readonly Link[]
  /** How many more routes there were, where there are so many that only those are kept that a decision can need. */
  readonly leftOut?: number | undefined
  /** Not all default routes of the main table are kept. */
  readonly tooManyDefaults?: boolean
}

/**
 * True if two routes are in one place: the kernel then lets nobody add the second, and `replace` puts one for the
 * other. Still there can be several in a place: who appends one (IPv4), or what the kernel learns from a router
 * (IPv6), asks not.
 */
export function samePlace(a: Route, b: Route): boolean {
  return (
    a.dst === b.dst &&
    a.table === b.table &&
    a.priority === b.priority &&
    a.family === b.family &&
    a.tos === b.tos &&
    a.from === b.from
  )
}

/** True if two routes send packets the same way, whoever made them. */
export function sameWay(a: Route, b: Route): boolean {
  return (
    a.type === b.type &&
    a.gw === b.gw &&
    a.dev === b.dev &&
    a.scope === b.scope &&
    a.src === b.src &&
    a.mtu === b.mtu &&
    a.advmss === b.advmss &&
    (a.onlink ?? false) === (b.onlink ?? false) &&
    (a.weight ?? 1) === (b.weight ?? 1) &&
    a.nhid === b.nhid &&
    a.opaque === b.opaque &&
    (a.expires === undefined) === (b.expires === undefined) &&
    String(a.extra ?? '') === String(b.extra ?? '') &&
    sameHops(a, b)
  )
}

/** True if two routes leave by the same next hops. */
export function sameHop(a: Route, b: Route): boolean {
  return a.gw === b.gw && a.dev === b.dev && sameHops(a, b)
}

function sameHops({ nexthops: a }: Route, { nexthops: b }: Route): boolean {
  return a === b || (a !== undefined && b !== undefined && JSON.stringify(a) === JSON.stringify(b))
}

/**
 * True if the kernel would make no difference between two routes. Of a next hop that is not the first of its multipath
 * route, only place and next hop are known; and there is no second one of these.
 */
export function sameRoute(a: Route, b: Route): boolean {
  if (!samePlace(a, b)) return false
  if (isUnsure(a) || isUnsure(b)) return a.type === b.type && sameHop(a, b)
  return a.protocol === b.protocol && sameWay(a, b)
}

function isUnsure({ protocol, presumed }: Route): boolean {
  return protocol === UNKNOWN_PROTOCOL || presumed === true
}

/** The interfaces a route leaves by. */
export function devicesOf(route: Route): string[] {
  if (route.nexthops) return [...new Set(route.nexthops.map((hop) => hop.dev))]
  return route.dev === undefined ? [] : [route.dev]
}

/** The one interface a route leaves by; undefined if there are several, or none. */
export function soleDevice(route: Route): string | undefined {
  if (!route.nexthops) return route.dev
  const [dev, ...others] = devicesOf(route)
  return others.length === 0 ? dev : undefined
}

/** What is left of a multipath route without the next hops on the NIC `dev`, or what is there of it (`only`). */
export function partOf(route: Route, which: 'only' | 'without', dev: string): Route {
  const hops = (route.nexthops ?? []).filter((hop) => (hop.dev === dev) === (which === 'only'))
  const { nexthops: _, ...rest } = route
  const [first, ...others] = hops
  if (first === undefined || others.length > 0) return { ...rest, nexthops: hops }
  const { gw, onlink } = first
  return { ...rest, ...(gw === undefined ? {} : { gw }), dev: first.dev, ...(onlink ? { onlink } : {}) }
}

/** A default route of the main table: the one that catches what nothing else does. */
export function isMainDefault(route: Route): boolean {
  return route.table === MAIN_TABLE && route.type === UNICAST && route.dst === DEFAULT_DST[route.family]
}

/** A key that is the same for two routes of one family exactly if they are in one place. */
export function placeOf({
  dst,
  table,
  priority,
  tos,
  from,
}: Pick<Route, 'dst' | 'table' | 'priority' | 'tos' | 'from'>): string {
  return `${dst} ${table} ${priority} ${tos ?? ''} ${from ?? ''}`
}

/** Tells which of `items` are in the place of a route. */
export function byPlace<T>(items: readonly T[], routeOf: (item: T) => Route): (route: Route) => readonly T[] {
  const groups = Map.groupBy(items, (item) => placeOf(routeOf(item)))
  return (route) => groups.get(placeOf(route)) ?? []
}

/** Tells which of `routes` are in the place of another. */
export function placesOf(routes: readonly Route[]): (route: Route) => readonly Route[] {
  return byPlace(routes, (route) => route)
}

/** The routes to each of the destinations in `wanted`. */
export function byDestination(routes: readonly Route[], wanted: ReadonlySet<string>): Map<string, Route[]> {
  const found = new Map<string, Route[]>()
  for (const route of routes) {
    if (!wanted.has(route.dst)) continue
    const same = found.get(route.dst)
    if (same) same.push(route)
    else found.set(route.dst, [route])
  }
  return found
}
