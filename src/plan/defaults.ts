import type { Config, DefaultRoute, Gateway } from '../config/config.ts'
import type { Family } from '../net/address.ts'
import { routeText } from '../net/iproute2.ts'
import {
  BOOT_PROTOCOL,
  demoted,
  devicesOf,
  GATEWAY_PROTOCOL,
  isDemoted,
  isMainDefault,
  isPlainDefault,
  type Origin,
  PROTOCOL,
  partOf,
  placesOf,
  RESTORED_PROTOCOL,
  type Route,
  type RouteOp,
  restored,
  type Snapshot,
  sameHop,
  samePlace,
  sameWay,
  soleDevice,
  UNKNOWN_PROTOCOL,
} from '../net/route.ts'
import { type Fate, type Fated, opsOf } from './fate.ts'
import { askedFor, type Gateways, noGateway, staleCopies } from './gateway.ts'
import type { Problem } from './problem.ts'

/** What becomes of the pod's default routes. */
export interface DefaultsPlan {
  readonly ops: readonly RouteOp[]
  /** The default routes that `ovnGateway` asks for, on whatever NIC. */
  readonly gateways: readonly Route[]
  readonly problems: readonly Problem[]
  /** Other default routes that stay, which an operator who asked for one should know of. */
  readonly warnings: readonly string[]
}

const FAMILIES = [4, 6] as const
const DEFAULT_ROUTE: Origin = { key: 'defaultRoute', path: 'defaultRoute' }
const OVN_GATEWAY: Origin = { key: 'ovnGateway', path: 'ovnGateway' }
const DEL: Origin = { key: 'DEL', path: 'DEL' }

/** What becomes of a default route, or what stands against it. */
type Verdict = Fate | { readonly is: 'refused'; readonly problem: Problem }

const STAYS: Fate = { is: 'stays' }
const becomes = (origin: Origin, ...routes: Route[]): Fate => ({ is: 'becomes', routes, origin })
const refused = (at: string, says: string): Verdict => ({ is: 'refused', problem: { at, says } })

/**
 * Decides on the default routes of the main table: `ovnGateway` on the one the pod is to have, `defaultRoute` on
 * those of this NIC. Each has one fate; the operations follow from these.
 */
export function planDefaults(config: Config, ifname: string, snapshot: Snapshot, reported: Gateways): DefaultsPlan {
  const all = snapshot.routes.filter(isMainDefault)
  const plan = { ops: [] as RouteOp[], gateways: [] as Route[], problems: [] as Problem[], warnings: [] as string[] }
  if (all.length === 0 && !config.gateway) return plan
  if (snapshot.tooManyDefaults) return { ...plan, problems: [TOO_MANY] }
  for (const family of FAMILIES) {
    const defaults = all.filter((route) => route.family === family)
    const { ops, gateways, problems, warnings } = planFamily(
      config,
      { family, ifname, snapshot, defaults },
      reported[family],
    )
    plan.ops.push(...ops)
    plan.gateways.push(...gateways)
    plan.problems.push(...problems)
    plan.warnings.push(...warnings)
  }
  if (config.gateway?.either && plan.gateways.length === 0 && plan.problems.length === 0)
    plan.problems.push(noGateway(ifname, config.gateway))
  return plan
}

const TOO_MANY: Problem = {
  at: 'defaultRoute',
  says: 'the pod has too many default routes; whoever has CAP_NET_ADMIN in it made them, and must remove them',
}

/** The pod's default routes of one family, and the NIC that is worked on. */
interface Defaults {
  readonly family: Family
  readonly ifname: string
  readonly snapshot: Snapshot
  readonly defaults: readonly Route[]
}

function planFamily(config: Config, pod: Defaults, reported: string | undefined): DefaultsPlan {
  const { family, defaults } = pod
  const disposition = config.defaultRoute[family]
  const attached = disposition === 'demote' && isCalicoAttached(pod)
  const own = disposition === 'remove' ? 'leave' : disposition === 'demote' && !attached ? 'are parked' : 'stay'
  const asked = config.gateway ? askedFor(config.gateway, { ...pod, reported, own }) : { routes: [] }
  if ('problem' in asked) return { ops: [], gateways: [], problems: [asked.problem], warnings: [] }
  const gateways = asked.routes
  if (defaults.length === 0 && gateways.length === 0) return { ops: [], gateways, problems: [], warnings: [] }

  const fateOf = fatesOf(disposition, gateways, { ...pod, attached })
  const problems: Problem[] = []
  const fated: Fated[] = []
  for (const route of defaults) {
    const verdict = fateOf(route)
    if (verdict.is === 'refused') problems.push(verdict.problem)
    fated.push({ route, fate: verdict.is === 'refused' ? STAYS : verdict })
  }
  if (gateways.length === 0) return { ops: opsOf(fated, []), gateways, problems, warnings: [] }
  const staying = fated.flatMap(({ route, fate }) => (fate.is === 'stays' ? route : []))
  problems.push(...inTheWay(gateways, staying))
  const made = gateways
    .filter((route) => !staying.some((other) => isOne(other, route)))
    .map((route) => ({ route, origin: OVN_GATEWAY }))
  return { ops: opsOf(fated, made), gateways, problems, warnings: remaining(gateways, staying, pod.ifname) }
}

/** True if a default is the one asked for, whoever made it. */
function isOne(route: Route, asked: Route): boolean {
  return samePlace(route, asked) && sameHop(route, asked)
}

/** True for what we made for `ovnGateway`, as far as the kernel tells. */
function isMade({ protocol, presumed }: Route): boolean {
  return protocol === GATEWAY_PROTOCOL && !presumed
}

/** True if `route` is what demotion makes of `asked`. */
function isCopyOf(route: Route, asked: Route): boolean {
  return isDemoted(route) && sameWay(route, asked) && samePlace(restored(route), asked)
}

/** What becomes of each default by `ovnGateway`, whose answer `gateways` is, and by `defaultRoute`. */
function fatesOf(
  disposition: DefaultRoute,
  gateways: readonly Route[],
  pod: Defaults & { readonly attached: boolean },
): (route: Route) => Verdict {
  const { ifname } = pod
  const demote = disposition === 'demote' ? demotion(gateways, pod) : undefined
  const byGateway = gateways.length > 0 ? fatesByGateway(gateways, pod) : undefined
  return (route) => {
    const fate = byGateway?.(route)
    if (fate) return fate
    if (disposition === 'keep' || !devicesOf(route).includes(ifname)) return STAYS
    return demote ? demote(route) : removal(route, ifname)
  }
}

/** What becomes of the defaults that `ovnGateway` has to do with. */
function fatesByGateway(gateways: readonly Route[], { defaults }: Defaults): (route: Route) => Fate | undefined {
  // If there is a demoted copy as well, another copy of the plugin may just be demoting it, and delete it next: then it
  // becomes one that looks the same but for its protocol.
  const copied = defaults.some((route) => gateways.some((asked) => isCopyOf(route, asked)))
  return (route) => {
    const asked = gateways.find((one) => isOne(route, one))
    if (asked) return copied && asked.protocol !== route.protocol ? becomes(OVN_GATEWAY, asked) : STAYS
    // What ovnGateway restores takes the place of its demoted copy. What it makes does not: DEL takes that away, and gives
    // the demoted one back.
    const isSpent = gateways.some((one) => one.protocol === RESTORED_PROTOCOL && isCopyOf(route, one))
    const isOld = isMade(route) && gateways.some((one) => samePlace(one, route))
    return isSpent || isOld ? { is: 'goes', origin: OVN_GATEWAY } : undefined
  }
}

/**
 * Takes a default off the NIC; of an IPv4 multipath route over several, what is of the NIC. That is one write. It knows of no
 * condition, so that two copies of the plugin that take such a route apart at the same moment can bring back each
 * other's part: CHECK tells, and a repeated ADD mends it.
 */
function removal(route: Route, ifname: string): Verdict {
  const problem = lossProblem(route, ifname)
  if (problem) return { is: 'refused', problem }
  if (soleDevice(route) === undefined) return becomes(DEFAULT_ROUTE, partOf(route, 'without', ifname))
  return { is: 'goes', origin: DEFAULT_ROUTE }
}

/**
 * The defaults of the NIC get a metric that lets Calico attach after it: its ADD fails where a default of its own
 * metric is. That is for as long as Calico's NIC is not there. Once it is, with our routes and without its default,
 * what was demoted is restored, and what came since is marked as restored: Calico's NIC may leave and come back.
 * @see https://github.com/projectcalico/calico/issues/5199
 */
function demotion(
  gateways: readonly Route[],
  { ifname, defaults, attached }: Defaults & { readonly attached: boolean },
): (route: Route) => Verdict {
  const inPlace = placesOf(defaults)
  const stale = staleCopies(defaults)
  return (route) => {
    if (!isPlainDefault(route)) return STAYS
    if (stale.has(route)) return { is: 'goes', origin: DEFAULT_ROUTE }
    if (!attached) {
      if (isDemoted(route) || route.protocol === RESTORED_PROTOCOL) return STAYS
      return parking(route, ifname, inPlace)
    }
    if (!isDemoted(route)) return mark(route, inPlace(route))
    const back = restored(route)
    if (gateways.some((asked) => samePlace(asked, back))) return STAYS
    return restoration(back, inPlace(back), 'parked', DEFAULT_ROUTE)
  }
}

/** True where another NIC has routes of ours, and no default: Calico's, whose default was taken away. */
function isCalicoAttached({ ifname, snapshot: { routes } }: Defaults): boolean {
  const withDefault = new Set(routes.filter(isPlainDefault).flatMap(devicesOf))
  return routes.some(({ protocol, dev = ifname }) => protocol === PROTOCOL && dev !== ifname && !withDefault.has(dev))
}

/** A default gets its demoted copy. */
function parking(route: Route, ifname: string, inPlace: (route: Route) => readonly Route[]): Verdict {
  const problem = lossProblem(route, ifname)
  if (problem) return { is: 'refused', problem }
  // Of several in one place the kernel takes the first; of IPv6 it takes all.
  const first = inPlace(route).find((other) => devicesOf(other).includes(ifname))
  if (route.family === 4 && first !== route) return { is: 'goes', origin: DEFAULT_ROUTE }
  const shared = soleDevice(route) === undefined
  const copy = demoted(shared ? partOf(route, 'only', ifname) : route, inPlace)
  if (!copy)
    return refused(
      'defaultRoute',
      `metric ${route.priority} is too large to be demoted: ${routeText(route)}; ${keepAdvice(route)}`,
    )
  return becomes(DEFAULT_ROUTE, copy, ...(shared ? [partOf(route, 'without', ifname)] : []))
}

/**
 * A default that nobody demoted, to be demoted when Calico's NIC leaves. That is one write, or none: not of what other next
 * hops share a place with, nor of what could not be put back, or ends by itself.
 */
function mark(route: Route, inPlace: readonly Route[]): Fate {
  const { family, protocol, opaque, expires } = route
  const marked = [RESTORED_PROTOCOL, GATEWAY_PROTOCOL, UNKNOWN_PROTOCOL].includes(protocol)
  const alone = soleDevice(route) !== undefined && inPlace[0] === route && (family === 4 || inPlace.length === 1)
  if (marked || !alone || opaque !== undefined || expires !== undefined) return STAYS
  return becomes(DEFAULT_ROUTE, { ...route, protocol: RESTORED_PROTOCOL })
}

/**
 * A demoted default gets its old place back.
 * @param beside what happens where another NIC has that place now: `parked` it stays, or comes `behind` (IPv4) or beside (IPv6)
 */
function restoration(back: Route, holders: readonly Route[], beside: 'parked' | 'behind', origin: Origin): Fate {
  if (holders.some((holder) => sameHop(holder, back))) return { is: 'goes', origin }
  const taken = holders.some((holder) => soleDevice(holder) !== soleDevice(back))
  return taken && beside === 'parked' ? STAYS : becomes(origin, back)
}

/** Defaults that nobody takes away and that packets would take before, or beside, the one asked for. */
function inTheWay(gateways: readonly Route[], staying: readonly Route[]): Problem[] {
  const [gateway] = gateways
  if (!gateway) return []
  const inPlace = staying.filter((route) => samePlace(route, gateway))
  const standing = inPlace.findIndex((route) => gateways.some((asked) => isOne(route, asked)))
  // One that came later is the business of whoever brought it.
  const foreign = inPlace.find((_, i) => standing < 0 || i < standing)
  if (!foreign) return []
  const from = devicesOf(foreign).join(', ')
  const says = `the pod has another default route with the same metric: ${routeText(foreign)}; take it away with "defaultRoute" in the network of ${from}`
  return [{ at: 'ovnGateway', says }]
}

/** What to say of the defaults that stay beside the one asked for. */
function remaining(gateways: readonly Route[], staying: readonly Route[], ifname: string): string[] {
  const [gateway] = gateways
  if (!gateway) return []
  // What is demoted on the NIC itself, and the copy of the one asked for, go behind all others by our own doing.
  const isOurs = (route: Route) =>
    isDemoted(route) && (soleDevice(route) === ifname || gateways.some((asked) => sameWay(route, asked)))
  const others = staying.filter(
    (route) => isPlainDefault(route) && !isOurs(route) && !gateways.some((asked) => isOne(route, asked)),
  )
  return others.map((route) => {
    const first = route.priority < gateway.priority ? ', which goes before that of ovnGateway' : ''
    // Routes that end by themselves, as from a router advertisement, are no next hops of one multipath route.
    const joined = route.family === 6 && route.expires === undefined && samePlace(route, gateway)
    const both = joined ? ', which takes packets beside that of ovnGateway' : ''
    return `the pod keeps another default route${first}${both}: ${routeText(route)}`
  })
}

/** Why a default route of the NIC cannot be taken away: it could not be put back, or not be taken apart. */
function lossProblem(route: Route, ifname: string): Problem | undefined {
  const others = devicesOf(route).filter((dev) => dev !== ifname)
  if (others.length > 0 && route.nhid !== undefined) {
    // Whoever made the nexthop object changes it as a whole, and a route of its parts would not follow.
    const says = `nexthop object ${route.nhid} cannot be taken apart: ${route.dst} goes by it over ${ifname} and ${others.join(', ')}; ${keepAdvice(route)}`
    return { at: 'defaultRoute', says }
  }
  if (route.opaque === undefined) return undefined
  const says = `a route has "${route.opaque}", which could not be restored: ${routeText(route)}; ${keepAdvice(route)}`
  return { at: 'defaultRoute', says }
}

function keepAdvice({ family }: Route): string {
  return `set "defaultRoute": {"ipv${family}": "keep"} to leave it`
}

/**
 * What DEL does to default routes: those made for the NIC go. What was demoted on it is restored. What `ovnGateway`
 * had restored on another NIC is demoted again, as ADD found it: the pod keeps its default, and Calico can come back.
 */
export function planDefaultsDel(gateway: Gateway | undefined, ifname: string, snapshot: Snapshot): RouteOp[] {
  if (snapshot.tooManyDefaults) return []
  const all = snapshot.routes.filter(isMainDefault)
  return FAMILIES.flatMap((family) => {
    const defaults = all.filter((route) => route.family === family)
    if (defaults.length === 0) return []
    const fateOf = fatesByDel(gateway, ifname, defaults)
    return opsOf(
      defaults.map((route) => ({ route, fate: fateOf(route) })),
      [],
    )
  })
}

function fatesByDel(gateway: Gateway | undefined, ifname: string, defaults: readonly Route[]): (route: Route) => Fate {
  const inPlace = placesOf(defaults)
  const stale = staleCopies(defaults)
  const isOurs = (route: Route) => isMade(route) && isMadeFor(route, gateway, ifname, defaults)
  const isBack = (route: Route) => route.protocol === RESTORED_PROTOCOL && soleDevice(route) !== ifname
  const parkable = new Set(gateway === undefined ? [] : defaults.filter(isBack).map(soleDevice))
  return (route) => {
    if (isOurs(route)) return { is: 'goes', origin: DEL }
    const device = soleDevice(route)
    if (isDemoted(route)) {
      if (device !== ifname && !parkable.has(device)) return STAYS
      if (stale.has(route)) return { is: 'goes', origin: DEL }
      if (device !== ifname) return STAYS
      const back = ofItsMaker(restored(route))
      const holders = inPlace(back).filter((holder) => !isOurs(holder))
      return restoration(back, holders, 'behind', DEL)
    }
    if (route.protocol !== RESTORED_PROTOCOL) return STAYS
    if (device === ifname) return inPlace(route).length === 1 ? becomes(DEL, ofItsMaker(route)) : STAYS
    const copy = gateway === undefined ? undefined : demoted(route, inPlace)
    return copy ? becomes(DEL, copy) : STAYS
  }
}

/** Nothing of ours is left on it. */
function ofItsMaker(route: Route): Route {
  return { ...route, protocol: BOOT_PROTOCOL }
}

/**
 * True if it is this NIC's configuration that a default was made for: on the NIC, on the one it names, or, with `auto`, where a
 * demoted one was to have another metric.
 */
function isMadeFor(route: Route, gateway: Gateway | undefined, ifname: string, defaults: readonly Route[]): boolean {
  const device = soleDevice(route)
  if (device === ifname || (gateway?.dev !== undefined && device === gateway.dev)) return true
  if (gateway === undefined || gateway.priority !== route.priority || gateway.ask[route.family] !== 'auto') return false
  return defaults.some((copy) => isDemoted(copy) && sameWay(copy, route))
}
