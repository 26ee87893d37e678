import { MAX_ROUTES } from '../config/schema.ts'
import {
  devicesOf,
  GATEWAY_PROTOCOL,
  isMainDefault,
  isPlainDefault,
  PROTOCOL,
  placeOf,
  type Route,
  type RouteOp,
  type Snapshot,
} from '../net/route.ts'
import { isOurRule, type RuleOp } from '../net/rule.ts'
import { isSameDefault } from './defaults.ts'
import { type Bounds, neededToAdd, oneInEachTable } from './needed.ts'
import { isOfSourceRouting, tableOf } from './nic-table.ts'
import { mayHaveRules6, removeRules } from './source-rules.ts'
import type { Wish } from './wish.ts'

/** What of ours no attachment of a pod asks for any more. */

/** The NICs on which the routes of these attachments are: their own, and those that `dev` names. */
export function nicsOf(wishes: readonly Pick<Wish, 'config' | 'ifname'>[]): ReadonlySet<string> {
  return new Set(
    wishes.flatMap(({ config: { routes, gateway }, ifname }) => [
      ifname,
      gateway?.dev ?? ifname,
      ...routes.map(({ dev = ifname }) => dev),
    ]),
  )
}

/** Our routes on `nics` that are in no place that an attachment of the pod asks for. Default routes are another matter. */
export function surplusRoutes(
  wishes: readonly Wish[],
  nics: ReadonlySet<string>,
  { routes }: Pick<Snapshot, 'routes'>,
): Route[] {
  const asked = new Set(
    wishes.flatMap(({ config, ifname }) => config.routes.map((one) => nicAndPlace(one.dev ?? ifname, one))),
  )
  // ADD itself removes what is left in a NIC's table.
  const tables = new Set(tablesOf(wishes).map(({ ifname, table }) => `${ifname} ${table}`))
  return routes.filter(
    (route) =>
      isOursOn(nics, route, PROTOCOL) &&
      !isMainDefault(route) &&
      !asked.has(nicAndPlace(route.dev, route)) &&
      !tables.has(`${route.dev} ${route.table}`),
  )
}

/** Our rules for `nics` that lead to a table that no attachment asks for. */
export function surplusRules(wishes: readonly Wish[], nics: ReadonlySet<string>, snapshot: Snapshot): RuleOp[] {
  if (!snapshot.rules?.some(isOurRule)) return []
  const asked = new Set(tablesOf(wishes).map(({ table }) => table))
  const ofNics = [...nics].flatMap((nic) => removeRules(nic, [], snapshot, { key: 'surplus', path: nic }))
  const surplus = ofNics.filter(({ rule }) => !asked.has(rule.table))
  return [...new Map(surplus.map((op) => [op.rule, op])).values()]
}

/** Whether rules of IPv6 matter to repair. Without any sign of `sourceRouting` it does not look for them. */
export function rules6ToRepair(wishes: readonly Pick<Wish, 'config'>[]): (snapshot: Snapshot) => boolean {
  const isAsked = wishes.some(({ config: { sourceRouting } }) => sourceRouting !== undefined)
  return (snapshot) => {
    const { routes, rules = [] } = snapshot
    if (!mayHaveRules6(snapshot)) return false
    return isAsked || rules.some(isOurRule) || routes.some(isOfSourceRouting)
  }
}

function tablesOf(wishes: readonly Wish[]): { readonly ifname: string; readonly table: number }[] {
  return wishes.flatMap(({ config: { sourceRouting }, ifname }) =>
    sourceRouting ? { ifname, table: tableOf(ifname, sourceRouting) } : [],
  )
}

function isOursOn(nics: ReadonlySet<string>, route: Route, protocol: number): boolean {
  if (route.protocol !== protocol || route.presumed) return false
  const devices = devicesOf(route)
  return devices.length > 0 && devices.every((dev) => nics.has(dev))
}

const nicAndPlace = (dev: string | undefined, route: Parameters<typeof placeOf>[0]) => `${dev} ${placeOf(route)}`

/**
 * The default routes with our protocol numbers that no attachment wants. One goes only if the pod has another default
 * route of its family: no default route at all is worse than one too many.
 */
export function surplusDefaults(
  wanted: readonly Route[],
  nics: ReadonlySet<string>,
  { routes }: Pick<Snapshot, 'routes'>,
): Route[] {
  const defaults = routes.filter(isMainDefault)
  const surplus = defaults.filter(
    (route) =>
      [PROTOCOL, GATEWAY_PROTOCOL].some((protocol) => isOursOn(nics, route, protocol)) &&
      !wanted.some((one) => isSameDefault(route, one)),
  )
  const others = defaults.filter((route) => isPlainDefault(route) && !surplus.includes(route))
  return surplus.filter((route) => !isPlainDefault(route) || others.some(({ family }) => family === route.family))
}

export function removals(routes: readonly Route[]): RouteOp[] {
  return routes.map((route) => ({
    op: 'del',
    route,
    origin: { key: 'surplus', path: devicesOf(route).join(', ') },
  }))
}

/** What repair needs to decide: what ADD needs for each attachment, and all routes of ours on their NICs. */
export function neededToRepair(wishes: readonly Wish[]): Bounds {
  const each = wishes.map(({ config, ifname, prev }) => neededToAdd(config, ifname, prev))
  return {
    max: () => each.reduce((sum, { max }) => sum + max() + MAX_ROUTES, 0),
    filter: () => {
      const filters = each.map(({ filter }) => filter())
      const nics = nicsOf(wishes)
      const destinations = new Set<string>()
      const isInTable = oneInEachTable()
      return (route) => {
        const isOurs = route.protocol === PROTOCOL && devicesOf(route).some((dev) => nics.has(dev))
        if (isOurs) destinations.add(route.dst)
        // Each counts what it has seen: so all are asked.
        const isNeeded = [isInTable, ...filters].map((filter) => filter(route)).includes(true)
        // A rollback puts a route back where it was among those to the same destination.
        return isNeeded || destinations.has(route.dst)
      }
    },
  }
}
