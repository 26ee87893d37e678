import { routeText } from '../net/iproute2.ts'
import { LOCAL_TABLE, MAIN_TABLE, type Route, type RouteOp, type Snapshot, samePlace, sameRoute } from '../net/route.ts'
import { afterwards } from '../plan/effects.ts'
import { inDumpOrder } from '../plan/kubevirt.ts'

/** A route, and what operations do to it. */
export interface DiffLine {
  readonly mark: ' ' | '-' | '+'
  /** As ip(8) prints it. */
  readonly route: string
  /** The configuration key that a change comes from. */
  readonly why?: string
}

/** The routes of the main table and of each table that changes, in the kernel's order, with what becomes of them. */
export function diffRoutes(snapshot: Snapshot, ops: readonly RouteOp[]): DiffLine[] {
  const { routes: after } = afterwards(snapshot, ops)
  const tables = new Set([MAIN_TABLE, ...ops.map(({ route }) => route.table)])
  const shown = (route: Route) => tables.has(route.table) && route.table !== LOCAL_TABLE
  const has = (routes: readonly Route[], route: Route) => routes.some((other) => sameRoute(other, route))
  const why = (route: Route) => ops.find((op) => sameRoute(op.route, route) || samePlace(op.route, route))?.origin.path
  const come = after.filter((route) => shown(route) && !has(snapshot.routes, route))
  const all = [...snapshot.routes.filter(shown), ...come]
  return [
    ...inDumpOrder(all.filter(({ family }) => family === 4)),
    ...all.filter(({ family }) => family === 6).sort(byDst),
  ].map((route): DiffLine => {
    const mark = come.includes(route) ? '+' : has(after, route) ? ' ' : '-'
    const reason = mark === ' ' ? undefined : why(route)
    return { mark, route: routeText(route), ...(reason === undefined ? {} : { why: reason }) }
  })
}

function byDst(a: Route, b: Route): number {
  return a.dst === b.dst ? a.priority - b.priority : a.dst < b.dst ? -1 : 1
}
