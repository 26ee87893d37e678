import type { Config, ConfiguredRoute } from '../config/config.ts'
import { type Family, isLinkLocal } from '../net/address.ts'
import {
  DEFAULT_DST,
  devicesOf,
  GATEWAY_PROTOCOL,
  MAIN_TABLE,
  PROTOCOL,
  placeOf,
  type Route,
  Scope,
  type Snapshot,
  UNICAST,
} from '../net/route.ts'
import type { Problem } from './problem.ts'

/**
 * How packets leave a NIC for elsewhere: through a gateway, or (no `gw`) on-link; and what else is true of that way,
 * which a route that says nothing else takes over.
 */
export interface Hop {
  readonly gw?: string | undefined
  readonly onlink?: boolean | undefined
  readonly src?: string | undefined
  readonly mtu?: number | undefined
  readonly advmss?: number | undefined
}

/**
 * Finds the next hop that a NIC itself has, as far as the kernel still shows it: the default route of the table that
 * the route is for, or of the main table, unless we made it; when that is gone, on a repeated ADD, the routes that such
 * entries of this configuration made before; Calico's link route; the route that another plugin made to the same
 * destination; the default we made or are to make.
 *
 * What another configuration made of ours may lead where an entry of it said, so only a link-local next hop is learnt
 * from it: Calico's for IPv6, which nothing else in the kernel tells.
 * @param hints what ADD reported, by destination
 * @param gateways the default routes that `ovnGateway` asks for
 */
export function nextHops(
  config: Config,
  snapshot: Snapshot,
  hints: ReadonlyMap<string, Hop>,
  gateways: readonly Route[],
): (configured: ConfiguredRoute, dev: string) => Hop | undefined {
  const unicast = snapshot.routes.filter((route) => route.type === UNICAST)
  const defaultOf = bestDefaults(unicast)
  let memory: Memory | undefined

  return (configured, dev) => {
    const { family, dst, table } = configured
    const standing = defaultOf(family, table, dev) ?? defaultOf(family, MAIN_TABLE, dev)
    if (standing) return hopOf(standing, dev)

    const onNic = (route: Route) => route.family === family && devicesOf(route).includes(dev)
    memory ??= memoryOf(config, unicast)
    const { ours, inPlace, entryOf } = memory
    /** How one of our routes leads, as far as its entry does not say so itself; or another plugin's. */
    const wayOf = (route: Route): Hop =>
      route.protocol === PROTOCOL ? learntBy(route, entryOf(route)) : hopOf(route, dev)
    const present = inPlace.get(`${dev} ${placeOf(configured)}`)
    // A table that has a default of its own may have another next hop.
    const isOfUse = (route: Route) =>
      isLearnt(entryOf(route)) && onNic(route) && (route.table === table || !defaultOf(family, route.table, dev))
    const own = present?.protocol === PROTOCOL ? present : ours.find(isOfUse)
    const hint = hints.get(dst)
    const seen = present ?? own
    if (hint) return { ...(seen && wayOf(seen)), ...hint }
    if (own) return wayOf(own)
    if (unicast.some((route) => onNic(route) && isCalicoLink(route))) return { gw: CALICO_GATEWAY }
    const other = present ?? gateways.find(onNic)
    if (other) return hopOf(other, dev)
    const linkLocal = ours.find(
      (route) => route.gw !== undefined && isLinkLocal(route.gw) && onNic(route) && entryOf(route) === undefined,
    )
    return linkLocal && { gw: linkLocal.gw, onlink: linkLocal.onlink }
  }
}

function isCalicoLink({ dst, gw, protocol }: Route): boolean {
  return dst === `${CALICO_GATEWAY}/32` && gw === undefined && protocol !== PROTOCOL
}

/** What the kernel shows of a call before. */
interface Memory {
  /** Our routes, whichever configuration they are of. */
  readonly ours: readonly Route[]
  /**
   * What there is in the place of entries that name no next hop, ours or another plugin's; of several the first, which
   * counts.
   */
  readonly inPlace: ReadonlyMap<string, Route>
  /** The entry that a route is of. */
  readonly entryOf: (route: Route) => ConfiguredRoute | undefined
}

function memoryOf(config: Config, unicast: readonly Route[]): Memory {
  const entries = new Map<string, ConfiguredRoute>()
  const dsts = new Set<string>()
  for (const entry of config.routes) {
    entries.set(placeOf(entry), entry)
    dsts.add(entry.dst)
  }
  const entryOf = (route: Route) => (dsts.has(route.dst) ? entries.get(placeOf(route)) : undefined)
  const ours: Route[] = []
  const inPlace = new Map<string, Route>()
  for (const route of unicast) {
    if (route.protocol === PROTOCOL) ours.push(route)
    if (!isLearnt(entryOf(route))) continue
    const spot = `${route.dev} ${placeOf(route)}`
    if (!inPlace.has(spot)) inPlace.set(spot, route)
  }
  return { ours, inPlace, entryOf }
}

function isLearnt(entry: ConfiguredRoute | undefined): boolean {
  return entry !== undefined && !isExplicit(entry)
}

/** Tells the default route for all packets that we did not make, the best of a table by a NIC. */
function bestDefaults(unicast: readonly Route[]): (family: Family, table: number, dev: string) => Route | undefined {
  const best = new Map<string, Route>()
  for (const route of unicast) {
    const { family, dst, tos, from, protocol, table, priority } = route
    if (dst !== DEFAULT_DST[family] || tos !== undefined || from !== undefined) continue
    if (protocol === GATEWAY_PROTOCOL || protocol === PROTOCOL) continue
    for (const dev of devicesOf(route)) {
      const key = `${family} ${table} ${dev}`
      const known = best.get(key)
      if (!known || priority < known.priority) best.set(key, route)
    }
  }
  return (family, table, dev) => best.get(`${family} ${table} ${dev}`)
}

/** The way a route leads, by the NIC `dev`. */
function hopOf({ gw, onlink, src, mtu, advmss, nexthops }: Route, dev: string): Hop {
  const part = nexthops?.find((hop) => hop.dev === dev) ?? { gw, onlink }
  return { gw: part.gw, onlink: part.onlink, src, mtu, advmss }
}

/** What one of our routes took over from the way it was learnt from: all that its entry does not say itself. */
function learntBy({ gw, onlink, src, mtu, advmss }: Route, entry: ConfiguredRoute | undefined): Hop {
  return {
    gw,
    onlink,
    ...(entry?.src === undefined ? { src } : {}),
    ...(entry?.mtu === undefined ? { mtu } : {}),
    ...(entry?.advmss === undefined ? { advmss } : {}),
  }
}

/** Tells why a route has no next hop: what is missing, and what may be written instead. */
export function noHops({ routes }: Snapshot): (configured: ConfiguredRoute, dev: string) => Problem {
  let tables: Map<string, Set<number>> | undefined
  return ({ key, dst, family, table }, dev) => {
    tables ??= defaultTables(routes)
    const others = [...(tables.get(`${family} ${dev}`) ?? [])].filter((one) => one !== table)
    const [first] = others
    const says = `no next hop to ${dst} is known on ${dev}, `
    if (first === undefined || first === MAIN_TABLE)
      return { at: key, says: `${says}which has no IPv${family} default route; add "gw" or "scope": "link"` }
    return {
      at: key,
      says: `${says}whose IPv${family} default route is in table ${others.slice(0, MOST_TABLES).join(', ')}; add "gw", or "table": ${first} to have this route there`,
    }
  }
}

/** The first tables with a default route, by family and interface. */
function defaultTables(routes: readonly Route[]): Map<string, Set<number>> {
  const tables = new Map<string, Set<number>>()
  for (const route of routes) {
    if (route.dst !== DEFAULT_DST[route.family] || route.type !== UNICAST) continue
    for (const dev of devicesOf(route)) {
      const key = `${route.family} ${dev}`
      const known = tables.get(key) ?? new Set()
      if (known.size <= MOST_TABLES) tables.set(key, known.add(route.table))
    }
  }
  return tables
}

const MOST_TABLES = 5

/**
 * @see https://docs.tigera.io/calico/latest/reference/faq#why-cant-i-see-the-16925411-address-mentioned-above-on-my-host
 */
export const CALICO_GATEWAY = '169.254.1.1'

/** True if the entry itself says where its route leads. */
export function isExplicit({ gw, scope }: Pick<ConfiguredRoute, 'gw' | 'scope'>): boolean {
  return gw !== undefined || scope === Scope.link
}
