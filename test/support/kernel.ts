import {
  BOOT_PROTOCOL,
  type Route,
  type RouteOp,
  type Snapshot,
  sameNextHop,
  samePlace,
  sameRoute,
  UNKNOWN_PROTOCOL,
} from '../../src/net/route.ts'
import { type Rule, type RuleOp, sameRule } from '../../src/net/rule.ts'

/**
 * What the kernel does with a batch, as far as the planner relies on it: `add` wants a place free, `replace` takes the first
 * route in it, of IPv6 all that are next hops of one, `append` puts one behind what is there, `prepend` before it, unless that is
 * the same next hop, `del` wants exactly the route it names.
 * @throws Error where ip(8) would stop
 */
export function carryOut(snapshot: Snapshot, ops: readonly Change[]): Snapshot {
  let routes: Route[] = [...snapshot.routes]
  let rules: readonly Rule[] = snapshot.rules ?? []
  for (const change of ops) {
    if ('rule' in change) {
      rules = ruled(rules, change)
      continue
    }
    const { op, route: written } = change
    const unnamed = op !== 'del' && written.protocol === UNKNOWN_PROTOCOL
    const route = unnamed ? { ...written, protocol: BOOT_PROTOCOL } : written
    const at = routes.findIndex((other) => (op === 'del' ? sameRoute : samePlace)(other, route))
    const twin = routes.some((other) => route.family === 6 && samePlace(other, route) && sameNextHop(other, route))
    if ((op === 'add' && at >= 0) || ((op === 'append' || op === 'prepend') && twin))
      throw new Error(`File exists: ${JSON.stringify(route)}`)
    if (op === 'del' && at < 0) throw new Error(`No such process: ${JSON.stringify(route)}`)
    if (op === 'del') routes.splice(at, 1)
    else if (op === 'replace' && at >= 0) {
      routes[at] = route
      if (isHop(route)) routes = routes.filter((other) => other === route || !isHop(other) || !samePlace(other, route))
    } else if (op === 'prepend' && at >= 0) routes.splice(at, 0, route)
    else routes.push(route)
  }
  return { ...snapshot, routes, ...(snapshot.rules || rules.length > 0 ? { rules } : {}) }
}

type Change = Pick<RouteOp, 'op' | 'route'> | Pick<RuleOp, 'op' | 'rule'>

function ruled(rules: readonly Rule[], { op, rule }: Pick<RuleOp, 'op' | 'rule'>): readonly Rule[] {
  const isThere = rules.some((one) => sameRule(one, rule))
  if (op === 'add' && isThere) throw new Error(`File exists: ${JSON.stringify(rule)}`)
  if (op === 'del' && !isThere) throw new Error(`No such file or directory: ${JSON.stringify(rule)}`)
  return op === 'add' ? [...rules, rule] : rules.filter((one) => !sameRule(one, rule))
}

function isHop({ family, gw, expires }: Route): boolean {
  return family === 6 && gw !== undefined && expires === undefined
}

/** What ip(8) shows of it: of an IPv6 multipath route, the first next hop whole, and of the others no more than where they lead. */
export function shown(snapshot: Snapshot): Snapshot {
  const { routes } = snapshot
  return {
    ...snapshot,
    routes: routes.map((route, i) => {
      const first = isHop(route)
        ? routes.slice(0, i).find((other) => isHop(other) && samePlace(other, route))
        : undefined
      if (!first) return route
      const { family, type, dst, table, priority, gw, dev, from } = route
      if (first.dev === dev && dst === '::/0') return { ...first, presumed: true, ...(gw === undefined ? {} : { gw }) }
      return {
        ...{ family, type, dst, table, priority, protocol: UNKNOWN_PROTOCOL },
        ...(gw === undefined ? {} : { gw }),
        ...(dev === undefined ? {} : { dev }),
        ...(from === undefined ? {} : { from }),
      }
    }),
  }
}

/** A table's routes in an order of their own, for comparing tables as sets. */
export function sorted(routes: readonly Route[]): string[] {
  return routes.map((route) => JSON.stringify(Object.entries(route).sort())).sort()
}
