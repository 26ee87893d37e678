import type { AppliedRoute } from '../cni/result.ts'
import type { Config, ConfiguredRoute } from '../config/config.ts'
import { CniError, Code, listed } from '../errors.ts'
import { type Family, familyOf, isLinkLocal, parsePrefix } from '../net/address.ts'
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
  samePlace,
  sameWay,
  soleDevice,
  UNICAST,
} from '../net/route.ts'
import { planDefaults, planDefaultsDel } from './defaults.ts'
import { afterwards } from './effects.ts'
import type { Gateways } from './gateway.ts'
import { kubevirtProblems } from './kubevirt.ts'
import { type Hop, isExplicit, nextHops, noHops } from './next-hop.ts'
import type { Problem } from './problem.ts'

/** What ADD does to a pod. Without `ops` and `problems` the pod is as configured. */
export interface Plan {
  readonly ops: readonly RouteOp[]
  /** Every configured route as it will be in the kernel, in configuration order. */
  readonly routes: readonly AppliedRoute[]
  /** The default routes of this NIC that `ovnGateway` asks for. */
  readonly gateways: readonly Route[]
  /** Why the configuration cannot be carried out in this pod. If there are any, `ops` are not to be. */
  readonly problems: readonly Problem[]
  /** What an operator should know of although it keeps nothing from being done. */
  readonly warnings: readonly string[]
}

/** What prevResult tells. */
export interface Known {
  readonly gateways?: Gateways
  /** CHECK: the next hops ADD reported, by destination. They go before what our own routes show. */
  readonly hops?: ReadonlyMap<string, Hop>
}

/**
 * What makes the routes of a pod those of the configuration: additions before deletions, so that at no moment a route
 * is missing that was there before and is wanted after.
 * @throws CniError 4 if the pod has no such interface
 */
export function planAdd(
  config: Config,
  ifname: string,
  snapshot: Snapshot,
  { gateways: reported = {}, hops: hints = new Map() }: Known = {},
): Plan {
  const nic = snapshot.links.find((link) => link.ifname === ifname)
  if (!nic)
    throw new CniError(
      Code.invalidEnvironment,
      `CNI_IFNAME: the pod has no interface ${ifname}; it has ${nicNames(snapshot.links)}`,
    )

  const present = byDestination(snapshot.routes, new Set(config.routes.map((route) => route.dst)))
  const defaults = planDefaults(config, ifname, snapshot, reported)
  const ways: Ways = {
    learn: nextHops(config, snapshot, hints, defaults.gateways),
    leadsThrough: hopRoutes(snapshot),
    noHop: noHops(snapshot),
  }
  const [comes, goes] = [[] as RouteOp[], [] as RouteOp[]]
  const routes: AppliedRoute[] = []
  const problems: Problem[] = []
  for (const configured of config.routes) {
    const verdict = planRoute(configured, ifname, snapshot, present.get(configured.dst) ?? [], ways)
    if (verdict.is === 'refused') {
      problems.push(verdict.problem)
      continue
    }
    routes.push({ configured, route: verdict.route })
    if (verdict.is === 'there') continue
    if (verdict.comes) comes.push(verdict.comes)
    goes.push(...verdict.goes)
  }
  const ops = [...comes, ...defaults.ops, ...goes]
  problems.push(...defaults.problems)
  if (config.kubevirt && problems.length === 0) problems.push(...kubevirtProblems(afterwards(snapshot, ops), ifname))
  const gateways = defaults.gateways.filter((route) => soleDevice(route) === ifname)
  return { ops, routes, gateways, problems, warnings: defaults.warnings }
}

/**
 * What takes our routes off a NIC: those on it, and those this configuration put on another with `dev`.
 * @param config asked for only if the pod has routes of ours on another NIC
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
  const spot = (route: { readonly dev?: string } & Parameters<typeof placeOf>[0]) => `${route.dev} ${placeOf(route)}`
  const configured = new Set(routes.filter(({ dev }) => dev !== undefined).map(spot))
  const ours = [...here, ...elsewhere.filter((route) => configured.has(spot(route)))]
  return [
    ...planDefaultsDel(gateway, ifname, snapshot),
    ...ours.map((route): RouteOp => ({ op: 'del', route, origin: { key: 'DEL', path: 'DEL' } })),
  ]
}

/** What becomes of one entry of `routes`. */
type Verdict =
  /** The kernel, or another plugin, has made what is asked for. It stays theirs. */
  | { readonly is: 'there'; readonly route: Route }
  | {
      readonly is: 'to have'
      readonly route: Route
      /** Absent: it is there already. */
      readonly comes?: RouteOp
      /** What else of ours is in its place. */
      readonly goes: readonly RouteOp[]
    }
  | { readonly is: 'refused'; readonly problem: Problem }

const refused = (at: string, says: string): Verdict => ({ is: 'refused', problem: { at, says } })

/** What is known of the ways out of the pod. */
interface Ways {
  /** The next hop that a NIC itself has. */
  readonly learn: (configured: ConfiguredRoute, dev: string) => Hop | undefined
  /** Whether a next hop of the NIC's routes lies in a prefix. */
  readonly leadsThrough: (dev: string, dst: string) => boolean
  /** Why there is none. */
  readonly noHop: (configured: ConfiguredRoute, dev: string) => Problem
}

function planRoute(
  configured: ConfiguredRoute,
  ifname: string,
  snapshot: Snapshot,
  sameDst: readonly Route[],
  { learn, leadsThrough, noHop }: Ways,
): Verdict {
  const dev = configured.dev ?? ifname
  const problem = linkProblem(configured, dev, snapshot) ?? sourceProblem(configured, snapshot)
  if (problem) return { is: 'refused', problem }
  const direct = directRoute(configured, dev, leadsThrough, sameDst)
  if (direct) return asItIs(configured, direct)
  const hop = isExplicit(configured) ? configured : learn(configured, dev)
  if (!hop) return { is: 'refused', problem: noHop(configured, dev) }
  const route = routeVia(hop, configured, dev, snapshot)
  const inPlace = sameDst.length === 0 ? sameDst : sameDst.filter((other) => samePlace(other, route))
  // Another plugin's that leads there just so, without what ours would take over besides, is as good.
  const plain = inPlace.length === 0 ? route : routeVia({ gw: hop.gw }, configured, dev, snapshot)
  return placement(configured, route, plain, inPlace)
}

/**
 * The route by which the NIC reaches a destination directly, where an entry asks for no gateway: the connected one that
 * the kernel made, and the one that a next hop resolves through. With `scope: link`, any that is on-link. It may have a
 * metric of its maker's, as IPv6 always has: any will do unless the entry says which.
 */
function directRoute(
  { gw, scope, table, priority, given }: ConfiguredRoute,
  dev: string,
  leadsThrough: Ways['leadsThrough'],
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
      (scope === Scope.link || route.protocol === KERNEL_PROTOCOL || isHost(route.dst) || leadsThrough(dev, route.dst)),
  )
}

/** The next hops of each NIC, as networks of each length that is asked for: there may be thousands of either. */
function hopRoutes({ routes }: Snapshot): Ways['leadsThrough'] {
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

/**
 * True for a prefix of one address. As a link route it is there for a next hop, be that in use at the moment or not.
 */
function isHost(dst: string): boolean {
  return dst.endsWith(familyOf(dst) === 4 ? '/32' : '/128')
}

/** Somebody else's route is looked for, and not changed. */
function asItIs(configured: ConfiguredRoute, route: Route): Verdict {
  const { key, src, mtu, advmss, scope } = configured
  const asked = Object.entries({ src, mtu, advmss, ...(configured.family === 4 ? { scope } : {}) })
  const differs = asked.filter(([name, value]) => value !== undefined && value !== route[name as keyof Route])
  if (differs.length === 0) return { is: 'there', route }
  const names = differs.map(([name]) => `"${name}"`).join(' and ')
  const maker = route.protocol === KERNEL_PROTOCOL ? 'the kernel' : 'another plugin'
  return refused(
    key,
    `${names} cannot be put on the route of ${maker}: ${routeText(route)}; leave out ${names}, or add a "priority" for a route beside it`,
  )
}

/**
 * What it takes to have a route: nothing, an addition, or an exchange for what is ours. Routes of others are never
 * taken away. Of several in one IPv4 place the kernel takes the first, of IPv6 all.
 * @param plain the route with nothing but what its entry says, and the next hop
 */
function placement(configured: ConfiguredRoute, route: Route, plain: Route, inPlace: readonly Route[]): Verdict {
  const { key, gw } = configured
  const origin: Origin = { key: 'routes', path: key, gwWritten: gw !== undefined }
  if (inPlace.length === 0) return { is: 'to have', route, comes: { op: 'add', route, origin }, goes: [] }
  const isOurs = (other: Route) => other.protocol === PROTOCOL && soleDevice(other) === route.dev
  const same = inPlace.find((other) => sameWay(other, route) || (!isOurs(other) && sameWay(other, plain)))
  const own = inPlace.findIndex((other) => other === same || (same === undefined && isOurs(other)))
  const other = inPlace.find(
    (other, i) => other !== same && !isOurs(other) && (route.family === 6 || own < 0 || i < own),
  )
  if (other) return { is: 'refused', problem: taken(configured, route, other) }
  const goes = inPlace
    .filter((one, i) => isOurs(one) && one !== same && (same !== undefined || i !== own))
    .map((one): RouteOp => ({ op: 'del', route: one, origin }))
  if (same) return { is: 'to have', route: same.protocol === PROTOCOL ? route : same, goes }
  // In IPv6 one with a gateway takes the place of all that have one.
  return {
    is: 'to have',
    route,
    comes: { op: 'replace', route, origin },
    goes: goes.filter(({ route: one }) => route.family === 4 || route.gw === undefined || one.gw === undefined),
  }
}

function taken({ key, dst, gw }: ConfiguredRoute, route: Route, other: Route): Problem {
  const direct = other.dev === route.dev && other.gw === undefined && other.type === UNICAST
  const asItIs = gw !== undefined ? 'leave out "gw"' : 'write "scope": "link"'
  const keep = direct && route.gw !== undefined ? `${asItIs} to have that one, or ` : ''
  const says = `the pod has another route to ${dst} already: ${routeText(other)}, where ${routeText(route)} would go; ${keep}give this one another "priority"`
  return { at: key, says }
}

/** A configured route with everything filled in that the kernel knows. */
function routeVia(hop: Hop, configured: ConfiguredRoute, dev: string, snapshot: Snapshot): Route {
  const { family, dst, table, priority, scope } = configured
  const onlink = hop.gw !== undefined && (configured.onlink || hop.onlink === true)
  const { src = hop.src !== undefined && isAddress(hop.src, snapshot) ? hop.src : undefined } = configured
  const { mtu = hop.mtu, advmss = hop.advmss } = configured
  return {
    family,
    type: UNICAST,
    dst,
    ...(hop.gw === undefined ? {} : { gw: hop.gw }),
    dev,
    table,
    protocol: PROTOCOL,
    priority,
    ...(family === 4 ? { scope: scope ?? (hop.gw === undefined ? Scope.link : Scope.global) } : {}),
    ...(src === undefined ? {} : { src }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(advmss === undefined ? {} : { advmss }),
    ...(onlink ? { onlink } : {}),
  }
}

function linkProblem({ key, dev: given }: ConfiguredRoute, dev: string, snapshot: Snapshot): Problem | undefined {
  const at = given === undefined ? key : `${key}.dev`
  const link = snapshot.links.find((candidate) => candidate.ifname === dev)
  if (!link) return { at, says: `the pod has no interface ${dev}; it has ${nicNames(snapshot.links)}` }
  if (!link.up) return { at, says: `interface ${dev} is down; the plugin that made it must set it up` }
  return undefined
}

function sourceProblem({ key, src, family }: ConfiguredRoute, snapshot: Snapshot): Problem | undefined {
  if (src === undefined || isAddress(src, snapshot)) return undefined
  const says = `${src} is no address of the pod; its IPv${family} addresses are ${addressesOf(family, snapshot)}`
  return { at: `${key}.src`, says }
}

function isAddress(src: string, { links }: Snapshot): boolean {
  return links.some(({ addresses }) => addresses.includes(src))
}

/** Link-local addresses are left out: each NIC makes its own, and no route of the underlay starts there. */
function addressesOf(family: Family, snapshot: Snapshot): string {
  const all = snapshot.links.flatMap(({ ifname, addresses }) => (ifname === 'lo' ? [] : addresses))
  return (
    listed(
      all.filter((address) => familyOf(address) === family && !isLinkLocal(address)),
      MAX_NAMED,
    ).join(', ') || 'none'
  )
}
