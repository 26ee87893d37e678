import { listed } from '../errors.ts'
import { routeText } from '../net/iproute2.ts'
import {
  byDestination,
  byPlace,
  devicesOf,
  isNextHop6,
  isRuleOp,
  type Op,
  placeOf,
  type Route,
  type RouteOp,
  routeOpsIn,
  type Snapshot,
  sameNextHop,
  sameRoute,
  sharingPlace,
  UNKNOWN_PROTOCOL,
} from '../net/route.ts'
import { type Rule, type RuleOp, ruleText, sameRule } from '../net/rule.ts'

/** What operations do to a namespace: to foresee it, to check it, to roll it back. */

/** The snapshot that the kernel will show after `ops`. */
export function afterwards(snapshot: Snapshot, all: readonly Op[]): Snapshot {
  if (all.length === 0) return snapshot
  const ops = routeOpsIn(all)
  const rules = ops.length === all.length ? {} : { rules: rulesAfter(snapshot.rules ?? [], all) }
  const opsIn = Map.groupBy(ops, ({ route }) => placeOf(route))
  const touched = Map.groupBy(
    snapshot.routes.filter((route) => opsIn.has(placeOf(route))),
    placeOf,
  )
  const held = (place: string) => (opsIn.get(place) ?? []).reduce(afterOne, touched.get(place) ?? [])
  const routes = snapshot.routes.flatMap((route) => {
    const place = placeOf(route)
    if (!opsIn.has(place)) return route
    // All that is in the place comes where its first route was.
    return touched.get(place)?.[0] === route ? held(place) : []
  })
  const come = [...opsIn.keys()].filter((place) => !touched.has(place)).flatMap(held)
  return { ...snapshot, routes: [...routes, ...come], ...rules }
}

function rulesAfter(rules: readonly Rule[], ops: readonly Op[]): readonly Rule[] {
  return ops.filter(isRuleOp).reduce((now, { op, rule }) => {
    const others = now.filter((one) => !sameRule(one, rule))
    return op === 'add' ? [...others, rule] : others
  }, rules)
}

/** What is in a place after an operation there. */
function afterOne(inPlace: readonly Route[], { op, route }: RouteOp): readonly Route[] {
  switch (op) {
    case 'del': {
      const gone = inPlace.find((other) => sameRoute(other, route))
      return inPlace.filter((other) => other !== gone)
    }
    case 'replace': {
      // Of several IPv4 routes in a place it replaces the first; of IPv6 routes, all next hops.
      const [, ...others] = inPlace
      return [route, ...others.filter((other) => !isNextHop6(route) || !isNextHop6(other))]
    }
    case 'prepend':
      return [route, ...inPlace]
    default:
      return [...inPlace, route]
  }
}

/**
 * The operations that roll back `ops`. What `ops` removed or replaced since `before` is restored, and what they added
 * is removed, as far as `now` shows that this is needed. What others changed meanwhile stays.
 */
export function planRestore(before: Snapshot, now: Snapshot, all: readonly Op[]): Op[] {
  const ops = routeOpsIn(all)
  const [beforeIn, nowIn] = [sharingPlace(before.routes), sharingPlace(now.routes)]
  const isNow = membersOf(now.routes)
  const { surplus, lost } = effectsOf(ops, before, now, isNow)
  // Additions come first: if the rollback is cut short, the pod must not lack a route that it had before and that ADD
  // would look for. A single route of ours in the place is replaced; several are deleted before the old ones are added.
  const [surplusIn, lostIn] = [sharingPlace(surplus), sharingPlace(lost)]
  const exchanged = (route: Route) => [surplusIn, lostIn, nowIn].every((inPlace) => inPlace(route).length === 1)
  // For each place, the index of the first old route that is still there: those before it must come before it again.
  const firstLeft = new Map(
    [...Map.groupBy(lost, placeOf)].map(([place, [one]]) => {
      const left = one ? beforeIn(one).findIndex(isNow) : -1
      return [place, left]
    }),
  )
  const restore = (route: Route): RouteOp => {
    const isFirst = route.family === 4 && beforeIn(route).indexOf(route) < (firstLeft.get(placeOf(route)) ?? -1)
    return { op: exchanged(route) ? 'replace' : isFirst ? 'prepend' : 'append', route, origin: ROLLBACK }
  }
  // In the reverse order of the kernel's dump, which shows a route by a gateway before the link route that it resolves
  // through. Several in one place keep their order.
  const back = [...Map.groupBy(lost.toReversed(), placeOf).values()].flatMap((inPlace) => {
    const [first, last] = [true, false].map((isFirst) =>
      inPlace.map(restore).filter(({ op }) => isFirst === (op === 'prepend')),
    )
    return [...(first ?? []), ...(last ?? []).toReversed()]
  })
  const blocked = ({ route }: RouteOp) => !exchanged(route) && surplusIn(route).length > 0
  return [
    ...back.filter((op) => !blocked(op)),
    ...surplus
      .filter((route) => !exchanged(route))
      .map(
        (route): RouteOp => ({ op: 'del', route: nowIn(route).length > 1 ? byHop(route) : route, origin: ROLLBACK }),
      ),
    ...back.filter(blocked),
    ...(ops.length === all.length ? [] : restoredRules(before, now, all.filter(isRuleOp))),
  ]
}

function restoredRules(
  { rules: before = [] }: Snapshot,
  { rules: now = [] }: Snapshot,
  ops: readonly RuleOp[],
): RuleOp[] {
  // Several attempts may have made the same change.
  const touched = ops.filter(({ rule }, i) => ops.findIndex((other) => sameRule(other.rule, rule)) === i)
  return touched.flatMap(({ rule }): RuleOp[] => {
    const [was, is] = [before, now].map((rules) => rules.some((one) => sameRule(one, rule)))
    return was === is ? [] : [{ op: was ? 'add' : 'del', rule, origin: ROLLBACK }]
  })
}

/**
 * The routes that `ops` added and that were not there `before`; and those that they removed or replaced, if gone `now`.
 */
function effectsOf(
  ops: readonly RouteOp[],
  before: Snapshot,
  now: Snapshot,
  isNow: (route: Route) => boolean,
): { readonly surplus: readonly Route[]; readonly lost: readonly Route[] } {
  const opsIn = byPlace(ops, ({ route }) => route)
  const isBefore = membersOf(before.routes)
  // The kernel may have changed the metrics of what was added. An IPv6 place holds only one route by each next hop, and
  // may not show its protocol.
  const added = (route: Route) =>
    opsIn(route).some(
      ({ op, route: other }) =>
        op !== 'del' && sameNextHop(other, route) && (route.family === 6 || other.protocol === route.protocol),
    )
  const taken = (route: Route) =>
    opsIn(route).some(({ op, route: other }) => (op === 'del' ? sameRoute(other, route) : op === 'replace'))
  // When an interface is removed or set down, the kernel removes its routes for good.
  const possible = (route: Route) =>
    devicesOf(route).every((dev) => now.links.some(({ ifname, up }) => ifname === dev && up))
  return {
    surplus: now.routes.filter((route) => added(route) && !isBefore(route)),
    lost: before.routes.filter((route) => taken(route) && possible(route) && !isNow(route)),
  }
}

/**
 * A route as it must be deleted: where several share an IPv6 place, the next hop identifies it, and the protocol that
 * the kernel shows may be another's.
 */
function byHop(route: Route): Route {
  return route.family === 6 ? { ...route, protocol: UNKNOWN_PROTOCOL } : route
}

/** Says which IPv4 routes of one place are not in the order they were in before: the kernel uses the first. */
export function swappedText(before: Snapshot, now: Snapshot, all: readonly Op[]): string | undefined {
  const ops = routeOpsIn(all)
  const [beforeIn, nowIn] = [sharingPlace(before.routes), sharingPlace(now.routes)]
  const places = new Map(ops.map(({ route }) => [placeOf(route), route]))
  for (const route of places.values()) {
    const [was, is] = [beforeIn(route), nowIn(route)]
    if (route.family === 6 || was.length < 2) continue
    const indexOf = new Map(was.map((one, i) => [keyOf(one), i]))
    const order = is.flatMap((one) => indexOf.get(keyOf(one)) ?? [])
    if (order.every((at, i) => i === 0 || at > (order[i - 1] ?? 0))) continue
    const texts = (routes: readonly Route[]) => listed(routes.map(routeText), MAX_SWAPPED).join(', ')
    return `all routes are back, but those to ${route.dst} in another order: before ${texts(was)}; now ${texts(is)}`
  }
  return undefined
}

const MAX_SWAPPED = 5

/** A key that two routes share exactly if they are shown alike. */
const keyOf = (route: Route): string => JSON.stringify(route)

/**
 * Tells whether a route is among `routes`: shown alike or, where the kernel does not show all of it, with the same
 * effect.
 */
function membersOf(routes: readonly Route[]): (route: Route) => boolean {
  const inPlace = sharingPlace(routes)
  let shown: Set<string> | undefined
  return (route) => {
    const others = inPlace(route)
    if (others.length <= FEW) return others.some((other) => sameRoute(other, route))
    shown ??= new Set(routes.map(keyOf))
    return shown.has(keyOf(route)) || (route.family === 6 && others.some((other) => sameRoute(other, route)))
  }
}

/** Up to this many routes in a place are compared one by one. */
const FEW = 20

const ROLLBACK = { key: 'rollback', path: 'rollback' } as const

/** Those of `ops` whose effect is not visible in `now`. */
export function unmet(ops: readonly Op[], now: Snapshot): Op[] {
  const present = byDestination(now.routes, new Set(routeOpsIn(ops).map(({ route }) => route.dst)))
  const isThere = (op: Op) =>
    isRuleOp(op)
      ? now.rules?.some((one) => sameRule(one, op.rule))
      : present.get(op.route.dst)?.some((other) => sameRoute(other, op.route))
  return ops.filter((op) => (isThere(op) ?? false) === (op.op === 'del'))
}

/** What is wrong if an operation has no effect. */
export function unmetText(op: Op): string {
  return `${op.origin.path}: ${op.op === 'del' ? 'still there' : 'missing'}: ${subjectText(op)}`
}

/** The route or rule of an operation, as `ip route show` or `ip rule show` would print it. */
export function subjectText(op: Op): string {
  return isRuleOp(op) ? ruleText(op.rule) : routeText(op.route)
}
