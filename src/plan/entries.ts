import { type ConfiguredRoute, nameOf } from '../config/config.ts'
import { listed } from '../errors.ts'
import { type Family, familyOf, isLinkLocal, parsePrefix } from '../net/address.ts'
import { combined } from '../net/attributes.ts'
import { routeText } from '../net/iproute2.ts'
import { MAX_NAMED } from '../net/link.ts'
import {
  byDestination,
  KERNEL_PROTOCOL,
  type Origin,
  PROTOCOL,
  type Route,
  type RouteOp,
  Scope,
  type Snapshot,
  sameEffect,
  samePlace,
  soleDevice,
  UNICAST,
} from '../net/route.ts'
import { isExplicit, type NextHops, type Via } from './next-hop.ts'
import { isSame, nicProblem, type Problem } from './problem.ts'

/** A route as it will be in the kernel, with the entry that it comes from. */
export interface EntryRoute {
  readonly configured: ConfiguredRoute
  readonly route: Route
}

/** What becomes of entries, and the operations that does it. */
export interface Planned {
  readonly routes: readonly EntryRoute[]
  readonly additions: readonly RouteOp[]
  readonly deletions: readonly RouteOp[]
  readonly problems: Problem[]
}

/** @param ifname the NIC of entries without `dev` */
export function planEntries(
  entries: readonly ConfiguredRoute[],
  ifname: string,
  snapshot: Snapshot,
  lookup: NextHopLookup,
): Planned {
  const present = byDestination(snapshot.routes, new Set(entries.map(({ dst }) => dst)))
  const [additions, deletions] = [[] as RouteOp[], [] as RouteOp[]]
  const routes: EntryRoute[] = []
  const problems: Problem[] = []
  for (const configured of entries) {
    const verdict = planRoute(configured, ifname, snapshot, present.get(configured.dst) ?? [], lookup)
    if (verdict.is === 'refused') {
      // All prefixes of a set may share it.
      if (!isSame(verdict.problem, problems.at(-1))) problems.push(verdict.problem)
      continue
    }
    routes.push({ configured, route: verdict.route })
    if (verdict.is === 'there') continue
    if (verdict.addition) additions.push(verdict.addition)
    deletions.push(...verdict.deletions)
  }
  return { routes, additions, deletions, problems }
}

/** What becomes of one entry of `routes`. */
type Verdict =
  /** The kernel or another plugin has made this route. It stays theirs. */
  | { readonly is: 'there'; readonly route: Route }
  | {
      readonly is: 'planned'
      readonly route: Route
      /** Absent if it is already there. */
      readonly addition?: RouteOp
      /** Other routes of ours in its place. */
      readonly deletions: readonly RouteOp[]
    }
  | { readonly is: 'refused'; readonly problem: Problem }

const refused = (at: string, says: string): Verdict => ({ is: 'refused', problem: { at, says } })

/** What the snapshot says of next hops. */
export interface NextHopLookup {
  /** The next hop that a NIC itself has. */
  readonly learn: NextHops
  /** Whether a prefix contains a next hop of the NIC's routes. */
  readonly containsNextHop: (dev: string, dst: string) => boolean
  /** Why there is no next hop. */
  readonly noNextHop: (configured: ConfiguredRoute, dev: string) => Problem
}

function planRoute(
  configured: ConfiguredRoute,
  ifname: string,
  snapshot: Snapshot,
  sameDst: readonly Route[],
  { learn, containsNextHop, noNextHop }: NextHopLookup,
): Verdict {
  const dev = configured.dev ?? ifname
  const { path } = configured
  const at = configured.dev === undefined ? path : `${path}.dev`
  const problem = nicProblem(at, dev, snapshot) ?? sourceProblem(configured, snapshot)
  if (problem) return { is: 'refused', problem }
  const direct = directRoute(configured, dev, containsNextHop, sameDst)
  if (direct) return foreignVerdict(configured, direct)
  const via = isExplicit(configured) ? configured : learn(configured, dev)
  if (!via) return { is: 'refused', problem: noNextHop(configured, dev) }
  const route = routeVia(via, configured, dev, snapshot)
  const inPlace = sameDst.length === 0 ? sameDst : sameDst.filter((other) => samePlace(other, route))
  // Another plugin's route with this next hop is as good, even without the attributes that ours would learn.
  const plain = inPlace.length === 0 ? route : routeVia({ gw: via.gw }, configured, dev, snapshot)
  return placement(configured, route, plain, inPlace)
}

/**
 * The route of somebody else that already does what an entry without gateway asks for: a connected route, or one that
 * leads to a next hop; with `scope: link`, any on-link route. Its maker chose its metric, as the kernel does for all of
 * IPv6, so any metric will do unless the entry has one.
 */
function directRoute(
  { gw, scope, table, priority, given }: ConfiguredRoute,
  dev: string,
  containsNextHop: NextHopLookup['containsNextHop'],
  sameDst: readonly Route[],
): Route | undefined {
  if (gw !== undefined || sameDst.length === 0) return undefined
  return sameDst.find(
    (route) =>
      route.protocol !== PROTOCOL &&
      route.type === UNICAST &&
      route.dev === dev &&
      route.gw === undefined &&
      route.table === table &&
      route.tos === undefined &&
      route.from === undefined &&
      (route.priority === priority || !given.priority) &&
      (scope === Scope.link ||
        route.protocol === KERNEL_PROTOCOL ||
        isHost(route.dst) ||
        containsNextHop(dev, route.dst)),
  )
}

/** Tells whether a prefix contains a next hop of a NIC. Prepared by prefix length: there may be thousands of either. */
export function nextHopNetworks({ routes }: Snapshot): NextHopLookup['containsNextHop'] {
  const networks = new Map<string, Set<string>>()
  return (dev, dst) => {
    const length = dst.slice(dst.indexOf('/'))
    const key = `${dev} ${familyOf(dst)} ${length}`
    const known = networks.get(key) ?? networksOf(dev, length)
    networks.set(key, known)
    return known.has(dst)
  }

  function networksOf(dev: string, length: string): Set<string> {
    const gws = new Set(routes.flatMap(({ dev: of, gw }) => (of === dev && gw !== undefined ? gw : [])))
    return new Set([...gws].map((gw) => parsePrefix(`${gw}${length}`)?.network ?? ''))
  }
}

/** True for a prefix of a single address. An on-link route to one is there for a next hop, in use or not. */
function isHost(dst: string): boolean {
  return dst.endsWith(familyOf(dst) === 4 ? '/32' : '/128')
}

/** As many keys as a message has room for. */
const MAX_DIFFERENT = 2

/** The verdict for somebody else's route: it must already be as configured, since we do not change it. */
function foreignVerdict(configured: ConfiguredRoute, route: Route): Verdict {
  const { src, scope, attributes } = configured
  const wanted = Object.entries({ src, ...attributes, ...(configured.family === 4 ? { scope } : {}) })
  const present: Readonly<Record<string, unknown>> = { src: route.src, scope: route.scope, ...route.attributes }
  // A switch that is off is absent from a route.
  const differs = wanted.filter(([name, value]) => value !== undefined && value !== (present[name] ?? false))
  if (differs.length === 0) return { is: 'there', route }
  const quoted = differs.map(([name]) => `"${name}"`)
  const names = quoted.length > MAX_DIFFERENT ? listed(quoted, MAX_DIFFERENT).join(', ') : quoted.join(' and ')
  const maker = route.protocol === KERNEL_PROTOCOL ? 'the kernel' : 'another plugin'
  return refused(
    nameOf(configured),
    `${names} cannot be set on the route of ${maker}, ${routeText(route)}; remove ${quoted.length > MAX_DIFFERENT ? quoted.join(', ') : names}, or add a "priority" to have a second route`,
  )
}

/**
 * What it takes to have a route: nothing, an addition, or a replacement of ours. We never remove routes of others. The
 * kernel uses the first of several IPv4 routes in a place, and all of IPv6.
 * @param plain the route as its entry says it, with its next hop: without learnt source and attributes
 */
function placement(configured: ConfiguredRoute, route: Route, plain: Route, inPlace: readonly Route[]): Verdict {
  const { gw } = configured
  const origin: Origin = { key: 'routes', path: nameOf(configured), gwWritten: gw !== undefined }
  if (inPlace.length === 0) return { is: 'planned', route, addition: { op: 'add', route, origin }, deletions: [] }
  const isOurs = (other: Route) => other.protocol === PROTOCOL && soleDevice(other) === route.dev
  // The route, if it is already there, whoever made it.
  const same = inPlace.find((other) => sameEffect(other, route) || (!isOurs(other) && sameEffect(other, plain)))
  // Where that is; else where the first of ours is, which `replace` would replace.
  const own = inPlace.findIndex((other) => other === same || (same === undefined && isOurs(other)))
  // Somebody else's, which packets would take instead of it or, in IPv6, besides it.
  const other = inPlace.find(
    (other, i) => other !== same && !isOurs(other) && (route.family === 6 || own < 0 || i < own),
  )
  if (other) return { is: 'refused', problem: taken(configured, route, other) }
  const deletions = inPlace
    .filter((one, i) => isOurs(one) && one !== same && (same !== undefined || i !== own))
    .map((one): RouteOp => ({ op: 'del', route: one, origin }))
  if (same) return { is: 'planned', route: same.protocol === PROTOCOL ? route : same, deletions }
  // In IPv6, a route with a gateway replaces all in its place that have one.
  return {
    is: 'planned',
    route,
    addition: { op: 'replace', route, origin },
    deletions: deletions.filter(
      ({ route: one }) => route.family === 4 || route.gw === undefined || one.gw === undefined,
    ),
  }
}

function taken(configured: ConfiguredRoute, route: Route, other: Route): Problem {
  const { dst, gw } = configured
  const direct = other.dev === route.dev && other.gw === undefined && other.type === UNICAST
  const advice = gw !== undefined ? 'remove "gw"' : 'write "scope": "link"'
  const keep = direct && route.gw !== undefined ? `${advice} to use that one, or ` : ''
  const says = `the pod already has another route to ${dst}: ${routeText(other)}, where ${routeText(route)} would go; ${keep}write another "priority"`
  return { at: nameOf(configured), says }
}

/** A configured route, completed with what is known of its next hop. */
function routeVia(via: Via, configured: ConfiguredRoute, dev: string, snapshot: Snapshot): Route {
  const { family, dst, table, priority, scope } = configured
  const onlink = via.gw !== undefined && (configured.onlink || via.onlink === true)
  const { src = via.src !== undefined && isAddress(via.src, snapshot) ? via.src : undefined } = configured
  const attributes = combined(configured.attributes, via.attributes)
  return {
    family,
    type: UNICAST,
    dst,
    ...(via.gw === undefined ? {} : { gw: via.gw }),
    dev,
    table,
    protocol: PROTOCOL,
    priority,
    ...(family === 4 ? { scope: scope ?? (via.gw === undefined ? Scope.link : Scope.global) } : {}),
    ...(src === undefined ? {} : { src }),
    ...(attributes === undefined ? {} : { attributes }),
    ...(onlink ? { onlink } : {}),
  }
}

function sourceProblem({ path, src, family }: ConfiguredRoute, snapshot: Snapshot): Problem | undefined {
  if (src === undefined || isAddress(src, snapshot)) return undefined
  const says = `${src} is not an address of the pod; its IPv${family} addresses are ${addressesOf(family, snapshot)}`
  return { at: `${path}.src`, says }
}

function isAddress(src: string, { links }: Snapshot): boolean {
  return links.some(({ addresses }) => addresses.includes(src))
}

/** Without link-local addresses: each NIC makes its own, and no route of the underlay uses them as source. */
function addressesOf(family: Family, snapshot: Snapshot): string {
  const all = snapshot.links.flatMap(({ ifname, addresses }) => (ifname === 'lo' ? [] : addresses))
  return (
    listed(
      all.filter((address) => familyOf(address) === family && !isLinkLocal(address)),
      MAX_NAMED,
    ).join(', ') || 'none'
  )
}
