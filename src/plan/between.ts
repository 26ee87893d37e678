import {
  isMainDefault,
  isRuleOp,
  type Op,
  type Origin,
  placeOf,
  type Route,
  type RouteOp,
  routeOpsIn,
  type Snapshot,
  sameRoute,
} from '../net/route.ts'
import { type RuleOp, sameRule } from '../net/rule.ts'
import { type Fated, opsOf, STAYS } from './fate.ts'

/**
 * The operations that lead from one snapshot to another. Additions come first, those of default routes after the others:
 * at no moment is a route missing that is in both.
 * @param done operations that led there by detours: their origins are those of the result
 */
export function opsBetween(before: Snapshot, after: Snapshot, done: readonly Op[]): Op[] {
  const rules = done.filter(isRuleOp)
  const routes = routesBetween(before, after, routeOpsIn(done))
  if (rules.length === 0) return routes
  // Rules come when the table they lead to is there, and before the default routes go that they do without.
  const firstDel = routes.findIndex(({ op }) => op === 'del')
  const at = firstDel < 0 ? routes.length : firstDel
  return [...routes.slice(0, at), ...rulesBetween(before, after, rules), ...routes.slice(at)]
}

/** Each rule was made or removed at most once. */
function rulesBetween(before: Snapshot, after: Snapshot, done: readonly RuleOp[]): RuleOp[] {
  return done.filter(({ op, rule }) => {
    const [was, is] = [before, after].map(({ rules = [] }) => rules.some((one) => sameRule(one, rule)))
    return was !== is && is === (op === 'add')
  })
}

function routesBetween(before: Snapshot, after: Snapshot, done: readonly RouteOp[]): RouteOp[] {
  const { gone, come } = changesOf(before.routes, after.routes)
  if (gone.size === 0 && come.length === 0) return []
  const originOf = originsIn(done)
  const touched = new Set([...gone, ...come].map(placeOf))
  const fated = before.routes
    .filter((route) => touched.has(placeOf(route)))
    .map((route): Fated => ({ route, fate: gone.has(route) ? { is: 'removed', origin: originOf(route) } : STAYS }))
  const made = come.map((route) => ({ route, origin: originOf(route) }))
  const isDefault = ({ route }: { readonly route: Route }) => isMainDefault(route)
  return opsOf(fated, [...made.filter((one) => !isDefault(one)), ...made.filter(isDefault)])
}

/** The routes that are gone, and those that have come. What was removed and came back alike is neither. */
function changesOf(
  before: readonly Route[],
  after: readonly Route[],
): { readonly gone: ReadonlySet<Route>; readonly come: readonly Route[] } {
  const [was, is] = [new Set(before), new Set(after)]
  const gone = new Set(before.filter((route) => !is.has(route)))
  const goneFrom = Map.groupBy(gone, placeOf)
  const come = after.filter((route) => {
    if (was.has(route)) return false
    const back = goneFrom.get(placeOf(route))?.find((other) => gone.has(other) && sameRoute(other, route))
    if (back) gone.delete(back)
    return back === undefined
  })
  return { gone, come }
}

/** Why a route has come or gone: what the last operation that made or removed it is about, or one in its place. */
function originsIn(done: readonly RouteOp[]): (route: Route) => Origin {
  const of = new Map<Route, Origin>()
  const inPlace = new Map<string, Origin>()
  for (const { route, origin } of done) {
    of.set(route, origin)
    inPlace.set(placeOf(route), origin)
  }
  return (route) => of.get(route) ?? inPlace.get(placeOf(route)) ?? NOBODY
}

const NOBODY: Origin = { key: 'surplus', path: 'surplus' }
