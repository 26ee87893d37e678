import { CniError, Code, quote } from '../errors.ts'
import { type Family, familyOf } from './address.ts'
import {
  BOOT_PROTOCOL,
  DEFAULT_DST,
  type Link,
  MAIN_TABLE,
  type NextHop,
  PROTOCOL,
  type Route,
  type RouteOp,
  Scope,
  UNICAST,
  UNKNOWN_PROTOCOL,
} from './route.ts'

/**
 * How the plugin calls ip(8), what it asks, and how it reads the answers. JSON, so that nothing is guessed from columns;
 * numeric, so that no file below /etc/iproute2 renames a table or a protocol (iproute2 5.3 and newer); details, for
 * the kind of an interface; a batch on stdin, so that one process does all and no word of ours is ever an option.
 * @see ip(8), ip-route(8), ip-address(8)
 */
export const IP = ['ip', '-json', '-Numeric', '-details', '-batch', '-'] as const
export const SHOW_ROUTES = 'route show table all'
export const SHOW_LINKS = 'address show'

/** @param dst a prefix; those of other lengths are not meant */
export function showRoutesTo(dst: string): string {
  return `${SHOW_ROUTES} exact ${dst}`
}

/** Asks for the way that a packet takes. */
export function getWay(address: string): string {
  return `route get ${address}`
}

/**
 * What has the kernel itself find the routes of a protocol on an interface, and take them away, thousands in a second. Not for a
 * batch: in one, ip(8) does not ask the kernel to choose, and fails if any route cannot be shown.
 * @see ip(8), ip-route(8) flush; iproute2 ip/ip.c, rtnl_set_strict_dump
 */
export function flushWords(protocol: number, dev: string): string[] {
  return ['route', 'flush', 'table', 'all', 'proto', String(protocol), 'dev', dev]
}

/** The batch line that deletes one of our routes that nobody has seen: its next hop is not known. */
export function delLine(place: Pick<Route, 'dst' | 'table' | 'priority'>, dev: string): string {
  const { dst, table, priority } = place
  return `route del ${dst} dev ${dev} table ${table} proto ${PROTOCOL} metric ${priority}`
}

// `ip -json route` prints these; the rest of its keys (flags aside) does not matter to us or is listed in EXTRA.
interface RouteJson {
  type?: string
  dst: string
  prefix?: string
  gateway?: string
  via?: { family: string; host: string }
  dev?: string
  table?: string
  protocol?: string
  scope?: string
  prefsrc?: string
  metric?: number
  flags?: string[]
  pref?: string
  expires?: number
  metrics?: Record<string, unknown>[]
  nexthops?: HopJson[]
  nhid?: number
  tos?: string | number
  from?: string
  [key: string]: unknown
}

interface HopJson {
  gateway?: string
  via?: { family: string; host: string }
  dev?: string
  encap?: unknown
  weight?: number
  flags?: string[]
}

// Attributes that ip(8) does not print as it takes them: a route with one cannot be put back.
const OPAQUE = ['encap', 'flow', 'ttl-propogate'] as const
// Metrics that ip(8) takes as it prints them. The others it prints scaled (rtt), by another name (congestion) or
// without value (features).
const METRICS = ['window', 'cwnd', 'initcwnd', 'initrwnd', 'hoplimit', 'reordering', 'ssthresh', 'rto_min', 'quickack']

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/**
 * The routes of one `route show` answer: of every table, both families. @throws SyntaxError if it is no JSON
 */
export function parseRoutes(answer: string): Route[] {
  const routes = parseAnswer<RouteJson>(answer).map(parseRoute)
  return routes.some(isJoined) ? routes.flatMap((route) => (isJoined(route) ? hopsOf(route) : route)) : routes
}

function isJoined({ family, nexthops, nhid }: Route): boolean {
  return nexthops !== undefined && family === 6 && nhid === undefined
}

/**
 * The routes that an IPv6 multipath route is made of. Whoever appends a route to a place where another is makes one, and
 * the kernel then tells all but the next hop (protocol, source, metrics) of the first only. What is of the same NIC, and
 * is a default route, we take to be of one making; of others we know no more than the next hop.
 * @see linux net/ipv6/route.c rt6_fill_node; net/ipv6/ip6_fib.c fib6_add_rt2node
 */
function hopsOf({ nexthops = [], ...first }: Route): Route[] {
  const { family, type, dst, table, priority, from } = first
  const place = { family, type, dst, table, priority, ...(from === undefined ? {} : { from }) }
  return nexthops.map(({ gw, dev, weight, onlink }, i) => {
    const hop = {
      ...(gw === undefined ? {} : { gw }),
      dev,
      ...(weight === 1 ? {} : { weight }),
      ...(onlink ? { onlink } : {}),
    }
    if (i === 0) return { ...first, ...hop }
    if (dst === DEFAULT_DST[6] && dev === nexthops[0]?.dev) return { ...first, presumed: true, ...hop }
    return { ...place, protocol: UNKNOWN_PROTOCOL, ...hop }
  })
}

// ip(8) prints control characters in the name of an interface as they are, which JSON does not allow.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these it is about
const CONTROL = /[\x00-\x1f]/g

// The keys of an encapsulation stand in the object of the route, a second `dst` among them.
const ENCAPSULATED = /"dst":("[^"]*"(?:,"(?:from|nhid)":[^,]*)*,"encap":)/g

/** The objects of one answer. @throws SyntaxError if it is no JSON */
export function parseAnswer<T>(answer: string): T[] {
  try {
    return JSON.parse(answer.includes('"encap"') ? answer.replace(ENCAPSULATED, '"prefix":$1') : answer)
  } catch {
    return JSON.parse(answer.replace(CONTROL, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`))
  }
}

function parseRoute(json: RouteJson): Route {
  const dst = text(json.prefix ?? json.dst)
  // IPv6 routes always carry a router preference, IPv4 routes never: the only difference between `default dev eth0`
  // of each.
  const family: Family = json.pref !== undefined || dst.includes(':') ? 6 : 4
  const route: Writable<Route> = {
    family,
    type: number(json.type ?? UNICAST),
    dst: prefixOf(dst, family),
    table: number(json.table ?? MAIN_TABLE),
    protocol: number(json.protocol ?? BOOT_PROTOCOL),
    priority: number(json.metric ?? 0),
  }
  const gw = json.gateway ?? json.via?.host
  if (gw !== undefined) route.gw = text(gw)
  if (json.dev !== undefined) route.dev = text(json.dev)
  if (family === 4) route.scope = number(json.scope ?? Scope.global)
  if (json.prefsrc !== undefined) route.src = text(json.prefsrc)
  if (json.flags?.includes('onlink')) route.onlink = true
  if (json.nexthops) route.nexthops = json.nexthops.map(parseHop)
  if (json.nhid !== undefined) route.nhid = json.nhid
  if (json.expires !== undefined) route.expires = json.expires
  if (typeof json.tos === 'string') route.tos = json.tos // a number is that of an encapsulation
  if (json.from !== undefined) route.from = json.from
  const opaque = OPAQUE.find((key) => json[key] !== undefined)
  if (opaque !== undefined || json.nexthops?.some((hop) => hop.encap !== undefined)) route.opaque = opaque ?? 'encap'

  if (json.metrics) readMetrics(route, json.metrics[0] ?? {})
  if (json.pref !== undefined && json.pref !== 'medium') route.extra = [...(route.extra ?? []), 'pref', json.pref]
  return route
}

// A tool of that name that answers otherwise is not the one we know. What of it goes into a batch is looked at there.
function text(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`unexpected ${quote(value)}`)
  return value
}

function number(value: unknown): number {
  const read = Number(value)
  if (!Number.isSafeInteger(read) || read < 0) throw new TypeError(`unexpected ${quote(value)}`)
  return read
}

function readMetrics(route: Writable<Route>, metrics: Record<string, unknown>): void {
  const extra: string[] = []
  for (const [key, value] of Object.entries(metrics)) {
    if (key === 'mtu' && typeof value === 'number') route.mtu = value
    else if (key === 'advmss' && typeof value === 'number') route.advmss = value
    else if (METRICS.includes(key)) extra.push(key, String(value))
    else route.opaque = key
  }
  if (extra.length > 0) route.extra = extra
}

function parseHop(json: HopJson): NextHop {
  const gw = json.gateway ?? json.via?.host
  return {
    ...(gw === undefined ? {} : { gw }),
    dev: json.dev ?? '',
    weight: json.weight ?? 1,
    onlink: json.flags?.includes('onlink') ?? false,
  }
}

function prefixOf(dst: string, family: Family): string {
  if (dst === 'default') return DEFAULT_DST[family]
  if (dst.includes('/')) return dst
  return `${dst}/${family === 4 ? 32 : 128}`
}

interface LinkJson {
  ifname?: string
  flags?: string[]
  address?: string
  linkinfo?: { info_kind?: string }
  addr_info?: { local?: string }[]
}

/** The interfaces of one `address show` answer. @throws SyntaxError if it is no JSON */
export function parseLinks(answer: string): Link[] {
  return parseAnswer<LinkJson>(answer).flatMap((json) => {
    if (json.ifname === undefined) return [] // ip prints `{}` for what a filter left out
    const kind = json.linkinfo?.info_kind
    return {
      ifname: text(json.ifname),
      up: json.flags?.includes('UP') ?? false,
      ...(kind === undefined ? {} : { kind }),
      ...(json.address === undefined ? {} : { mac: text(json.address) }),
      addresses: (json.addr_info ?? []).flatMap((info) => (info.local === undefined ? [] : text(info.local))),
    }
  })
}

/**
 * The batch line of a change: `route add 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142`.
 * @throws CniError 100 for a word that ip(8) would take for something else than one word: it can only come from the kernel,
 * as the name of an interface
 */
export function batchLine(change: Pick<RouteOp, 'op' | 'route'>): string {
  const words = wordsOf(change)
  const unsafe = words.find((word) => NO_WORD.test(word))
  if (unsafe !== undefined)
    throw new CniError(Code.commandFailed, `ip: ${quote(unsafe)} cannot be written in a batch; rename the interface`)
  return words.join(' ')
}

// What separates, quotes, escapes or comments in a batch. @see iproute2 lib/utils.c, makeargs and getcmdline
const NO_WORD = /[\s"'#\\]|^$/

function wordsOf({ op, route }: Pick<RouteOp, 'op' | 'route'>): string[] {
  const words = ['route', op, route.dst, ...(route.from === undefined ? [] : ['from', route.from]), ...hopWords(route)]
  if (route.table !== MAIN_TABLE) words.push('table', String(route.table))
  if (route.protocol !== UNKNOWN_PROTOCOL && !(op === 'del' && route.presumed))
    words.push('proto', String(route.protocol))
  // To delete an IPv6 route without metric is to delete whichever is first.
  if (route.family === 6 || route.priority !== 0) words.push('metric', String(route.priority))
  if (route.tos !== undefined) words.push('tos', route.tos)
  // A deletion without scope matches any; the next hop already tells which route is meant.
  if (route.scope !== undefined && op !== 'del' && route.scope !== impliedScope(route)) {
    words.push('scope', String(route.scope))
  }
  if (route.src !== undefined) words.push('src', route.src)
  if (route.mtu !== undefined) words.push('mtu', String(route.mtu))
  if (route.advmss !== undefined) words.push('advmss', String(route.advmss))
  if (route.expires !== undefined && op !== 'del') words.push('expires', String(route.expires))
  if (route.extra) words.push(...route.extra)
  // ip(8) takes everything after the first `nexthop` for part of it.
  for (const hop of weightedHops(route))
    words.push(
      'nexthop',
      ...viaWords(hop.gw, route.family),
      'dev',
      hop.dev,
      'weight',
      String(hop.weight),
      ...(hop.onlink ? ['onlink'] : []),
    )
  return words
}

/** What is written as `nexthop`, since it is one of several or may become one. */
function weightedHops({ nhid, nexthops, gw, dev, weight, onlink = false }: Route): readonly NextHop[] {
  if (nhid !== undefined) return []
  if (weight === undefined || dev === undefined) return nexthops ?? []
  return [{ ...(gw === undefined ? {} : { gw }), dev, weight, onlink }]
}

/** A route as `ip route show` would print it, for messages and the log. */
export function routeText(route: Route): string {
  const type = typeText(route.type)
  return `${type === undefined ? '' : `${type} `}${wordsOf({ op: 'add', route }).slice(2).join(' ')}`
}

/** `blackhole`, `local`; undefined for what a route is unless it says otherwise. */
export function typeText(type: number): string | undefined {
  return TYPES[type]
}

/** @see rtnetlink(7): `rtm_type`, those that a routing table may hold besides unicast */
const TYPES: Readonly<Record<number, string>> = {
  2: 'local',
  3: 'broadcast',
  4: 'anycast',
  5: 'multicast',
  6: 'blackhole',
  7: 'unreachable',
  8: 'prohibit',
  9: 'throw',
}

/** The scope ip(8) gives an IPv4 route that is written without one. */
function impliedScope(route: Route): number {
  return route.gw !== undefined || route.nexthops !== undefined || route.nhid !== undefined ? Scope.global : Scope.link
}

function hopWords(route: Route): string[] {
  if (route.nhid !== undefined) return ['nhid', String(route.nhid)]
  if (route.weight !== undefined) return []
  const words = viaWords(route.gw, route.family)
  if (route.dev !== undefined) words.push('dev', route.dev)
  if (route.onlink) words.push('onlink')
  return words
}

function viaWords(gw: string | undefined, family: Family): string[] {
  if (gw === undefined) return []
  return familyOf(gw) === family ? ['via', gw] : ['via', 'inet6', gw]
}
