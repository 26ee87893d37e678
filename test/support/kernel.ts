import { type Route, type RouteOp, type Snapshot, samePlace, sameRoute } from '../../src/route.ts'

/**
 * What the kernel does with a batch, as far as the planner relies on it: `add` wants a place free, `replace` takes the first
 * route in it, `append` puts one behind what is there, `del` wants exactly the route it names.
 * @throws Error where ip(8) would stop
 */
export function carryOut(snapshot: Snapshot, ops: readonly RouteOp[]): Snapshot {
  const routes: Route[] = [...snapshot.routes]
  for (const { op, route } of ops) {
    const at = routes.findIndex((other) => (op === 'del' ? sameRoute : samePlace)(other, route))
    if (op === 'add' && at >= 0) throw new Error(`File exists: ${JSON.stringify(route)}`)
    if (op === 'del' && at < 0) throw new Error(`No such process: ${JSON.stringify(route)}`)
    if (op === 'del') routes.splice(at, 1)
    else if (op === 'replace' && at >= 0) routes.splice(at, 1, route)
    else routes.push(route)
  }
  return { ...snapshot, routes }
}

/** A table's routes in an order of their own, for comparing tables as sets. */
export function sorted(routes: readonly Route[]): string[] {
  return routes.map((route) => JSON.stringify(Object.entries(route).sort())).sort()
}
