import { routeText } from './iproute2.ts'
import { byDestination, devicesOf, type Route, type RouteOp, type Snapshot, samePlace, sameRoute } from './route.ts'

/** What operations do to a namespace: foreseen, looked for, undone. */

/** The snapshot that the kernel will show after `ops`. */
export function afterwards(snapshot: Snapshot, ops: readonly RouteOp[]): Snapshot {
  const gone = (route: Route) =>
    ops.some(({ op, route: other }) => (op === 'del' ? sameRoute(other, route) : samePlace(other, route)))
  const come = ops.flatMap(({ op, route }) => (op === 'del' ? [] : route))
  return { ...snapshot, routes: [...snapshot.routes.filter((route) => !gone(route)), ...come] }
}

/**
 * What undoes `ops`: brings what they removed or replaced back to what `before` shows, and takes away what they
 * added, as far as `now` shows that it is gone or there. What others changed meanwhile stays.
 */
export function planRestore(before: Snapshot, now: Snapshot, ops: readonly RouteOp[]): RouteOp[] {
  const there = (snapshot: Snapshot, route: Route) => snapshot.routes.some((other) => sameRoute(other, route))
  // Whatever the kernel made of its metrics.
  const added = (route: Route) =>
    ops.some(
      ({ op, route: other }) =>
        op !== 'del' && samePlace(other, route) && other.protocol === route.protocol && other.dev === route.dev,
    )
  const taken = (route: Route) =>
    ops.some(({ op, route: other }) =>
      op === 'del' ? sameRoute(other, route) : op === 'replace' && samePlace(other, route),
    )
  // With an interface, and when it is set down, the kernel takes its routes away, for good.
  const possible = (route: Route) =>
    devicesOf(route).every((dev) => now.links.some(({ ifname, up }) => ifname === dev && up))
  const surplus = now.routes.filter((route) => added(route) && !there(before, route))
  const lost = before.routes.filter((route) => taken(route) && possible(route) && !there(now, route))
  // Additions first: whoever cuts the rollback short must not leave the pod without a route that it had before and that
  // ADD would look for. Where one of ours has taken the place, they are exchanged; where there are several, ours go first.
  const inPlace = (routes: readonly Route[], route: Route) => routes.filter((other) => samePlace(other, route)).length
  const exchanged = (route: Route) => [surplus, lost, now.routes].every((routes) => inPlace(routes, route) === 1)
  const restore = (op: 'append' | 'replace', route: Route): RouteOp => ({ op, route, why: 'rollback' })
  // In the order of the kernel's dump reversed, since there a gateway route comes before the link route it resolves
  // through; appended, since there may have been several in one place.
  const back = lost.toReversed()
  const blocked = (route: Route) => !exchanged(route) && inPlace(surplus, route) > 0
  return [
    ...back.filter((route) => !blocked(route)).map((route) => restore(exchanged(route) ? 'replace' : 'append', route)),
    ...surplus.filter((route) => !exchanged(route)).map((route): RouteOp => ({ op: 'del', route, why: 'rollback' })),
    ...back.filter(blocked).map((route) => restore('append', route)),
  ]
}

/** The effects of `ops` that `now` does not show, each as a sentence. */
export function unmet(ops: readonly RouteOp[], now: readonly Route[]): string[] {
  const present = byDestination(now, new Set(ops.map(({ route }) => route.dst)))
  return ops.flatMap(({ op, route, why }) => {
    const there = present.get(route.dst)?.some((other) => sameRoute(other, route))
    switch (op) {
      case 'add':
      case 'append':
      case 'replace':
        return there ? [] : [`${why}: no route ${routeText(route)}`]
      case 'del':
        return there ? [`${why}: still there: ${routeText(route)}`] : []
      default:
        throw op satisfies never
    }
  })
}
