import { type Family, familyOf, isLinkLocal } from './address.ts'
import type { Config, ConfiguredRoute } from './config.ts'
import { type Gateways, planDefaults, planDefaultsDel } from './defaults.ts'
import { afterwards } from './effects.ts'
import { CniError, Code } from './errors.ts'
import { routeText } from './iproute2.ts'
import { kubevirtProblems } from './kubevirt.ts'
import { type Hop, isExplicit, nextHops, noHop } from './next-hop.ts'
import type { AppliedRoute } from './result.ts'
import {
  byDestination,
  devicesOf,
  GATEWAY_PROTOCOL,
  PROTOCOL,
  placeOf,
  RESTORED_PROTOCOL,
  type Route,
  type RouteOp,
  Scope,
  type Snapshot,
  samePlace,
  sameWay,
  UNICAST,
} from './route.ts'

/** What ADD does to a pod. Without `ops` and `problems` the pod is as configured. */
export interface Plan {
  readonly ops: readonly RouteOp[]
  /** Every configured route as it will be in the kernel, in configuration order. */
  readonly routes: readonly AppliedRoute[]
  /** The default routes of this NIC that `ovnGateway` asks for. */
  readonly gateways: readonly Route[]
  /** Why the configuration cannot be carried out in this pod, key path first. If there are any, `ops` are not to be. */
  readonly problems: readonly string[]
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
 * What makes the routes of a pod those of the configuration: additions before deletions, so that at no moment a route is
 * missing that was there before and is wanted after.
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
      `CNI_IFNAME: the pod has no interface ${ifname}; it has ${nicNames(snapshot)}`,
    )

  const present = byDestination(snapshot.routes, new Set(config.routes.map((route) => route.dst)))
  const defaults = planDefaults(config, ifname, snapshot, reported)
  const learn = nextHops(config, snapshot, hints, defaults.gateways)
  const ops: RouteOp[] = []
  const surplus: RouteOp[] = []
  const routes: AppliedRoute[] = []
  const problems: string[] = []
  for (const configured of config.routes) {
    const sameDst = present.get(configured.dst) ?? []
    const route = planRoute(configured, ifname, snapshot, sameDst, learn)
    if (typeof route === 'string') {
      problems.push(route)
      continue
    }
    routes.push({ configured, route })
    const inPlace = sameDst.filter((other) => samePlace(other, route))
    // Of several in one place the kernel takes the first. The same made by another plugin stays that plugin's.
    const others = inPlace.filter((old) => !sameWay(old, route))
    if (inPlace.length === 0) ops.push({ op: 'add', route, why: configured.key })
    else if (others.length === inPlace.length) {
      others.shift()
      ops.push({ op: 'replace', route, why: configured.key })
    }
    surplus.push(...others.map((old): RouteOp => ({ op: 'del', route: old, why: configured.key })))
  }
  ops.push(...defaults.ops, ...surplus)
  problems.push(...defaults.problems)
  if (config.kubevirt && problems.length === 0) problems.push(...kubevirtProblems(afterwards(snapshot, ops), ifname))
  const gateways = defaults.gateways.filter((route) => route.dev === ifname)
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
    if (route.protocol === PROTOCOL) (devicesOf(route).includes(ifname) ? here : elsewhere).push(route)
    else
      others ||= (route.protocol === GATEWAY_PROTOCOL || route.protocol === RESTORED_PROTOCOL) && route.dev !== ifname
  }
  const { routes, gateway } = others || elsewhere.length > 0 ? config() : { routes: [] }
  const spot = (route: { readonly dev?: string } & Parameters<typeof placeOf>[0]) => `${route.dev} ${placeOf(route)}`
  const configured = new Set(routes.filter(({ dev }) => dev !== undefined).map(spot))
  const ours = [...here, ...elsewhere.filter((route) => configured.has(spot(route)))]
  return [
    ...planDefaultsDel(gateway, ifname, snapshot),
    ...ours.map((route): RouteOp => ({ op: 'del', route, why: 'DEL' })),
  ]
}

/** A configured route as it will be in the kernel, or the problem that stands against it. */
function planRoute(
  configured: ConfiguredRoute,
  ifname: string,
  snapshot: Snapshot,
  sameDst: readonly Route[],
  learn: (configured: ConfiguredRoute, dev: string) => Hop | undefined,
): Route | string {
  const dev = configured.dev ?? ifname
  const problem = linkProblem(configured, dev, snapshot)
  if (problem !== undefined) return problem
  const hop = isExplicit(configured) ? configured : learn(configured, dev)
  if (!hop) return noHop(configured, dev)
  const route = routeVia(hop, configured, dev)
  return routeProblem(configured, route, ifname, snapshot, sameDst) ?? route
}

/** A configured route with everything filled in that the kernel knows. */
function routeVia(hop: Hop, configured: ConfiguredRoute, dev: string): Route {
  const { family, dst, table, priority, scope, src, mtu, advmss } = configured
  const onlink = hop.gw !== undefined && hop.onlink === true
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

function linkProblem({ key, dev: given }: ConfiguredRoute, dev: string, snapshot: Snapshot): string | undefined {
  const at = given === undefined ? key : `${key}.dev`
  const link = snapshot.links.find((candidate) => candidate.ifname === dev)
  if (!link) return `${at}: the pod has no interface ${dev}; it has ${nicNames(snapshot)}`
  if (!link.up) return `${at}: interface ${dev} is down; the plugin that made it must set it up`
  return undefined
}

/** What the kernel would refuse, or do to somebody else's route. */
function routeProblem(
  { key }: ConfiguredRoute,
  route: Route,
  ifname: string,
  snapshot: Snapshot,
  sameDst: readonly Route[],
): string | undefined {
  const { src, family, dst, dev } = route
  if (src !== undefined && !snapshot.links.some(({ addresses }) => addresses.includes(src))) {
    return `${key}.src: ${src} is no address of the pod; its IPv${family} addresses are ${addressesOf(family, snapshot)}`
  }
  const inPlace = sameDst.filter((other) => samePlace(other, route))
  // On the NIC itself a route may be replaced; on another one only if it is ours or just so.
  const mayGo = (other: Route) =>
    other.type === UNICAST &&
    other.dev === dev &&
    (dev === ifname || other.protocol === PROTOCOL || sameWay(other, route))
  const taken = inPlace.find((other) => !mayGo(other))
  if (taken) {
    return `${key}: the pod has another route to ${dst} already: ${routeText(taken)}; give this one another "priority"`
  }
  const old = inPlace.find((other) => other.opaque !== undefined && !sameWay(other, route))
  if (old) {
    return `${key}: ${routeText(old)} is in its place, with an attribute (${old.opaque}) that could not be restored; give this one another "priority"`
  }
  return undefined
}

function nicNames(snapshot: Snapshot): string {
  return snapshot.links.map((link) => link.ifname).join(', ') || 'none'
}

/** Link-local addresses are left out: each NIC makes its own, and no route of the underlay starts there. */
function addressesOf(family: Family, snapshot: Snapshot): string {
  const all = snapshot.links.flatMap(({ ifname, addresses }) => (ifname === 'lo' ? [] : addresses))
  return all.filter((address) => familyOf(address) === family && !isLinkLocal(address)).join(', ') || 'none'
}
