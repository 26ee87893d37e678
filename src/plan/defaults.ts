import type { Config, Disposition } from '../config/config.ts'
import type { Family } from '../net/address.ts'
import { routeText } from '../net/iproute2.ts'
import {
  demoted,
  devicesOf,
  GATEWAY_PROTOCOL,
  isDemoted,
  isMainDefault,
  isPlainDefault,
  type Origin,
  PROTOCOL,
  partOf,
  RESTORED_PROTOCOL,
  type Route,
  type RouteOp,
  restored,
  type Snapshot,
  sameEffect,
  sameNextHop,
  samePlace,
  sharingPlace,
  soleDevice,
  UNKNOWN_PROTOCOL,
} from '../net/route.ts'
import { type Fate, type Fated, isMadeByUs, opsOf, replaced, restoration, STAYS } from './fate.ts'
import { type GatewayAddresses, noGateway, staleCopies, wantedDefaults } from './gateway.ts'
import { isSkipped } from './present-families.ts'
import type { Problem } from './problem.ts'

/** What becomes of the pod's default routes. */
export interface DefaultsPlan {
  readonly ops: readonly RouteOp[]
  /** The default routes that `ovnGateway` wants, on any NIC. */
  readonly gateways: readonly Route[]
  readonly problems: readonly Problem[]
  /** Other default routes that the pod keeps: an operator who wants one gateway should know. */
  readonly warnings: readonly string[]
  /** The families of which `missingFamily` leaves the gateway out. */
  readonly skipped: readonly Family[]
}

const FAMILIES = [4, 6] as const
const DEFAULT_ROUTE: Origin = { key: 'defaultRoute', path: 'defaultRoute' }
const OVN_GATEWAY: Origin = { key: 'ovnGateway', path: 'ovnGateway' }

/** What becomes of a default route, or why it cannot be decided. */
type Verdict = Fate | { readonly is: 'refused'; readonly problem: Problem }

const refused = (at: string, says: string): Verdict => ({ is: 'refused', problem: { at, says } })

/**
 * Decides on the default routes of the main table: `ovnGateway` on the one that the pod gets, `defaultRoute` on those
 * of this NIC. Each default route has one fate, and the operations follow from the fates.
 */
export function planDefaults(
  config: Config,
  ifname: string,
  snapshot: Snapshot,
  reported: GatewayAddresses,
): DefaultsPlan {
  const all = snapshot.routes.filter(isMainDefault)
  const plan = {
    ops: [] as RouteOp[],
    gateways: [] as Route[],
    problems: [] as Problem[],
    warnings: [] as string[],
    skipped: [] as Family[],
  }
  if (all.length === 0 && !config.gateway) return plan
  if (snapshot.tooManyDefaults) return { ...plan, problems: [TOO_MANY] }
  for (const family of FAMILIES) {
    const defaults = all.filter((route) => route.family === family)
    const { ops, gateways, problems, warnings, skipped } = planFamily(
      config,
      { family, ifname, snapshot, defaults },
      reported[family],
    )
    plan.ops.push(...ops)
    plan.gateways.push(...gateways)
    plan.problems.push(...problems)
    plan.warnings.push(...warnings)
    plan.skipped.push(...skipped)
  }
  if (config.gateway?.either && plan.gateways.length === 0 && plan.problems.length === 0)
    plan.problems.push(noGateway(ifname, config.gateway))
  return plan
}

const TOO_MANY: Problem = {
  at: 'defaultRoute',
  says: 'the pod has too many default routes; somebody with CAP_NET_ADMIN in it made them and must remove them',
}

/** The pod's default routes of one family, and the NIC of the call. */
interface PodDefaults {
  readonly family: Family
  readonly ifname: string
  readonly snapshot: Snapshot
  readonly defaults: readonly Route[]
}

const NOTHING: DefaultsPlan = { ops: [], gateways: [], problems: [], warnings: [], skipped: [] }

function planFamily(config: Config, pod: PodDefaults, reported: string | undefined): DefaultsPlan {
  const { family, defaults, snapshot } = pod
  const disposition = config.defaultRoute[family]
  const attached = disposition === 'demote' && isCalicoAttached(pod)
  const own = disposition === 'remove' ? 'are removed' : disposition === 'demote' && !attached ? 'are demoted' : 'stay'
  const skips = (dev: string) => isSkipped(config, family, dev, snapshot)
  const wanted = config.gateway
    ? wantedDefaults(config.gateway, { ...pod, reported, own, isSkipped: skips })
    : { routes: [] }
  if ('problem' in wanted) return { ...NOTHING, problems: [wanted.problem] }
  const gateways = wanted.routes
  const skipped = wanted.isSkipped ? [family] : []
  if (defaults.length === 0 && gateways.length === 0) return { ...NOTHING, skipped }

  const fateOf = fatesOf(disposition, gateways, { ...pod, attached })
  const problems: Problem[] = []
  const fated: Fated[] = []
  for (const route of defaults) {
    const verdict = fateOf(route)
    if (verdict.is === 'refused') problems.push(verdict.problem)
    fated.push({ route, fate: verdict.is === 'refused' ? STAYS : verdict })
  }
  if (gateways.length === 0) return { ...NOTHING, ops: opsOf(fated, []), problems, skipped }
  const staying = fated.flatMap(({ route, fate }) => (fate.is === 'stays' ? route : []))
  problems.push(...rivals(gateways, staying))
  const made = gateways
    .filter((route) => !staying.some((other) => isSameDefault(other, route)))
    .map((route) => ({ route, origin: OVN_GATEWAY }))
  const warnings = remainingWarnings(gateways, staying, pod.ifname)
  return { ops: opsOf(fated, made), gateways, problems, warnings, skipped }
}

/** True if a default route is the wanted one, whoever made it. */
export function isSameDefault(route: Route, wanted: Route): boolean {
  return samePlace(route, wanted) && sameNextHop(route, wanted)
}

/** True if `route` is the demoted copy of `wanted`. */
function isCopyOf(route: Route, wanted: Route): boolean {
  return isDemoted(route) && sameEffect(route, wanted) && samePlace(restored(route), wanted)
}

/** Decides each default route's fate: by `ovnGateway` first, which wants `gateways`, then by `defaultRoute`. */
function fatesOf(
  disposition: Disposition,
  gateways: readonly Route[],
  pod: PodDefaults & { readonly attached: boolean },
): (route: Route) => Verdict {
  const { ifname } = pod
  const demote = disposition === 'demote' ? fatesByDemotion(gateways, pod) : undefined
  const byGateway = gateways.length > 0 ? fatesByGateway(gateways, pod) : undefined
  return (route) => {
    const fate = byGateway?.(route)
    if (fate) return fate
    if (disposition === 'keep' || !devicesOf(route).includes(ifname)) return STAYS
    return demote ? demote(route) : removal(route, ifname)
  }
}

/** What `ovnGateway` makes of default routes; undefined for those it has nothing to do with. */
function fatesByGateway(gateways: readonly Route[], { defaults }: PodDefaults): (route: Route) => Fate | undefined {
  // If the wanted route has a demoted copy, another copy of the plugin may be demoting it right now, and about to
  // delete it. So it is replaced with one that differs in its protocol, which such a deletion does not match.
  const copied = defaults.some((route) => gateways.some((wanted) => isCopyOf(route, wanted)))
  return (route) => {
    const wanted = gateways.find((one) => isSameDefault(route, one))
    if (wanted) return copied && wanted.protocol !== route.protocol ? replaced(OVN_GATEWAY, wanted) : STAYS
    // If ovnGateway restores a route, its demoted copy goes. If it makes a new one, the copy stays, for DEL to restore.
    const isSpent = gateways.some((one) => one.protocol === RESTORED_PROTOCOL && isCopyOf(route, one))
    const isOld = isMadeByUs(route) && gateways.some((one) => samePlace(one, route))
    return isSpent || isOld ? { is: 'removed', origin: OVN_GATEWAY } : undefined
  }
}

/**
 * Removes a default route from the NIC; of an IPv4 multipath route over several NICs, only the next hops on this one.
 * That is one write, and the kernel cannot make it depend on what is there: two copies of the plugin that split such a
 * route at the same moment may each restore the other's part. CHECK reports that, and another ADD corrects it.
 */
function removal(route: Route, ifname: string): Verdict {
  const problem = lossProblem(route, ifname)
  if (problem) return { is: 'refused', problem }
  if (soleDevice(route) === undefined) return replaced(DEFAULT_ROUTE, partOf(route, 'without', ifname))
  return { is: 'removed', origin: DEFAULT_ROUTE }
}

/**
 * Demotes the default routes of the NIC, so that Calico can attach after it: Calico's ADD fails if there is a default
 * route with its metric. Once Calico's NIC is there (it has our routes and no default route), what was demoted is
 * restored. Newer default routes are then marked as restored, since Calico's NIC may leave and come back.
 * @see https://github.com/projectcalico/calico/issues/5199
 */
function fatesByDemotion(
  gateways: readonly Route[],
  { ifname, defaults, attached }: PodDefaults & { readonly attached: boolean },
): (route: Route) => Verdict {
  const inPlace = sharingPlace(defaults)
  const stale = staleCopies(defaults)
  return (route) => {
    if (!isPlainDefault(route)) return STAYS
    if (stale.has(route)) return { is: 'removed', origin: DEFAULT_ROUTE }
    if (!attached) {
      // One that another chain made for its ovnGateway is not the NIC's own, and that chain would make it again.
      if (isDemoted(route) || route.protocol === RESTORED_PROTOCOL || isMadeByUs(route)) return STAYS
      return demotion(route, ifname, { inPlace, gateways })
    }
    if (!isDemoted(route)) return mark(route, inPlace(route))
    const back = restored(route)
    if (gateways.some((wanted) => samePlace(wanted, back))) return STAYS
    return restoration(back, inPlace(back), 'stays', DEFAULT_ROUTE)
  }
}

/** True if another NIC has routes of ours and no default route: Calico's NIC, whose default route was removed. */
function isCalicoAttached({ ifname, snapshot: { routes } }: PodDefaults): boolean {
  const withDefault = new Set(routes.filter(isPlainDefault).flatMap(devicesOf))
  return routes.some(({ protocol, dev = ifname }) => protocol === PROTOCOL && dev !== ifname && !withDefault.has(dev))
}

/** Replaces a default route with its demoted copy. */
function demotion(
  route: Route,
  ifname: string,
  { inPlace, gateways }: { inPlace: (route: Route) => readonly Route[]; gateways: readonly Route[] },
): Verdict {
  const problem = lossProblem(route, ifname)
  if (problem) return { is: 'refused', problem }
  // Of several IPv4 routes in a place `replace` replaces the first; of IPv6 routes, all.
  const first = inPlace(route).find((other) => devicesOf(other).includes(ifname))
  if (route.family === 4 && first !== route) return { is: 'removed', origin: DEFAULT_ROUTE }
  // To DEL, the other one would look newer than the copy, as if it had been made in place of this route since.
  const isWanted = (other: Route) => gateways.some((wanted) => isSameDefault(other, wanted))
  if (inPlace(route).some((other) => soleDevice(other) === ifname && !isMadeByUs(other) && isWanted(other)))
    return refused(
      'defaultRoute',
      `cannot demote one of two default routes with metric ${route.priority} while ovnGateway wants the other: ${routeText(route)}; write {"ipv${route.family}": "remove"}`,
    )
  const shared = soleDevice(route) === undefined
  const copy = demoted(shared ? partOf(route, 'only', ifname) : route, inPlace)
  if (!copy)
    return refused(
      'defaultRoute',
      `metric ${route.priority} is too large to demote: ${routeText(route)}; ${keepAdvice(route)}`,
    )
  return replaced(DEFAULT_ROUTE, copy, ...(shared ? [partOf(route, 'without', ifname)] : []))
}

/**
 * Marks a default route that was never demoted, so that it is demoted when Calico's NIC leaves. This must be a single
 * write: so not if the route shares its place with others, could not be restored, or expires.
 */
function mark(route: Route, inPlace: readonly Route[]): Fate {
  const { family, protocol, opaque, expires } = route
  const marked = [RESTORED_PROTOCOL, GATEWAY_PROTOCOL, UNKNOWN_PROTOCOL].includes(protocol)
  const alone = soleDevice(route) !== undefined && inPlace[0] === route && (family === 4 || inPlace.length === 1)
  if (marked || !alone || opaque !== undefined || expires !== undefined) return STAYS
  return replaced(DEFAULT_ROUTE, { ...route, protocol: RESTORED_PROTOCOL })
}

/** Default routes that stay, and that packets would take instead of, or besides, the wanted one. */
function rivals(gateways: readonly Route[], staying: readonly Route[]): Problem[] {
  const [gateway] = gateways
  if (!gateway) return []
  const inPlace = staying.filter((route) => samePlace(route, gateway))
  const standing = inPlace.findIndex((route) => gateways.some((wanted) => isSameDefault(route, wanted)))
  // One that came after ours is a matter for whoever added it.
  const foreign = inPlace.find((_, i) => standing < 0 || i < standing)
  if (!foreign) return []
  const from = devicesOf(foreign).join(', ')
  const says = `the pod has another default route with the same metric: ${routeText(foreign)}; remove it by x-calico-route in the network of ${from}, which v1.multus-cni.io/default-network must name if it is the pod's first`
  return [{ at: 'ovnGateway', says }]
}

/** Warnings of default routes that stay beside the wanted one. */
function remainingWarnings(gateways: readonly Route[], staying: readonly Route[], ifname: string): string[] {
  const [gateway] = gateways
  if (!gateway) return []
  // Demoted routes of this NIC, and the demoted copy of the wanted route, have a higher metric because we gave it to
  // them.
  const isOurs = (route: Route) =>
    isDemoted(route) && (soleDevice(route) === ifname || gateways.some((wanted) => sameEffect(route, wanted)))
  const others = staying.filter(
    (route) => isPlainDefault(route) && !isOurs(route) && !gateways.some((wanted) => isSameDefault(route, wanted)),
  )
  return others.map((route) => {
    const first = route.priority < gateway.priority ? ', with a lower metric than the one of ovnGateway' : ''
    // Routes that expire, such as those from router advertisements, never become next hops of a multipath route.
    const joined = route.family === 6 && route.expires === undefined && samePlace(route, gateway)
    const both = joined ? ', which shares packets with the one of ovnGateway' : ''
    return `the pod keeps another default route${first}${both}: ${routeText(route)}`
  })
}

/** Why a default route of the NIC cannot be removed: it could not be restored, or cannot be split. */
function lossProblem(route: Route, ifname: string): Problem | undefined {
  const others = devicesOf(route).filter((dev) => dev !== ifname)
  if (others.length > 0 && route.nhid !== undefined) {
    // Whoever made the nexthop object changes it as a whole, and a route with part of it would not follow.
    const says = `nexthop object ${route.nhid} cannot be split: ${route.dst} uses it over ${ifname} and ${others.join(', ')}; ${keepAdvice(route)}`
    return { at: 'defaultRoute', says }
  }
  if (route.opaque === undefined) return undefined
  const says = `"${route.opaque}" could not be restored: ${routeText(route)}; ${keepAdvice(route)}`
  return { at: 'defaultRoute', says }
}

function keepAdvice({ family }: Route): string {
  return `write "defaultRoute": {"ipv${family}": "keep"} to keep it`
}
