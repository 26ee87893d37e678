import type { AppliedRoute } from '../cni/result.ts'
import { type Config, type ConfiguredRoute, nameOf } from '../config/config.ts'
import { CniError, Code, listed } from '../errors.ts'
import { type Family, familyOf, isLinkLocal, parsePrefix } from '../net/address.ts'
import { combined } from '../net/attributes.ts'
import { routeText } from '../net/iproute2.ts'
import {
  byDestination,
  devicesOf,
  GATEWAY_PROTOCOL,
  KERNEL_PROTOCOL,
  MAX_NAMED,
  nicNames,
  type Origin,
  PROTOCOL,
  placeOf,
  RESTORED_PROTOCOL,
  type Route,
  type RouteOp,
  Scope,
  type Snapshot,
  sameEffect,
  samePlace,
  soleDevice,
  UNICAST,
} from '../net/route.ts'
import { planDefaults } from './defaults.ts'
import { planDefaultsDel } from './defaults-del.ts'
import { afterwards } from './effects.ts'
import type { GatewayAddresses } from './gateway.ts'
import { kubevirtProblems } from './kubevirt.ts'
import { isExplicit, type NextHops, nextHops, noNextHops, type Via } from './next-hop.ts'
import { isSame, nicProblem, type Problem } from './problem.ts'

/** What ADD does to a pod. Without `ops` and `problems`, the pod is as configured. */
export interface Plan {
  readonly ops: readonly RouteOp[]
  /** Every configured route as it will be in the kernel, in the order of the configuration. */
  readonly routes: readonly AppliedRoute[]
  /** The default routes on this NIC that `ovnGateway` wants. */
  readonly gateways: readonly Route[]
  /** Why the configuration cannot be carried out in this pod. If there are any, `ops` must not be. */
  readonly problems: readonly Problem[]
  /** What the operator should know, although nothing fails. */
  readonly warnings: readonly string[]
}

/** What prevResult says. */
export interface Reported {
  readonly gatewayAddresses?: GatewayAddresses
  /** For CHECK and repair: the next hops that ADD reported. They count more than what our own routes show. */
  readonly hops?: NextHops
  /** For repair: the next hops that count if neither a route nor this Result tells. */
  readonly otherwise?: NextHops
}

const UNKNOWN: NextHops = () => undefined

/**
 * The operations that make a pod's routes what the configuration says. Additions come before deletions: at no moment is
 * a route missing that was there before and is wanted after.
 * @throws CniError 4 if the pod has no such interface
 */
export function planAdd(
  config: Config,
  ifname: string,
  snapshot: Snapshot,
  { gatewayAddresses: reported = {}, hops = UNKNOWN, otherwise }: Reported = {},
): Plan {
  const nic = snapshot.links.find((link) => link.ifname === ifname)
  if (!nic)
    throw new CniError(
      Code.invalidEnvironment,
      `CNI_IFNAME: the pod has no interface ${ifname}; it has ${nicNames(snapshot.links)}`,
    )

  const present = byDestination(snapshot.routes, new Set(config.routes.map((route) => route.dst)))
  const defaults = planDefaults(config, ifname, snapshot, reported)
  const lookup: NextHopLookup = {
    learn: nextHops(config, snapshot, { hops, otherwise, gateways: defaults.gateways }),
    containsNextHop: nextHopNetworks(snapshot),
    noNextHop: noNextHops(snapshot),
  }
  const [additions, deletions] = [[] as RouteOp[], [] as RouteOp[]]
  const routes: AppliedRoute[] = []
  const problems: Problem[] = []
  for (const configured of config.routes) {
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
  const ops = [...additions, ...defaults.ops, ...deletions]
  problems.push(...defaults.problems)
  if (config.kubevirt && problems.length === 0) problems.push(...kubevirtProblems(afterwards(snapshot, ops), ifname))
  const gateways = defaults.gateways.filter((route) => soleDevice(route) === ifname)
  return { ops, routes, gateways, problems, warnings: defaults.warnings }
}

/**
 * The operations that remove our routes from a NIC: those on it, and those that this configuration put on others with
 * `dev`.
 * @param config called only if there are routes of ours on other NICs
 */
export function planDel(
  config: () => Pick<Config, 'routes' | 'gateway'>,
  ifname: string,
  snapshot: Snapshot,
): RouteOp[] {
  const [here, elsewhere] = [[] as Route[], [] as Route[]]
  let others = false
  for (const route of snapshot.routes) {
    if (route.protocol === PROTOCOL && !route.presumed)
      (devicesOf(route).includes(ifname) ? here : elsewhere).push(route)
    else
      others ||=
        (route.protocol === GATEWAY_PROTOCOL || route.protocol === RESTORED_PROTOCOL) && soleDevice(route) !== ifname
  }
  const { routes, gateway } = others || elsewhere.length > 0 ? config() : { routes: [] }
  const nicAndPlace = (route: { readonly dev?: string } & Parameters<typeof placeOf>[0]) =>
    `${route.dev} ${placeOf(route)}`
  const configured = new Set(routes.filter(({ dev }) => dev !== undefined).map(nicAndPlace))
  const ours = [...here, ...elsewhere.filter((route) => configured.has(nicAndPlace(route)))]
  return [
    ...planDefaultsDel(gateway, ifname, snapshot),
    ...ours.map((route): RouteOp => ({ op: 'del', route, origin: { key: 'DEL', path: 'DEL' } })),
  ]
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
interface NextHopLookup {
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
function nextHopNetworks({ routes }: Snapshot): NextHopLookup['containsNextHop'] {
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
