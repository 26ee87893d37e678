import { type Family, familyOf } from './address.ts'
import { type Attributes, sameAttributes } from './attributes.ts'
import type { Link } from './link.ts'
import type { Rule, RuleOp } from './rule.ts'

/**
 * The protocol number of the routes we make: a later call, or another copy of the plugin, recognizes them by it. No
 * daemon that writes routes in pods or on nodes uses this number.
 * @see ip-route(8), `protocol RTPROTO`
 */
export const PROTOCOL = 142

/** The protocol number of a default route that we made for `ovnGateway`. */
export const GATEWAY_PROTOCOL = 143

/**
 * The protocol number of a demoted default route: a copy with a metric so high that every other default route wins. Its
 * old metric can be computed from the new one, so that any later call can restore it.
 */
export const DEMOTED_PROTOCOL = 144
const DEMOTED_METRICS = 0xf0000000
/**
 * Only metrics below this can be demoted. Default routes of one metric on several NICs are demoted to metrics this far
 * apart.
 */
const DEMOTED_STEP = 0x1000000

/**
 * The demoted copy of a default route. It gets the first place that, according to `inPlace`, holds no route of another
 * NIC, or that expires where this one does not; undefined if there is no such place.
 */
export function demoted(route: Route, inPlace: (route: Route) => readonly Route[]): Route | undefined {
  const own = soleDevice(route)
  const { presumed: _, ...known } = route
  for (
    let priority = DEMOTED_METRICS + route.priority;
    route.priority < DEMOTED_STEP && priority < 2 ** 32;
    priority += DEMOTED_STEP
  ) {
    const copy = { ...known, protocol: DEMOTED_PROTOCOL, priority }
    // If a route that expires shared a place with one that does not, it would be shown as if it did not expire.
    const fits = (other: Route) =>
      soleDevice(other) === own && (other.expires === undefined) === (route.expires === undefined)
    if (inPlace(copy).every(fits)) return copy
  }
  return undefined
}

/**
 * The protocol number of a default route that was demoted and then restored. It differs from the original's: another
 * copy of the plugin that is demoting the route right now will delete the original it has seen, and must not match this
 * one.
 */
export const RESTORED_PROTOCOL = 145

/** What a demoted route is restored to. */
export function restored(route: Route): Route {
  const { presumed: _, ...known } = route
  return { ...known, protocol: RESTORED_PROTOCOL, priority: (route.priority - DEMOTED_METRICS) % DEMOTED_STEP }
}

/** True for a default route for all packets, not only for those with a type of service or source. */
export function isPlainDefault(route: Route): boolean {
  return isMainDefault(route) && route.tos === undefined && route.from === undefined
}

export function isDemoted(route: Route): boolean {
  return isPlainDefault(route) && route.protocol === DEMOTED_PROTOCOL && route.priority >= DEMOTED_METRICS
}

/**
 * RTPROT_UNSPEC. Of an IPv6 multipath route the kernel shows only the protocol of the first next hop. In a deletion
 * this number matches any protocol; in an addition the kernel takes it for BOOT_PROTOCOL.
 */
export const UNKNOWN_PROTOCOL = 0

/** RTPROT_KERNEL: the connected routes that come with addresses. */
export const KERNEL_PROTOCOL = 2

/** RTPROT_BOOT: what ip(8) and netlink libraries use if no protocol is given. */
export const BOOT_PROTOCOL = 3

export const DEFAULT_TABLE = 253
export const MAIN_TABLE = 254
export const LOCAL_TABLE = 255

/** @see rtnetlink(7): `rtm_scope` */
export const Scope = { global: 0, site: 200, link: 253, host: 254, nowhere: 255 } as const

/** @see rtnetlink(7): `rtm_type` RTN_UNICAST */
export const UNICAST = 1

/** The metric that the kernel gives a route without one. */
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
 * A route as the kernel holds it, with everything we can read, so that a removed route can be restored. Each next
 * hop of an IPv6 multipath route is a route of its own: so it is in the kernel, which merely shows them together.
 */
export interface Route {
  readonly family: Family
  /** rtm_type as a number; 1 is unicast. */
  readonly type: number
  /** Always with a prefix length: `169.254.1.1/32`, `0.0.0.0/0`. */
  readonly dst: string
  /** An IPv4 route may have an IPv6 one (RFC 5549). If absent: on-link. */
  readonly gw?: string
  /** Absent for multipath routes, and for types that lead nowhere. */
  readonly dev?: string
  readonly table: number
  readonly protocol: number
  /** The protocol is that of the multipath route's first next hop: the kernel does not show this one's. */
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
  /** Undefined if it has none. */
  readonly attributes?: Attributes
  readonly onlink?: boolean
  /** The share of an IPv6 route that is one next hop of several. If absent: 1. */
  readonly weight?: number
  /** For IPv4 multipath routes, and routes by a nexthop object. */
  readonly nexthops?: readonly NextHop[]
  /** The nexthop object (ip-nexthop(8)) of the route. If there is one, `gw` and `dev` only repeat it. */
  readonly nhid?: number
  /** Seconds until the kernel removes the route, which may come from a router advertisement. */
  readonly expires?: number
  /** What else ip-route(8) reads as it prints it: `['cwnd', '10', 'pref', 'high']`. */
  readonly extra?: readonly string[]
  /** Something that cannot be written back (`encap`): the route must not be removed or replaced. */
  readonly opaque?: string
}

/** Why there is an operation, or a problem. */
export interface Origin {
  readonly key: 'routes' | 'defaultRoute' | 'ovnGateway' | 'DEL' | 'rollback' | 'surplus'
  /** The key path, and with a set where in it: `routes[0]`, `args.cni.routes[0] (underlay:12)`, `ovnGateway.ipv4`. */
  readonly path: string
  /** For `routes`: the entry has a `gw`. */
  readonly gwWritten?: boolean
}

/** A change to the pod's routes. */
export interface RouteOp {
  readonly op: 'add' | 'append' | 'prepend' | 'replace' | 'del'
  readonly route: Route
  readonly origin: Origin
}

/** A change to the pod. */
export type Op = RouteOp | RuleOp

export function isRuleOp(op: Op): op is RuleOp {
  return 'rule' in op
}

/** Those of `ops` that change routes. */
export function routeOpsIn(ops: readonly Op[]): readonly RouteOp[] {
  return ops.some(isRuleOp) ? ops.filter((op): op is RouteOp => !isRuleOp(op)) : (ops as readonly RouteOp[])
}

/** What the network namespace of a pod held at one moment: all tables of both families, and the interfaces. */
export interface Snapshot {
  readonly routes: readonly Route[]
  readonly links: readonly Link[]
  /** The rules that lead to a table; absent if nobody asked for them. */
  readonly rules?: readonly Rule[]
  /** How many routes no decision can need, and were not kept because there are so many. */
  readonly leftOut?: number | undefined
  /** Not even all default routes of the main table were kept. */
  readonly tooManyDefaults?: boolean
}

/**
 * True if two routes are in one place: the kernel refuses to add the second, and `replace` puts it in place of the
 * first. Even so a place can hold several: routes that were appended (IPv4), or that come from a router (IPv6).
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

/** True if two routes agree in everything but place and protocol: they do the same to packets. */
export function sameEffect(a: Route, b: Route): boolean {
  return (
    a.type === b.type &&
    a.gw === b.gw &&
    a.dev === b.dev &&
    a.scope === b.scope &&
    a.src === b.src &&
    sameAttributes(a.attributes, b.attributes) &&
    (a.onlink ?? false) === (b.onlink ?? false) &&
    (a.weight ?? 1) === (b.weight ?? 1) &&
    a.nhid === b.nhid &&
    a.opaque === b.opaque &&
    (a.expires === undefined) === (b.expires === undefined) &&
    String(a.extra ?? '') === String(b.extra ?? '') &&
    sameNextHops(a, b)
  )
}

/** True if two routes have the same next hops. */
export function sameNextHop(a: Route, b: Route): boolean {
  return a.gw === b.gw && a.dev === b.dev && sameNextHops(a, b)
}

function sameNextHops({ nexthops: a }: Route, { nexthops: b }: Route): boolean {
  return a === b || (a !== undefined && b !== undefined && JSON.stringify(a) === JSON.stringify(b))
}

/**
 * True if two routes are the same to the kernel. Of a multipath route's further next hops only the place and the next
 * hop are known; those suffice, since no two routes share both.
 */
export function sameRoute(a: Route, b: Route): boolean {
  if (!samePlace(a, b)) return false
  if (isPartlyKnown(a) || isPartlyKnown(b)) return a.type === b.type && sameNextHop(a, b)
  return a.protocol === b.protocol && sameEffect(a, b)
}

function isPartlyKnown({ protocol, presumed }: Route): boolean {
  return protocol === UNKNOWN_PROTOCOL || presumed === true
}

/** The NICs a route leaves by. */
export function devicesOf(route: Route): string[] {
  if (route.nexthops) return [...new Set(route.nexthops.map((hop) => hop.dev))]
  return route.dev === undefined ? [] : [route.dev]
}

/** The one NIC a route leaves by; undefined if there are several, or none. */
export function soleDevice(route: Route): string | undefined {
  if (!route.nexthops) return route.dev
  const [dev, ...others] = devicesOf(route)
  return others.length === 0 ? dev : undefined
}

/** A multipath route with `only` its next hops on the NIC `dev`, or `without` them. */
export function partOf(route: Route, which: 'only' | 'without', dev: string): Route {
  const hops = (route.nexthops ?? []).filter((hop) => (hop.dev === dev) === (which === 'only'))
  const { nexthops: _, ...rest } = route
  const [first, ...others] = hops
  if (first === undefined || others.length > 0) return { ...rest, nexthops: hops }
  const { gw, onlink } = first
  return { ...rest, ...(gw === undefined ? {} : { gw }), dev: first.dev, ...(onlink ? { onlink } : {}) }
}

/**
 * True for a route that is a next hop of an IPv6 multipath route, if others share its place. Routes that expire never are.
 * @see linux include/net/ip6_route.h rt6_qualify_for_ecmp
 */
export function isNextHop6({ family, gw, expires }: Route): boolean {
  return family === 6 && gw !== undefined && expires === undefined
}

/** True for a default route of the main table. */
export function isMainDefault(route: Route): boolean {
  return route.table === MAIN_TABLE && route.type === UNICAST && route.dst === DEFAULT_DST[route.family]
}

/** The default route of the main table through a gateway. */
export function defaultVia(gw: string, dev: string): Omit<Route, 'protocol' | 'priority'> {
  const family = familyOf(gw)
  const scope = family === 4 ? { scope: Scope.global } : {}
  return { family, type: UNICAST, dst: DEFAULT_DST[family], gw, dev, table: MAIN_TABLE, ...scope }
}

/** A key that two routes of one family share exactly if they are in one place. */
export function placeOf({
  dst,
  table,
  priority,
  tos,
  from,
}: Pick<Route, 'dst' | 'table' | 'priority' | 'tos' | 'from'>): string {
  return `${dst} ${table} ${priority} ${tos ?? ''} ${from ?? ''}`
}

/** A function that returns those of `items` that are in the place of a route. */
export function byPlace<T>(items: readonly T[], routeOf: (item: T) => Route): (route: Route) => readonly T[] {
  const groups = Map.groupBy(items, (item) => placeOf(routeOf(item)))
  return (route) => groups.get(placeOf(route)) ?? []
}

/** A function that returns those of `routes` that are in the place of another. */
export function sharingPlace(routes: readonly Route[]): (route: Route) => readonly Route[] {
  return byPlace(routes, (route) => route)
}

/** The routes to each destination in `wanted`. */
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
