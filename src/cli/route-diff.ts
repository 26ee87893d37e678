import { routeText } from '../net/iproute2.ts'
import {
  byPlace,
  isRuleOp,
  LOCAL_TABLE,
  MAIN_TABLE,
  type Op,
  type Route,
  type RouteOp,
  routeOpsIn,
  type Snapshot,
  sameRoute,
  sharingPlace,
} from '../net/route.ts'
import { isOurRule, type Rule, type RuleOp, ruleText, sameRule } from '../net/rule.ts'
import { afterwards } from '../plan/effects.ts'
import { inDumpOrder } from '../plan/kubevirt.ts'

/** A route or rule, and what operations do to it. */
export interface DiffLine {
  readonly mark: ' ' | '-' | '+'
  /** As ip(8) prints it. */
  readonly route: string
  /** The configuration key that a change comes from. */
  readonly why?: string
}

/**
 * The routes of the main table and of each table that changes, in the kernel's order, and our rules, with what becomes of
 * them.
 */
export function diffOf(snapshot: Snapshot, ops: readonly Op[]): DiffLine[] {
  return [...diffRoutes(snapshot, routeOpsIn(ops)), ...diffRules(snapshot, ops.filter(isRuleOp))]
}

/** Our rules. Those of others stay as they are. */
function diffRules({ rules = [] }: Snapshot, ops: readonly RuleOp[]): DiffLine[] {
  const opOn = (rule: Rule) => ops.find((op) => sameRule(op.rule, rule))
  const come = ops.filter(({ op, rule }) => op === 'add' && !rules.some((one) => sameRule(one, rule)))
  const lineOf = (mark: DiffLine['mark'], rule: Rule): DiffLine => {
    const why = opOn(rule)?.origin.path
    return { mark, route: ruleText(rule), ...(why === undefined ? {} : { why }) }
  }
  return [
    ...rules.filter(isOurRule).map((rule) => lineOf(opOn(rule)?.op === 'del' ? '-' : ' ', rule)),
    ...come.map(({ rule }) => lineOf('+', rule)),
  ]
}

function diffRoutes(snapshot: Snapshot, ops: readonly RouteOp[]): DiffLine[] {
  const { routes: after } = afterwards(snapshot, ops)
  const tables = new Set([MAIN_TABLE, ...ops.map(({ route }) => route.table)])
  const shown = (route: Route) => tables.has(route.table) && route.table !== LOCAL_TABLE
  const [beforeIn, afterIn, opsIn] = [
    sharingPlace(snapshot.routes),
    sharingPlace(after),
    byPlace(ops, ({ route }) => route),
  ]
  const wasThere = (route: Route) => beforeIn(route).some((other) => sameRoute(other, route))
  const isThere = (route: Route) => afterIn(route).some((other) => sameRoute(other, route))
  const why = (route: Route) => {
    const inPlace = opsIn(route)
    return (inPlace.find((op) => sameRoute(op.route, route)) ?? inPlace[0])?.origin.path
  }
  const come = new Set(after.filter((route) => shown(route) && !wasThere(route)))
  const all = [...snapshot.routes.filter(shown), ...come]
  return [
    ...inDumpOrder(all.filter(({ family }) => family === 4)),
    ...all.filter(({ family }) => family === 6).sort(byDst),
  ].map((route): DiffLine => {
    const mark = come.has(route) ? '+' : isThere(route) ? ' ' : '-'
    const reason = mark === ' ' ? undefined : why(route)
    return { mark, route: routeText(route), ...(reason === undefined ? {} : { why: reason }) }
  })
}

function byDst(a: Route, b: Route): number {
  return a.dst === b.dst ? a.priority - b.priority : a.dst < b.dst ? -1 : 1
}
