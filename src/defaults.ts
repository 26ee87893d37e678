import { type Family, familyOf, isLinkLocal, isWithin } from './address.ts'
import type { Config, Gateway } from './config.ts'
import { routeText } from './iproute2.ts'
import {
  DEFAULT_DST,
  DEFAULT_PRIORITY,
  demoted,
  devicesOf,
  GATEWAY_PROTOCOL,
  isDemoted,
  isMainDefault,
  isPlainDefault,
  MAIN_TABLE,
  PROTOCOL,
  RESTORED_PROTOCOL,
  type Route,
  type RouteOp,
  restored,
  Scope,
  type Snapshot,
  samePlace,
  sameWay,
  UNICAST,
} from './route.ts'

/** The gateways that the plugin before us reported for the NIC, `ips[].gateway` of prevResult. */
export type Gateways = Readonly<Partial<Record<Family, string>>>

/** What becomes of the pod's default routes. */
export interface DefaultsPlan {
  readonly ops: readonly RouteOp[]
  /** The default routes that `ovnGateway` asks for, on whatever NIC. */
  readonly gateways: readonly Route[]
  readonly problems: readonly string[]
  /** Other default routes that stay, which an operator who asked for one should know of. */
  readonly warnings: readonly string[]
}

const FAMILIES = [4, 6] as const

/**
 * Decides on the default routes of the main table: `ovnGateway` on the one the pod is to have, `defaultRoute` on
 * those of this NIC. The one to have comes before those that go, so that at no moment the pod has none.
 */
export function planDefaults(config: Config, ifname: string, snapshot: Snapshot, reported: Gateways): DefaultsPlan {
  const plan = { ops: [] as RouteOp[], gateways: [] as Route[], problems: [] as string[], warnings: [] as string[] }
  const defaults = snapshot.routes.filter(isMainDefault)
  for (const family of FAMILIES) {
    const ofFamily = defaults.filter((route) => route.family === family)
    const gateway = config.gateway && gatewayOf(config.gateway, family, ifname, ofFamily, reported[family], snapshot)
    if (typeof gateway === 'string') plan.problems.push(gateway)
    else planFamily(config, family, ifname, ofFamily, gateway, snapshot, plan)
  }
  if (config.gateway?.either && plan.gateways.length === 0 && plan.problems.length === 0) {
    plan.problems.push(noGateway(ifname, config.gateway))
  }
  return plan
}

function planFamily(
  config: Config,
  family: Family,
  ifname: string,
  defaults: readonly Route[],
  gateway: Route | undefined,
  snapshot: Snapshot,
  plan: { ops: RouteOp[]; gateways: Route[]; problems: string[]; warnings: string[] },
): void {
  const disposition = config.defaultRoute[family]
  const onNic = (route: Route) => devicesOf(route).includes(ifname)
  const leaving = defaults.filter(
    (route) => onNic(route) && disposition === 'remove' && !(gateway && isGateway(route, gateway)),
  )
  const copies = gateway
    ? defaults.filter((route) => isDemoted(route) && sameWay(route, gateway) && !leaving.includes(route))
    : []
  // The default that ovnGateway restores takes the place of its demoted copy. One that it makes does not: DEL takes that
  // away, and gives the demoted one back.
  const spent = gateway?.protocol === RESTORED_PROTOCOL ? copies : []

  let replaced: Route | undefined
  if (gateway) {
    plan.gateways.push(gateway)
    const inPlace = defaults.filter((route) => samePlace(route, gateway))
    // If there is a demoted copy as well, another copy of the plugin may just be demoting it, and delete it next:
    // then it is replaced by one that looks the same but for its protocol.
    const standing = inPlace.find(
      (route) => isGateway(route, gateway) && (copies.length === 0 || route.protocol === gateway.protocol),
    )
    const foreign = inPlace.find(
      (route) => !leaving.includes(route) && route.protocol !== GATEWAY_PROTOCOL && !isGateway(route, gateway),
    )
    // Of several in one place the kernel takes the first.
    if (foreign && (!standing || inPlace.indexOf(foreign) < inPlace.indexOf(standing))) {
      plan.problems.push(
        `ovnGateway: the pod has another default route with the same metric: ${routeText(foreign)}; take it away with "defaultRoute" in the network of ${devicesOf(foreign).join(', ')}`,
      )
    } else if (!standing) {
      replaced = inPlace[0]
      plan.ops.push({ op: replaced ? 'replace' : 'add', route: gateway, why: 'ovnGateway' })
    }
    const stay = defaults.filter(
      (route) =>
        isPlainDefault(route) &&
        !leaving.includes(route) &&
        !copies.includes(route) &&
        !(standing ? isGateway(route, gateway) : inPlace.includes(route)),
    )
    for (const route of stay) {
      const first = route.priority < gateway.priority ? ', which goes before that of ovnGateway' : ''
      plan.warnings.push(`the pod keeps another default route${first}: ${routeText(route)}`)
    }
  }

  if (disposition === 'demote') planDemotion(ifname, defaults.filter(isPlainDefault), gateway, snapshot, plan)
  for (const route of leaving) {
    const problem = lossProblem(route, ifname)
    if (problem !== undefined) plan.problems.push(problem)
    else if (route !== replaced) plan.ops.push({ op: 'del', route, why: 'defaultRoute' })
  }
  plan.ops.push(...spent.map((route): RouteOp => ({ op: 'del', route, why: 'ovnGateway' })))
}

/**
 * The defaults of the NIC get a metric that lets Calico attach after it: its ADD fails where a default of its own
 * metric is. That is for as long as Calico's NIC is not there. Once it is, with our routes and without its default,
 * what was demoted is restored.
 * @see https://github.com/projectcalico/calico/issues/5199
 */
function planDemotion(
  ifname: string,
  defaults: readonly Route[],
  gateway: Route | undefined,
  { routes }: Snapshot,
  plan: { ops: RouteOp[]; problems: string[] },
): void {
  const here = defaults.filter((route) => devicesOf(route).includes(ifname) && !(gateway && isGateway(route, gateway)))
  const withDefault = new Set(routes.filter(isPlainDefault).flatMap(devicesOf))
  const attached = routes.some(
    ({ protocol, dev = ifname }) => protocol === PROTOCOL && dev !== ifname && !withDefault.has(dev),
  )
  if (attached) {
    for (const route of here.filter(isDemoted)) plan.ops.push(...swap(route, restored(route), defaults, 'defaultRoute'))
    return
  }
  for (const route of here) {
    if (isDemoted(route) || route.protocol === RESTORED_PROTOCOL) continue
    const copy = demoted(route, defaults)
    const problem =
      lossProblem(route, ifname) ??
      (copy
        ? undefined
        : `defaultRoute: the metric of ${routeText(route)} is too large to be demoted; ${keepAdvice(route)}`)
    // Of several in one place the kernel takes the first.
    const idle = here.findIndex((other) => samePlace(other, route)) < here.indexOf(route)
    if (problem !== undefined) plan.problems.push(problem)
    else if (idle) plan.ops.push({ op: 'del', route, why: 'defaultRoute' })
    else plan.ops.push(...swap(route, copy, defaults, 'defaultRoute'))
  }
}

/**
 * Puts `other` in the place of `route`, first the one, then off with the other; nothing if the place of `other` is
 * another NIC's.
 */
function swap(route: Route, other: Route | undefined, defaults: readonly Route[], why: string): RouteOp[] {
  const holder = other && defaults.find((present) => samePlace(present, other))
  if (!other || (holder && holder.dev !== other.dev)) return []
  // A copy gives way to that of a default which came later; what came back in the original's place is newer than its copy.
  const op = holder === undefined ? 'add' : isDemoted(other) && !sameWay(holder, other) ? 'replace' : undefined
  return [...(op === undefined ? [] : [{ op, route: other, why } as const]), { op: 'del', route, why }]
}

/** The default route that `ovnGateway` asks for; undefined if it asks for none of this family; or the problem. */
function gatewayOf(
  { ask, either, named, dev, priority, onlink }: Gateway,
  family: Family,
  ifname: string,
  defaults: readonly Route[],
  reported: string | undefined,
  snapshot: Snapshot,
): Route | string | undefined {
  const wanted = ask[family]
  if (wanted === undefined) return undefined
  const key = named ? `ovnGateway.ipv${family}` : 'ovnGateway'
  const device = dev ?? ifname
  const link = snapshot.links.find((candidate) => candidate.ifname === device)
  if (dev !== undefined && !link)
    return `ovnGateway.dev: the pod has no interface ${dev}; it has ${snapshot.links.map((one) => one.ifname).join(', ')}`
  if (dev !== undefined && !link?.up)
    return `ovnGateway.dev: interface ${dev} is down; the plugin that made it must set it up`
  const made = (gw: string): Route => ({
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
  })
  const at = (route: Route): Route => {
    const wished = priority === undefined ? route.priority : priority || DEFAULT_PRIORITY[family]
    return wished === route.priority ? route : { ...route, priority: wished, protocol: GATEWAY_PROTOCOL }
  }
  const reachable = (gw: string) => onlink || isOnLink(gw, device, snapshot)
  const refusal = (gw: string) =>
    `${key}: ${gw} is not on-link on ${device}; give the gateway of the subnet of ${device}, name another NIC with "dev", or add "onlink": true`

  if (wanted !== 'auto') return reachable(wanted.address) ? made(wanted.address) : refusal(wanted.address)

  const byMetric = defaults.filter(isPlainDefault).sort((a, b) => a.priority - b.priority)
  const fits = (route: Route) => route.dev !== undefined && (dev === undefined || route.dev === dev)
  // Restored before, and nobody is demoting it again.
  const back = byMetric.find(
    (route) =>
      route.protocol === RESTORED_PROTOCOL &&
      fits(route) &&
      !byMetric.some((other) => isDemoted(other) && other.dev === route.dev && other.gw === route.gw),
  )
  if (back) return back
  // Where the NIC has got another default in its place since, that one counts.
  const superseded = (route: Route) =>
    byMetric.some((other) => other.dev === route.dev && samePlace(other, restored(route)))
  const parked = byMetric.find((route) => isDemoted(route) && fits(route) && !superseded(route))
  if (parked) return at(restored(parked))
  if (reported !== undefined && device === ifname) {
    // Where the subnet is also on the underlay (kube-ovn's u2o), the kernel's gateway is not the reported one, and it
    // is right.
    const standing = byMetric.find((route) => route.dev === ifname && route.gw !== undefined && !isDemoted(route))
    if (standing) return at(standing)
    return reachable(reported) ? made(reported) : refusal(reported)
  }
  const standing = byMetric.find((route) => fits(route) && route.dev !== ifname && !isDemoted(route))
  if (standing) return standing // another NIC's own, and right as it is
  return either ? undefined : noGateway(ifname, { ask: { [family]: 'auto' }, ...(dev === undefined ? {} : { dev }) })
}

function noGateway(ifname: string, { ask, dev }: Pick<Gateway, 'ask' | 'dev'>): string {
  const families = Object.keys(ask)
    .map((family) => `IPv${family}`)
    .join(' or ')
  const where =
    dev === undefined
      ? `no other NIC has a default route, and the plugin before reported no gateway for ${ifname}`
      : `there is no default route on ${dev}`
  return `ovnGateway: no ${families} gateway is known: ${where}; write its address, such as "10.0.1.1"`
}

/** True if `route` is the default asked for, whoever made it. */
function isGateway(route: Route, gateway: Route): boolean {
  return samePlace(route, gateway) && route.dev === gateway.dev && route.gw === gateway.gw
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

/** Why a default route of the NIC cannot be taken away: it could not be put back, or not be taken apart. */
function lossProblem(route: Route, ifname: string): string | undefined {
  const others = devicesOf(route).filter((dev) => dev !== ifname)
  if (others.length > 0) {
    return `defaultRoute: ${route.dst} is one multipath route over ${ifname} and ${others.join(', ')}; ${keepAdvice(route)}`
  }
  if (route.opaque !== undefined) {
    return `defaultRoute: ${routeText(route)} has an attribute (${route.opaque}) that could not be restored; ${keepAdvice(route)}`
  }
  return undefined
}

function keepAdvice({ family }: Route): string {
  return `set "defaultRoute": {"ipv${family}": "keep"} to leave it`
}

/**
 * What DEL does to default routes: those made for the NIC go. What was demoted on it is restored. What `ovnGateway`
 * had restored on another NIC is demoted again, as ADD found it: the pod keeps its default, and Calico can come back.
 */
export function planDefaultsDel(gateway: Gateway | undefined, ifname: string, snapshot: Snapshot): RouteOp[] {
  const defaults = snapshot.routes.filter(isMainDefault)
  return defaults.flatMap((route): RouteOp[] => {
    const here = route.dev === ifname
    if (route.protocol === GATEWAY_PROTOCOL) {
      const ours = here || (gateway !== undefined && route.dev === gateway.dev)
      return ours ? [{ op: 'del', route, why: 'DEL' }] : []
    }
    if (isDemoted(route) && here) return swap(route, restored(route), defaults, 'DEL')
    if (route.protocol === RESTORED_PROTOCOL && !here && gateway !== undefined) {
      return swap(route, demoted(route, defaults), defaults, 'DEL')
    }
    return []
  })
}
