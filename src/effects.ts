import { routeText } from './iproute2.ts'
import { byDestination, devicesOf, placeOf, type Route, type RouteOp, type Snapshot, sameRoute } from './route.ts'

/** What operations do to a namespace: foreseen, looked for, undone. */

/** The snapshot that the kernel will show after `ops`. */
export function afterwards(snapshot: Snapshot, ops: readonly RouteOp[]): Snapshot {
  const opsIn = byPlace(ops, ({ route }) => route)
  const gone = (route: Route) => opsIn(route).some(({ op, route: other }) => op !== 'del' || sameRoute(other, route))
  const come = ops.flatMap(({ op, route }) => (op === 'del' ? [] : route))
  return { ...snapshot, routes: [...snapshot.routes.filter((route) => !gone(route)), ...come] }
}

/**
 * What undoes `ops`: brings what they removed or replaced back to what `before` shows, and takes away what they
 * added, as far as `now` shows that it is gone or there. What others changed meanwhile stays.
 */
export function planRestore(before: Snapshot, now: Snapshot, ops: readonly RouteOp[]): RouteOp[] {
  const itself = (route: Route) => route
  const opsIn = byPlace(ops, ({ route }) => route)
  const [beforeIn, nowIn] = [byPlace(before.routes, itself), byPlace(now.routes, itself)]
  const isAmong = (inPlace: readonly Route[], route: Route) => inPlace.some((other) => sameRoute(other, route))
  // Whatever the kernel made of its metrics.
  const added = (route: Route) =>
    opsIn(route).some(
      ({ op, route: other }) => op !== 'del' && other.protocol === route.protocol && other.dev === route.dev,
    )
  const taken = (route: Route) =>
    opsIn(route).some(({ op, route: other }) => (op === 'del' ? sameRoute(other, route) : op === 'replace'))
  // With an interface, and when it is set down, the kernel takes its routes away, for good.
  const possible = (route: Route) =>
    devicesOf(route).every((dev) => now.links.some(({ ifname, up }) => ifname === dev && up))
  const surplus = now.routes.filter((route) => added(route) && !isAmong(beforeIn(route), route))
  const lost = before.routes.filter((route) => taken(route) && possible(route) && !isAmong(nowIn(route), route))
  // Additions first: whoever cuts the rollback short must not leave the pod without a route that it had before and that
  // ADD would look for. Where one of ours has taken the place, they are exchanged; where there are several, ours go first.
  const [surplusIn, lostIn] = [byPlace(surplus, itself), byPlace(lost, itself)]
  const exchanged = (route: Route) => [surplusIn, lostIn, nowIn].every((inPlace) => inPlace(route).length === 1)
  const restore = (op: 'append' | 'replace', route: Route): RouteOp => ({ op, route, why: 'rollback' })
  // In the order of the kernel's dump reversed, since there a gateway route comes before the link route it resolves
  // through; appended, since there may have been several in one place.
  const back = lost.toReversed()
  const blocked = (route: Route) => !exchanged(route) && surplusIn(route).length > 0
  return [
    ...back.filter((route) => !blocked(route)).map((route) => restore(exchanged(route) ? 'replace' : 'append', route)),
    ...surplus.filter((route) => !exchanged(route)).map((route): RouteOp => ({ op: 'del', route, why: 'rollback' })),
    ...back.filter(blocked).map((route) => restore('append', route)),
  ]
}

/** Which of `items` are in the place of a route. */
function byPlace<T>(items: readonly T[], routeOf: (item: T) => Route): (route: Route) => readonly T[] {
  const groups = Map.groupBy(items, (item) => placeOf(routeOf(item)))
  return (route) => groups.get(placeOf(route)) ?? []
}

/** Those of `ops` whose effect `now` does not show. */
export function unmet(ops: readonly RouteOp[], now: readonly Route[]): RouteOp[] {
  const present = byDestination(now, new Set(ops.map(({ route }) => route.dst)))
  const isThere = (route: Route) => present.get(route.dst)?.some((other) => sameRoute(other, route)) ?? false
  return ops.filter(({ op, route }) => isThere(route) === (op === 'del'))
}

/** An unmet operation as a sentence. */
export function unmetText({ op, route, why }: RouteOp): string {
  return op === 'del' ? `${why}: still there: ${routeText(route)}` : `${why}: no route ${routeText(route)}`
}
