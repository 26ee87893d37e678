import { CniError, Code, quote } from '../errors.ts'
import { type Family, familyOf } from './address.ts'
import { type Attributes, attributeWords, readAttribute } from './attributes.ts'
import {
  BOOT_PROTOCOL,
  DEFAULT_DST,
  MAIN_TABLE,
  type NextHop,
  PROTOCOL,
  type Route,
  type RouteOp,
  Scope,
  UNICAST,
  UNKNOWN_PROTOCOL,
} from './route.ts'
import { type RuleOp, ruleWords } from './rule.ts'

/**
 * How we call ip(8). JSON, so that nothing is guessed from columns. Numeric, so that no file in /etc/iproute2 renames a
 * table or a protocol (iproute2 5.3 and newer). Details, for the kind of an interface. A batch on stdin, so that one
 * process does everything and no word of ours is taken for an option.
 * @see ip(8), ip-route(8), ip-address(8)
 */
export const IP = ['ip', '-json', '-Numeric', '-details', '-batch', '-'] as const
export const SHOW_ROUTES = 'route show table all'

/** Shows the routes to exactly this prefix. */
export function showRoutesTo(dst: string): string {
  return `${SHOW_ROUTES} exact ${dst}`
}

/** Asks which route the kernel chooses for a packet. @param address may have a source: `192.0.2.1 from 10.199.3.153` */
export function getRoute(address: string): string {
  return `route get ${address}`
}

/**
 * The arguments that make the kernel itself find and remove the routes of a protocol on an interface, thousands in a
 * second. Not for a batch: there ip(8) does not let the kernel choose, and fails if it cannot print any one route.
 * @see ip(8), ip-route(8) flush; iproute2 ip/ip.c, rtnl_set_strict_dump
 */
export function flushArgs(protocol: number, dev: string): string[] {
  return ['route', 'flush', 'table', 'all', 'proto', String(protocol), 'dev', dev]
}

/** The batch line that deletes the first of our rules to a table, whichever that is. */
export function delRuleLine(table: number): string {
  return `rule del table ${table} protocol ${PROTOCOL}`
}

/** The batch line that deletes a route of ours that nobody has seen, so that its next hop is unknown. */
export function delLine(place: Pick<Route, 'dst' | 'table' | 'priority'>, dev: string): string {
  const { dst, table, priority } = place
  return `route del ${dst} dev ${dev} table ${table} proto ${PROTOCOL} metric ${priority}`
}

// What `ip -json route` prints, as far as it matters to us.
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
  nexthops?: NextHopJson[]
  nhid?: number
  tos?: string | number
  from?: string
  [key: string]: unknown
}

interface NextHopJson {
  gateway?: string
  via?: { family: string; host: string }
  dev?: string
  encap?: unknown
  weight?: number
  flags?: string[]
}

// What ip(8) prints in another form than it reads: a route with one cannot be restored.
const OPAQUE = ['encap', 'flow', 'ttl-propogate'] as const
// Metrics that ip(8) prints in the form it reads and that are not attributes. It prints the others scaled (rtt) or without
// their value (features).
export const METRICS = ['window', 'cwnd', 'reordering', 'ssthresh', 'rto_min']

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** The routes of a `route show` answer, of all tables and both families. @throws SyntaxError if it is not JSON */
export function parseRoutes(answer: string): Route[] {
  const routes = parseAnswer<RouteJson>(answer).map(parseRoute)
  return routes.some(isMultipath6)
    ? routes.flatMap((route) => (isMultipath6(route) ? splitMultipath(route) : route))
    : routes
}

function isMultipath6({ family, nexthops, nhid }: Route): boolean {
  return nexthops !== undefined && family === 6 && nhid === undefined
}

/**
 * The routes that make up an IPv6 multipath route. One comes about whenever somebody appends a route in the place of
 * another. Of all but the first the kernel then shows only the next hop, and no protocol, source or metrics. If such a
 * route is a default route on the same NIC, we presume that it is like the first; of any other, we know no more than
 * its next hop.
 * @see linux net/ipv6/route.c rt6_fill_node; net/ipv6/ip6_fib.c fib6_add_rt2node
 */
function splitMultipath({ nexthops = [], ...first }: Route): Route[] {
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

// ip(8) prints control characters in an interface name as they are, which is not JSON.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const CONTROL = /[\x00-\x1f]/g

// ip(8) prints the keys of an encapsulation into the object of the route, with a second `dst` among them.
const ENCAPSULATED = /"dst":("[^"]*"(?:,"(?:from|nhid)":[^,]*)*,"encap":)/g

/** The objects of an answer. @throws SyntaxError if it is not JSON */
export function parseAnswer<T>(answer: string): T[] {
  try {
    return JSON.parse(answer.includes('"encap"') ? answer.replace(ENCAPSULATED, '"prefix":$1') : answer)
  } catch {
    return JSON.parse(answer.replace(CONTROL, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`))
  }
}

function parseRoute(json: RouteJson): Route {
  const dst = text(json.prefix ?? json.dst)
  // IPv6 routes always have a router preference and IPv4 routes never do. Nothing else tells `default dev eth0` of one
  // from that of the other.
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
  if (json.nexthops) route.nexthops = json.nexthops.map(parseNextHop)
  if (json.nhid !== undefined) route.nhid = json.nhid
  if (json.expires !== undefined) route.expires = json.expires
  if (typeof json.tos === 'string') route.tos = json.tos // a number belongs to an encapsulation
  if (json.from !== undefined) route.from = json.from
  const opaque = OPAQUE.find((key) => json[key] !== undefined)
  if (opaque !== undefined || json.nexthops?.some((hop) => hop.encap !== undefined)) route.opaque = opaque ?? 'encap'

  if (json.metrics) readMetrics(route, json.metrics[0] ?? {})
  if (json.pref !== undefined && json.pref !== 'medium') route.extra = [...(route.extra ?? []), 'pref', json.pref]
  return route
}

// Another tool may be installed under this name. Before a value goes into a batch, it is checked again.
export function text(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`unexpected ${quote(value)}`)
  return value
}

export function number(value: unknown): number {
  const read = Number(value)
  if (!Number.isSafeInteger(read) || read < 0) throw new TypeError(`unexpected ${quote(value)}`)
  return read
}

function readMetrics(route: Writable<Route>, metrics: Record<string, unknown>): void {
  const extra: string[] = []
  const attributes: Attributes = {}
  for (const [key, printed] of Object.entries(metrics)) {
    // 0 is "not set" to the kernel, and printed only if it is locked.
    if (printed === 0) continue
    const attribute = readAttribute(key, printed)
    if (attribute) Object.assign(attributes, attribute)
    else if (METRICS.includes(key)) extra.push(key, String(printed))
    else route.opaque = key
  }
  if (Object.keys(attributes).length > 0) route.attributes = attributes
  if (extra.length > 0) route.extra = extra
}

function parseNextHop(json: NextHopJson): NextHop {
  const gw = json.gateway ?? json.via?.host
  return {
    ...(gw === undefined ? {} : { gw }),
    dev: json.dev ?? '',
    weight: number(json.weight ?? 1),
    onlink: json.flags?.includes('onlink') ?? false,
  }
}

/** A destination or source as ip(8) prints it, with prefix length. */
export function prefixOf(dst: string, family: Family): string {
  if (dst === 'default') return DEFAULT_DST[family]
  if (dst.includes('/')) return dst
  return `${dst}/${family === 4 ? 32 : 128}`
}

/**
 * The batch line of a change: `route add 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142`.
 * @throws CniError 100 if ip(8) would not take a word for one word. Only names that come from the kernel can be like
 * that.
 */
export function batchLine(change: Change): string {
  const words = 'rule' in change ? ['rule', change.op, ...ruleWords(change.rule)] : wordsOf(change)
  const unsafe = words.find((word) => UNSAFE_WORD.test(word))
  if (unsafe !== undefined)
    throw new CniError(Code.commandFailed, `ip: ${quote(unsafe)} cannot be written in a batch; rename the interface`)
  return words.join(' ')
}

type Change = Pick<RouteOp, 'op' | 'route'> | Pick<RuleOp, 'op' | 'rule'>

/** True for what only an ip(8) that was called with -6 can do. */
export function needsIpv6(change: Change): boolean {
  return 'rule' in change && change.rule.family === 6
}

/** A change as an operator would type it after `ip`. */
export function commandText(change: Change): string {
  return needsIpv6(change) ? `-6 ${batchLine(change)}` : batchLine(change)
}

// What separates, quotes, escapes or starts a comment in a batch. @see iproute2 lib/utils.c, makeargs and getcmdline
const UNSAFE_WORD = /[\s"'#\\]|^$/

function wordsOf({ op, route }: Pick<RouteOp, 'op' | 'route'>): string[] {
  const words = [
    'route',
    op,
    route.dst,
    ...(route.from === undefined ? [] : ['from', route.from]),
    ...nextHopWords(route),
  ]
  if (route.table !== MAIN_TABLE) words.push('table', String(route.table))
  if (route.protocol !== UNKNOWN_PROTOCOL && !(op === 'del' && route.presumed))
    words.push('proto', String(route.protocol))
  // Without a metric, the deletion of an IPv6 route deletes whichever comes first.
  if (route.family === 6 || route.priority !== 0) words.push('metric', String(route.priority))
  if (route.tos !== undefined) words.push('tos', route.tos)
  // A deletion without scope matches any scope, and the next hop already identifies the route.
  if (route.scope !== undefined && op !== 'del' && route.scope !== impliedScope(route)) {
    words.push('scope', String(route.scope))
  }
  if (route.src !== undefined) words.push('src', route.src)
  if (route.attributes) words.push(...attributeWords(route.attributes))
  if (route.expires !== undefined && op !== 'del') words.push('expires', String(route.expires))
  if (route.extra) words.push(...route.extra)
  // ip(8) takes everything after the first `nexthop` to belong to it.
  for (const hop of nexthopsToWrite(route))
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

/** The next hops to write as `nexthop`: the route is, or may become, one of several. */
function nexthopsToWrite({ nhid, nexthops, gw, dev, weight, onlink = false }: Route): readonly NextHop[] {
  if (nhid !== undefined) return []
  if (weight === undefined || dev === undefined) return nexthops ?? []
  return [{ ...(gw === undefined ? {} : { gw }), dev, weight, onlink }]
}

/** A route as `ip route show` would print it, for messages and the log. */
export function routeText(route: Route): string {
  const type = typeText(route.type)
  return `${type === undefined ? '' : `${type} `}${wordsOf({ op: 'add', route }).slice(2).join(' ')}`
}

/** `blackhole`, `local` and so on; undefined for unicast. */
export function typeText(type: number): string | undefined {
  return TYPES[type]
}

/** Types that a routing table can hold besides unicast. @see rtnetlink(7): `rtm_type` */
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

/** The scope that ip(8) gives an IPv4 route written without one. */
function impliedScope(route: Route): number {
  return route.gw !== undefined || route.nexthops !== undefined || route.nhid !== undefined ? Scope.global : Scope.link
}

function nextHopWords(route: Route): string[] {
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
