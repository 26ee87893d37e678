import { listed } from '../errors.ts'
import { routeText } from '../net/iproute2.ts'
import {
  byDestination,
  byPlace,
  devicesOf,
  placeOf,
  placesOf,
  type Route,
  type RouteOp,
  type Snapshot,
  sameHop,
  samePlace,
  sameRoute,
  UNKNOWN_PROTOCOL,
} from '../net/route.ts'

/** What operations do to a namespace: foreseen, looked for, undone. */

/** The snapshot that the kernel will show after `ops`. */
export function afterwards(snapshot: Snapshot, ops: readonly RouteOp[]): Snapshot {
  const opsIn = byPlace(ops, ({ route }) => route)
  const inPlace = placesOf(snapshot.routes)
  // Of several in a place `replace` takes the first, and of IPv6 all.
  const replaced = (route: Route) => route.family === 6 || inPlace(route)[0] === route
  const gone = (route: Route) =>
    opsIn(route).some(
      ({ op, route: other }) =>
        (op === 'del' && sameRoute(other, route)) || (op === 'replace' && samePlace(other, route) && replaced(route)),
    )
  const come = ops.flatMap(({ op, route }) => (op === 'del' ? [] : route))
  return { ...snapshot, routes: [...snapshot.routes.filter((route) => !gone(route)), ...come] }
}

/**
 * What undoes `ops`: brings what they removed or replaced back to what `before` shows, and takes away what they
 * added, as far as `now` shows that it is gone or there. What others changed meanwhile stays.
 */
export function planRestore(before: Snapshot, now: Snapshot, ops: readonly RouteOp[]): RouteOp[] {
  const opsIn = byPlace(ops, ({ route }) => route)
  const [beforeIn, nowIn] = [placesOf(before.routes), placesOf(now.routes)]
  const [isBefore, isNow] = [membersOf(before.routes), membersOf(now.routes)]
  // Whatever the kernel made of its metrics. An IPv6 place has no second route by one next hop, and may not show its protocol.
  const added = (route: Route) =>
    opsIn(route).some(
      ({ op, route: other }) =>
        op !== 'del' && sameHop(other, route) && (route.family === 6 || other.protocol === route.protocol),
    )
  const taken = (route: Route) =>
    opsIn(route).some(({ op, route: other }) => (op === 'del' ? sameRoute(other, route) : op === 'replace'))
  // With an interface, and when it is set down, the kernel takes its routes away, for good.
  const possible = (route: Route) =>
    devicesOf(route).every((dev) => now.links.some(({ ifname, up }) => ifname === dev && up))
  const surplus = now.routes.filter((route) => added(route) && !isBefore(route))
  const lost = before.routes.filter((route) => taken(route) && possible(route) && !isNow(route))
  // Additions first: whoever cuts the rollback short must not leave the pod without a route that it had before and that
  // ADD would look for. Where one of ours has taken the place, they are exchanged; where there are several, ours go first.
  const [surplusIn, lostIn] = [placesOf(surplus), placesOf(lost)]
  const exchanged = (route: Route) => [surplusIn, lostIn, nowIn].every((inPlace) => inPlace(route).length === 1)
  // Of a place the index of the first route that is still there: what came before it is put before it again.
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
  // In the order of the kernel's dump reversed, since there a gateway route comes before the link route it resolves through;
  // of several in one place, in the order they had.
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
  ]
}

/** For a deletion: in an IPv6 place with several the next hop tells which one is meant, and the protocol shown may be another's. */
function byHop(route: Route): Route {
  return route.family === 6 ? { ...route, protocol: UNKNOWN_PROTOCOL } : route
}

/** What is to be said where several IPv4 routes in one place have another order than before: the kernel uses the first. */
export function swappedText(before: Snapshot, now: Snapshot, ops: readonly RouteOp[]): string | undefined {
  const [beforeIn, nowIn] = [placesOf(before.routes), placesOf(now.routes)]
  const places = new Map(ops.map(({ route }) => [placeOf(route), route]))
  for (const route of places.values()) {
    const [was, is] = [beforeIn(route), nowIn(route)]
    if (route.family === 6 || was.length < 2) continue
    const indexOf = new Map(was.map((one, i) => [keyOf(one), i]))
    const order = is.flatMap((one) => indexOf.get(keyOf(one)) ?? [])
    if (order.every((at, i) => i === 0 || at > (order[i - 1] ?? 0))) continue
    const texts = (routes: readonly Route[]) => listed(routes.map(routeText), MOST_SWAPPED).join(', ')
    return `all routes are there again, those to ${route.dst} in another order: before ${texts(was)}; now ${texts(is)}`
  }
  return undefined
}

const MOST_SWAPPED = 5

/** The same for two routes that are shown alike, and no others. */
const keyOf = (route: Route): string => JSON.stringify(route)

/** Tells whether a route is among `routes`: by how it is shown, or, where the kernel does not show all of it, by what it does. */
function membersOf(routes: readonly Route[]): (route: Route) => boolean {
  const inPlace = placesOf(routes)
  let shown: Set<string> | undefined
  return (route) => {
    const others = inPlace(route)
    if (others.length <= FEW) return others.some((other) => sameRoute(other, route))
    shown ??= new Set(routes.map(keyOf))
    return shown.has(keyOf(route)) || (route.family === 6 && others.some((other) => sameRoute(other, route)))
  }
}

/** As many routes in one place as can be compared with each other. */
const FEW = 20

const ROLLBACK = { key: 'rollback', path: 'rollback' } as const

/** Those of `ops` whose effect `now` does not show. */
export function unmet(ops: readonly RouteOp[], now: readonly Route[]): RouteOp[] {
  const present = byDestination(now, new Set(ops.map(({ route }) => route.dst)))
  const isThere = (route: Route) => present.get(route.dst)?.some((other) => sameRoute(other, route)) ?? false
  return ops.filter(({ op, route }) => isThere(route) === (op === 'del'))
}

/** An unmet operation as a sentence. */
export function unmetText({ op, route, origin: { path } }: RouteOp): string {
  return op === 'del' ? `${path}: still there: ${routeText(route)}` : `${path}: no route ${routeText(route)}`
}
