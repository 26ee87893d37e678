import { type Config, type ConfiguredRoute, nameOf } from '../config/config.ts'
import { familyOf, isWithin, prefixesAroundIn } from '../net/address.ts'
import { routeText } from '../net/iproute2.ts'
import type { Link } from '../net/link.ts'
import {
  DEFAULT_DST,
  DEFAULT_PRIORITY,
  devicesOf,
  KERNEL_PROTOCOL,
  MAIN_TABLE,
  type Op,
  PROTOCOL,
  placeOf,
  type Route,
  type RouteOp,
  Scope,
  type Snapshot,
  sameEffect,
  UNICAST,
  UNKNOWN_PROTOCOL,
} from '../net/route.ts'
import { isOurRule, ruleText } from '../net/rule.ts'
import { type EntryRoute, type NextHopLookup, planEntries } from './entries.ts'
import type { GatewayAddresses } from './gateway.ts'
import { lastingAddresses, ORIGIN, SOURCE_ROUTING, tableOf } from './nic-table.ts'
import type { Problem } from './problem.ts'
import { planRules } from './source-rules.ts'

/**
 * `sourceRouting`: what is sent from an address of a NIC leaves by this NIC. The NIC gets a table of its own, with its
 * default route and whatever else the main table has on it, and a rule for each of its addresses leads there.
 * @see ip-rule(8)
 */

/** The NIC's table, and its default routes as entries like those of `routes`. */
export interface NicTable {
  readonly table: number
  readonly entries: readonly ConfiguredRoute[]
}

/** A default route for each family in which the NIC has an address, unless `routes` has one for that place. */
export function defaultEntries({ sourceRouting, routes }: Config, nic: Link): NicTable {
  const table = tableOf(nic.ifname, sourceRouting)
  const families = [...new Set(lastingAddresses(nic).map(familyOf))]
  const entries = families.map((family) =>
    entryIn(table, { family, dst: DEFAULT_DST[family], priority: DEFAULT_PRIORITY[family] }),
  )
  return { table, entries: withoutPlacesOf(routes, entries) }
}

function entryIn(
  table: number,
  { family, dst, priority }: Pick<ConfiguredRoute, 'family' | 'dst' | 'priority'>,
): ConfiguredRoute {
  return { path: SOURCE_ROUTING, family, dst, table, priority, onlink: false, given: {} }
}

function withoutPlacesOf(
  others: readonly ConfiguredRoute[],
  entries: readonly ConfiguredRoute[],
): readonly ConfiguredRoute[] {
  const taken = new Set(others.map(placeOf))
  return entries.filter((entry) => !taken.has(placeOf(entry)))
}

/** What `planTable` goes by. */
export interface TableInputs {
  readonly config: Config
  readonly nic: Link
  readonly snapshot: Snapshot
  readonly lookup: NextHopLookup
  /** The configured routes. */
  readonly routes: readonly EntryRoute[]
  /** The gateways that prevResult reports. */
  readonly gateways: GatewayAddresses
}

/** Additions come first, as in a plan. */
interface TablePlan {
  readonly additions: readonly Op[]
  readonly deletions: readonly Op[]
  readonly problems: readonly Problem[]
}

/** What it takes to have the NIC's table, and the rules that lead there. */
export function planTable({ table, entries }: NicTable, inputs: TableInputs): TablePlan {
  const { config, nic, snapshot, lookup, routes, gateways } = inputs
  const { ifname } = nic
  const inUse = tableProblem(table, inputs)
  if (inUse) return { additions: [], deletions: [], problems: [inUse] }
  const unknown: Problem[] = []
  const wanted = entries.flatMap((entry) => {
    const gw = lookup.learn(entry, ifname) ? undefined : gateways[entry.family]
    if (gw !== undefined) return { ...entry, gw }
    if (lookup.learn(entry, ifname)) return entry
    unknown.push(noNextHop(entry, ifname))
    return []
  })
  const defaults = planEntries(wanted, ifname, snapshot, lookup)
  const written = config.routes.filter((entry) => entry.table === table)
  const inTable = [...defaults.routes, ...routes.filter(({ route }) => route.table === table)]
  const rest = withoutPlacesOf(written, otherEntries(table, nic, snapshot, { inTable, configured: routes }))
  const others = planEntries(rest, ifname, snapshot, lookup)
  const rules = planRules(config, nic, snapshot)
  // As long as a next hop is unknown, nothing is done at all.
  const stale = staleRoutes(table, ifname, snapshot, [...written, ...entries, ...rest])
  return {
    additions: [...defaults.additions, ...others.additions, ...rules.filter(({ op }) => op === 'add')],
    deletions: [...defaults.deletions, ...others.deletions, ...stale, ...rules.filter(({ op }) => op === 'del')],
    problems: [...unknown, ...defaults.problems, ...others.problems],
  }
}

function noNextHop({ family, dst, table }: ConfiguredRoute, ifname: string): Problem {
  return {
    at: SOURCE_ROUTING,
    says: `no IPv${family} next hop is known on ${ifname}, which has no IPv${family} default route; add {"dst": "${dst}", "table": ${table}} with "gw", or with "scope": "link", to "routes"`,
  }
}

/**
 * Entries for the rest of the NIC's table: its connected routes, and those configured routes that lead elsewhere than
 * what is around them in this table.
 * @param inTable the default routes and written ones of the table
 * @param configured what comes of the configured routes
 */
function otherEntries(
  table: number,
  nic: Link,
  { routes }: Snapshot,
  { inTable, configured }: { readonly inTable: readonly EntryRoute[]; readonly configured: readonly EntryRoute[] },
): ConfiguredRoute[] {
  const { ifname } = nic
  const families = new Set(lastingAddresses(nic).map(familyOf))
  const own = new Set(nic.addresses)
  const connected = routes
    .filter((route) => isConnected(route, ifname) && families.has(route.family) && !own.has(hostOf(route)))
    .filter(({ family, dst }) => dst !== DEFAULT_DST[family])
    .map((route) => ({ ...entryIn(table, route), scope: Scope.link }))
  const ofNic = configured.filter(
    ({ route }) => route.table === MAIN_TABLE && route.dev === ifname && !isConnected(route, ifname),
  )
  const defaults = inTable.filter(({ route }) => route.dst === DEFAULT_DST[route.family])
  const isAsDefault = (route: Route) => {
    const [best] = defaults
      .filter(({ route: { family } }) => family === route.family)
      .sort((a, b) => a.route.priority - b.route.priority)
    return best !== undefined && sameEffect(withoutSource(best.route), withoutSource(route))
  }
  const special = [
    ...ofNic.filter(({ route }) => !isAsDefault(route)),
    ...inTable.filter(({ route }) => !isAsDefault(route)),
  ]
  const around = prefixesAroundIn(
    new Set([...special.map(({ route }) => route.dst), ...connected.map(({ dst }) => dst)]),
  )
  const isCovered = (route: Route) => around(addressIn(route)).some((outer) => isWithin(route.dst, outer))
  const copies = ofNic
    .filter(({ route }) => isCovered(route))
    .map(({ configured: entry, route }): ConfiguredRoute => {
      const { gw, attributes, onlink = false } = route
      return {
        ...entryIn(table, route),
        path: nameOf(entry),
        ...(gw === undefined ? { scope: Scope.link } : { gw }),
        ...(attributes === undefined ? {} : { attributes }),
        onlink,
      }
    })
  return [...new Map([...copies, ...connected].map((entry) => [placeOf(entry), entry])).values()]
}

const addressIn = ({ dst }: Route) => dst.slice(0, dst.indexOf('/'))

/** The address of a route to a single one. The kernel has such a route to each IPv6 address of its own. */
const hostOf = (route: Route) => (route.dst.endsWith('/128') ? addressIn(route) : '')

/** The packets have their source by then. */
function withoutSource({ src: _, ...route }: Route): Route {
  return route
}

function isConnected({ protocol, type, dev, gw, table, tos, from, expires }: Route, ifname: string): boolean {
  return (
    protocol === KERNEL_PROTOCOL &&
    type === UNICAST &&
    dev === ifname &&
    gw === undefined &&
    table === MAIN_TABLE &&
    tos === undefined &&
    from === undefined &&
    expires === undefined
  )
}

/** Whether a route is one that `sourceRouting` may have made on the NIC. */
function isOursOn(ifname: string, route: Route): boolean {
  return (
    (route.protocol === PROTOCOL || route.protocol === UNKNOWN_PROTOCOL) &&
    devicesOf(route).every((dev) => dev === ifname)
  )
}

/** Why the NIC cannot have this table. */
function tableProblem(table: number, { config, nic, snapshot }: TableInputs): Problem | undefined {
  const { routes, rules = [] } = snapshot
  const present = routes.filter((route) => route.table === table)
  const written = new Set(config.routes.map(({ dev = nic.ifname, ...one }) => `${dev} ${placeOf(one)}`))
  const isWritten = (route: Route) => route.protocol === PROTOCOL && written.has(`${route.dev} ${placeOf(route)}`)
  const foreign = present.find((route) => !isOursOn(nic.ifname, route) && !isWritten(route))
  // Others may lead more packets to our table, but must not have meant another.
  const leading = present.length === 0 ? rules.find((rule) => rule.table === table && !isOurRule(rule)) : undefined
  const user = foreign ? `has ${routeText(foreign)}` : leading && `is that of ${ruleText(leading)}`
  if (user === undefined) return undefined
  return {
    at: SOURCE_ROUTING,
    says: `table ${table} is in use: it ${user}; write another number, such as "sourceRouting": {"table": ${table + 1}}`,
  }
}

/** Removes what is left in the NIC's table of addresses and configurations that are gone. */
function staleRoutes(
  table: number,
  ifname: string,
  { routes }: Snapshot,
  wanted: readonly ConfiguredRoute[],
): RouteOp[] {
  const places = new Set(wanted.map(placeOf))
  return routes
    .filter((route) => route.table === table && isOursOn(ifname, route) && !places.has(placeOf(route)))
    .map((route) => ({ op: 'del', route, origin: ORIGIN }))
}
