import { type Route, type RouteOp, type Snapshot, samePlace, sameRoute } from '../../src/route.ts'

/**
 * What the kernel does with a batch, as far as the planner relies on it: a place holds one route, `add` wants it free,
 * `replace` takes it, `del` wants exactly the route it names.
 * @throws Error where ip(8) would stop
 */
export function carryOut(snapshot: Snapshot, ops: readonly RouteOp[]): Snapshot {
  let routes: readonly Route[] = snapshot.routes
  for (const { op, route } of ops) {
    const others = routes.filter((other) => !(op === 'del' ? sameRoute(other, route) : samePlace(other, route)))
    if (op === 'add' && others.length < routes.length) throw new Error(`File exists: ${JSON.stringify(route)}`)
    if (op === 'del' && others.length === routes.length) throw new Error(`No such process: ${JSON.stringify(route)}`)
    routes = op === 'del' ? others : [...others, route]
  }
  return { ...snapshot, routes }
}

/** A table's routes in an order of their own, for comparing tables as sets. */
export function sorted(routes: readonly Route[]): string[] {
  return routes.map((route) => JSON.stringify(Object.entries(route).sort())).sort()
}
