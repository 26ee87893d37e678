import type { Config, ConfiguredRoute } from './config.ts'
import { CniError, Code } from './errors.ts'
import { routeText } from './iproute2.ts'
import type { AppliedRoute } from './result.ts'
import {
  devicesOf,
  isMainDefault,
  PROTOCOL,
  type Route,
  type RouteOp,
  Scope,
  type Snapshot,
  samePlace,
  sameRoute,
  sameWay,
  UNICAST,
} from './route.ts'

/** What ADD does to a pod. An empty `ops` means that the pod is as configured. */
export interface Plan {
  readonly ops: readonly RouteOp[]
  /** Every configured route as it will be in the kernel, in configuration order. */
  readonly routes: readonly AppliedRoute[]
}

/** How packets leave a NIC for elsewhere: through a gateway, or (no `gw`) on-link. */
export interface Hop {
  readonly gw?: string | undefined
  readonly onlink?: boolean | undefined
}

/**
 * What makes the routes of a pod those of the configuration: additions before deletions, so that at no moment a route is
 * missing that was there before and is wanted after.
 * @param hints next hops known from elsewhere (CHECK: from prevResult), by destination; they go before what our own routes show
 * @throws CniError 4 or 7 when the configuration cannot be carried out in this pod
 */
export function planAdd(
  config: Config,
  ifname: string,
  snapshot: Snapshot,
  hints: ReadonlyMap<string, Hop> = new Map(),
): Plan {
  const nic = snapshot.links.find((link) => link.ifname === ifname)
  if (!nic)
    throw new CniError(
      Code.invalidEnvironment,
      `CNI_IFNAME: the pod has no interface ${ifname}; it has ${nicNames(snapshot)}`,
    )

  const present = byDestination(snapshot.routes, new Set(config.routes.map((route) => route.dst)))
  const learn = nextHops(config, snapshot, hints)
  const routes = config.routes.map((configured) => {
    const route = resolve(configured, ifname, learn)
    checkPossible(configured, route, snapshot, present.get(route.dst) ?? [])
    return { configured, route }
  })
  const additions = routes.flatMap(({ configured: { key }, route }): RouteOp[] => {
    const old = present.get(route.dst)?.find((other) => samePlace(other, route))
    if (!old) return [{ op: 'add', route, why: key }]
    if (sameWay(old, route)) return [] // also when another plugin made it: then it stays that plugin's
    return [{ op: 'replace', route, why: key }]
  })
  return { ops: [...additions, ...removals(config, ifname, snapshot)], routes }
}

/**
 * What takes our routes off a NIC: those on it, and those this configuration put on another with `dev`.
 * @param routes the configured routes; asked for only if the pod has routes of ours on another NIC
 */
export function planDel(routes: () => readonly ConfiguredRoute[], ifname: string, snapshot: Snapshot): RouteOp[] {
  const [here, elsewhere] = [[] as Route[], [] as Route[]]
  for (const route of snapshot.routes) {
    if (route.protocol === PROTOCOL) (devicesOf(route).includes(ifname) ? here : elsewhere).push(route)
  }
  if (elsewhere.length > 0) {
    const configured = routes().filter(({ dev }) => dev !== undefined)
    here.push(
      ...elsewhere.filter((route) =>
        configured.some((one) => one.dev === route.dev && placeOf(one) === placeOf(route)),
      ),
    )
  }
  return here.map((route) => ({ op: 'del', route, why: 'DEL' }))
}

/**
 * What brings the routes that `ops` touched back to what `before` shows, given that the pod is now as `now` shows. Nothing
 * else is looked at: what others changed meanwhile stays.
 */
export function planRestore(before: Snapshot, now: Snapshot, ops: readonly RouteOp[]): RouteOp[] {
  const touched = (route: Route) => ops.some((op) => samePlace(op.route, route))
  const there = (snapshot: Snapshot, route: Route) => snapshot.routes.some((other) => sameRoute(other, route))
  // With an interface the kernel takes its routes away, for good.
  const possible = (route: Route) => devicesOf(route).every((dev) => now.links.some((link) => link.ifname === dev))
  const lost = before.routes.filter((route) => touched(route) && possible(route) && !there(now, route))
  const surplus = now.routes.filter((route) => route.protocol === PROTOCOL && touched(route) && !there(before, route))
  // Deletions first: a lost route may need the place that one of ours has taken. Additions in the order of the kernel's
  // dump reversed, since there a gateway route comes before the link route it resolves through.
  return [
    ...surplus.map((route): RouteOp => ({ op: 'del', route, why: 'rollback' })),
    ...lost.reverse().map((route): RouteOp => ({ op: 'add', route, why: 'rollback' })),
  ]
}

/** The effects of `ops` that `now` does not show, each as a sentence. */
export function unmet(ops: readonly RouteOp[], now: readonly Route[]): string[] {
  const present = byDestination(now, new Set(ops.map(({ route }) => route.dst)))
  return ops.flatMap(({ op, route, why }) => {
    const there = present.get(route.dst)?.some((other) => sameRoute(other, route))
    switch (op) {
      case 'add':
      case 'replace':
        return there ? [] : [`${why}: no route ${routeText(route)}`]
      case 'del':
        return there ? [`${why}: still there: ${routeText(route)}`] : []
      default:
        throw op satisfies never
    }
  })
}

/** A configured route with everything filled in that the kernel knows. */
function resolve(
  configured: ConfiguredRoute,
  ifname: string,
  learn: (configured: ConfiguredRoute, dev: string) => Hop,
): Route {
  const { family, dst, dev = ifname, table, priority, scope, src, mtu, advmss } = configured
  const hop = isExplicit(configured) ? configured : learn(configured, dev)
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

/** True if the entry itself says where its route leads. */
function isExplicit({ gw, scope }: ConfiguredRoute): boolean {
  return gw !== undefined || scope === Scope.link
}

/**
 * Finds the next hop that a NIC itself has, as far as the kernel still shows it: its default route; on a repeated ADD, when
 * that is gone, our own routes, except those whose entry said where they lead; else Calico's link route.
 */
function nextHops(
  config: Config,
  snapshot: Snapshot,
  hints: ReadonlyMap<string, Hop>,
): (configured: ConfiguredRoute, dev: string) => Hop {
  const explicit = new Set(config.routes.filter(isExplicit).map(placeOf))
  const unicast = snapshot.routes.filter((route) => route.type === UNICAST)
  const defaults = unicast.filter(isMainDefault).sort((a, b) => a.priority - b.priority)
  const ours = unicast.filter((route) => route.protocol === PROTOCOL && !explicit.has(placeOf(route)))
  const oursByPlace = new Map(ours.map((route) => [placeOf(route), route]))

  return (configured, dev) => {
    const { key, family, dst } = configured
    const onNic = (route: Route) => route.family === family && route.dev === dev
    const standing = defaults.find((route) => route.family === family && devicesOf(route).includes(dev))
    if (standing) return standing.nexthops?.find((hop) => hop.dev === dev) ?? standing
    const hop = hints.get(dst) ?? oursByPlace.get(placeOf(configured)) ?? ours.find(onNic)
    if (hop) return hop
    if (unicast.some((route) => onNic(route) && route.dst === `${CALICO_GATEWAY}/32`)) return { gw: CALICO_GATEWAY }
    throw new CniError(
      Code.invalidConfig,
      `${key}: no IPv${family} next hop is known on ${dev}, which has no IPv${family} default route; add "gw" or "scope": "link"`,
    )
  }
}

/** @see https://docs.tigera.io/calico/latest/reference/faq#why-cant-i-see-the-16925411-address-mentioned-above-on-my-host */
const CALICO_GATEWAY = '169.254.1.1'

/** What the kernel would refuse, or do to another NIC, found before the first write. */
function checkPossible(configured: ConfiguredRoute, route: Route, snapshot: Snapshot, sameDst: readonly Route[]): void {
  const { key } = configured
  const refuse = (where: string, what: string): never => {
    throw new CniError(Code.invalidConfig, `${key}${where}: ${what}`)
  }
  const at = configured.dev === undefined ? '' : '.dev'
  const link = snapshot.links.find((candidate) => candidate.ifname === route.dev)
  if (!link) refuse(at, `the pod has no interface ${route.dev}; it has ${nicNames(snapshot)}`)
  else if (!link.up) refuse(at, `interface ${route.dev} is down; the plugin that made it must set it up`)
  if (route.src !== undefined && !snapshot.links.some(({ addresses }) => addresses.includes(route.src ?? ''))) {
    refuse('.src', `${route.src} is no address of the pod; it has ${addressesOf(snapshot)}`)
  }
  const taken = sameDst.find((other) => samePlace(other, route) && (other.type !== UNICAST || other.dev !== route.dev))
  if (taken)
    refuse(
      '',
      `the pod has another route to ${route.dst} already: ${routeText(taken)}; give this one another "priority"`,
    )
}

function removals(config: Config, ifname: string, snapshot: Snapshot): RouteOp[] {
  const doomed = snapshot.routes.filter(
    (route) =>
      isMainDefault(route) && config.defaultRoute[route.family] === 'remove' && devicesOf(route).includes(ifname),
  )
  return doomed.map((route) => {
    const others = devicesOf(route).filter((dev) => dev !== ifname)
    const keep = `set "defaultRoute": {"ipv${route.family}": "keep"} to leave it`
    if (others.length > 0) {
      throw new CniError(
        Code.invalidConfig,
        `defaultRoute: ${route.dst} is one multipath route over ${ifname} and ${others.join(', ')}; ${keep}`,
      )
    }
    if (route.opaque !== undefined) {
      throw new CniError(
        Code.invalidConfig,
        `defaultRoute: ${routeText(route)} has an attribute (${route.opaque}) that could not be restored; ${keep}`,
      )
    }
    return { op: 'del', route, why: 'defaultRoute' }
  })
}

/** The same for two routes of one family exactly if they compete for one place in the kernel. */
function placeOf({ dst, table, priority }: Pick<Route, 'dst' | 'table' | 'priority'>): string {
  return `${dst} ${table} ${priority}`
}

function byDestination(routes: readonly Route[], wanted: ReadonlySet<string>): Map<string, Route[]> {
  const found = new Map<string, Route[]>()
  for (const route of routes) {
    if (!wanted.has(route.dst)) continue
    const same = found.get(route.dst)
    if (same) same.push(route)
    else found.set(route.dst, [route])
  }
  return found
}

function nicNames(snapshot: Snapshot): string {
  return snapshot.links.map((link) => link.ifname).join(', ') || 'none'
}

function addressesOf(snapshot: Snapshot): string {
  return snapshot.links.flatMap((link) => (link.ifname === 'lo' ? [] : link.addresses)).join(', ') || 'none'
}
