import { type Config, type ConfiguredRoute, nameOf } from '../config/config.ts'
import { type Family, isLinkLocal } from '../net/address.ts'
import { attributesIn, IN_RESULT, type KnownAttributes, withoutThose } from '../net/attributes.ts'
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
import { hasAddress } from './present-families.ts'
import type { Problem } from './problem.ts'

/**
 * How packets leave a NIC: through a gateway or, without `gw`, on-link. The other keys are what a route learns with this
 * next hop, if its entry does not set them.
 */
export interface Via {
  readonly gw?: string | undefined
  readonly onlink?: boolean | undefined
  readonly src?: string | undefined
  readonly attributes?: KnownAttributes | undefined
}

/** The next hop of an entry without one, on a NIC; undefined if it is not known. */
export type NextHops = (configured: ConfiguredRoute, dev: string) => Via | undefined

/** What is known of next hops besides the kernel's routes. */
export interface Hints {
  /** What ADD reported. */
  readonly hops: NextHops
  /** What counts if nothing else tells, in place of a link-local next hop of our routes. */
  readonly otherwise: NextHops | undefined
  /** The default routes that `ovnGateway` wants. */
  readonly gateways: readonly Route[]
}

/**
 * Finds the next hop that a NIC itself has. The kernel shows it in one of these, the first that exists: a default route
 * that we did not make, in the table of the configured route or else the main table; our routes of entries that learnt
 * it in an earlier call; Calico's link route; another plugin's route to the same destination; a default route that we
 * made, or are going to make.
 *
 * Routes of ours from another configuration may lead wherever its entries said. From them we take only a link-local
 * next hop: that is Calico's for IPv6, which nothing else in the kernel shows.
 */
export function nextHops(config: Config, snapshot: Snapshot, { hops, otherwise, gateways }: Hints): NextHops {
  const unicast = snapshot.routes.filter((route) => route.type === UNICAST)
  const defaultOf = bestDefaults(unicast)
  const byDefault = hopsOfDefaults(defaultOf)
  let memory: Memory | undefined

  return (configured, dev) => {
    const { family, table } = configured
    const standing = byDefault(configured, dev)
    if (standing) return standing

    const onNic = (route: Route) => route.family === family && devicesOf(route).includes(dev)
    memory ??= memoryOf(config, unicast)
    const { ours, inPlace, entryOf } = memory
    /** What a route tells of its next hop; for one of ours, only what it did not get from its entry. */
    const viaShownBy = (route: Route): Via =>
      route.protocol === PROTOCOL ? learntVia(route, entryOf(route)) : viaOf(route, dev)
    const present = inPlace.get(`${dev} ${placeOf(configured)}`)
    // If a table has a default route of its own, its next hop may be another.
    const isOfUse = (route: Route) =>
      isLearnt(entryOf(route)) && onNic(route) && (route.table === table || !defaultOf(family, route.table, dev))
    const own = present?.protocol === PROTOCOL ? present : ours.find(isOfUse)
    // The Result has the routes of the main table. In another, a route of ours knows better.
    const hint = table !== MAIN_TABLE && own?.table === table ? undefined : hops(configured, dev)
    const seen = present ?? own
    if (hint) {
      const via = seen && viaShownBy(seen)
      return { ...via, ...hint, attributes: { ...via?.attributes, ...hint.attributes } }
    }
    if (own) return viaShownBy(own)
    if (unicast.some((route) => onNic(route) && isCalicoLink(route))) return { gw: CALICO_GATEWAY }
    const other = present ?? gateways.find(onNic)
    if (other) return viaOf(other, dev)
    if (otherwise) return otherwise(configured, dev)
    const linkLocal = ours.find(
      (route) => route.gw !== undefined && isLinkLocal(route.gw) && onNic(route) && entryOf(route) === undefined,
    )
    return linkLocal && { gw: linkLocal.gw, onlink: linkLocal.onlink }
  }
}

function isCalicoLink({ dst, gw, protocol }: Route): boolean {
  return dst === `${CALICO_GATEWAY}/32` && gw === undefined && protocol !== PROTOCOL
}

/** What the kernel shows of earlier calls. */
interface Memory {
  /** Our routes, of any configuration. */
  readonly ours: readonly Route[]
  /** The route in the place of each entry without a next hop, ours or another plugin's. The first of several counts. */
  readonly inPlace: ReadonlyMap<string, Route>
  /** The entry that a route was made for. */
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
    const nicAndPlace = `${route.dev} ${placeOf(route)}`
    if (!inPlace.has(nicAndPlace)) inPlace.set(nicAndPlace, route)
  }
  return { ours, inPlace, entryOf }
}

function isLearnt(entry: ConfiguredRoute | undefined): boolean {
  return entry !== undefined && !isExplicit(entry)
}

/** The next hops of default routes that we did not make: in the table of the configured route, or else the main table. */
export function hopsOfDefaults(defaultOf: DefaultOf): NextHops {
  return ({ family, table }, dev) => {
    const standing = defaultOf(family, table, dev) ?? defaultOf(family, MAIN_TABLE, dev)
    return standing && viaOf(standing, dev)
  }
}

type DefaultOf = (family: Family, table: number, dev: string) => Route | undefined

/** Tells the best default route for all packets, of a table and NIC, that we did not make. */
export function bestDefaults(unicast: readonly Route[]): DefaultOf {
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

/** The next hop of a route on the NIC `dev`. */
function viaOf({ gw, onlink, src, attributes, nexthops }: Route, dev: string): Via {
  const part = nexthops?.find((hop) => hop.dev === dev) ?? { gw, onlink }
  return { gw: part.gw, onlink: part.onlink, src, attributes: attributes && attributesIn(attributes, IN_RESULT) }
}

/** The next hop that one of our routes was made with: without what came from its entry. */
function learntVia({ gw, onlink, src, attributes }: Route, entry: ConfiguredRoute | undefined): Via {
  return {
    gw,
    onlink,
    ...(entry?.src === undefined ? { src } : {}),
    attributes: withoutThose(attributes && attributesIn(attributes, IN_RESULT), entry?.attributes),
  }
}

/** Tells why an entry has no next hop, and what to write instead. */
export function noNextHops({ routes, links }: Snapshot): (configured: ConfiguredRoute, dev: string) => Problem {
  let tables: Map<string, Set<number>> | undefined
  return (configured, dev) => {
    const { dst, family, table } = configured
    const at = nameOf(configured)
    tables ??= defaultTables(routes)
    const others = [...(tables.get(`${family} ${dev}`) ?? [])].filter((one) => one !== table)
    const [first] = others
    const says = `no next hop to ${dst} is known on ${dev}, `
    if (first === undefined && !hasAddress(links, dev, family))
      return {
        at,
        says: `${says}which has no IPv${family} address; assign one by "ipam", or write "missingFamily": "skip"`,
      }
    if (first === undefined || first === MAIN_TABLE)
      return { at, says: `${says}which has no IPv${family} default route; add "gw" or "scope": "link"` }
    return {
      at,
      says: `${says}whose IPv${family} default route is in table ${others.slice(0, MAX_TABLES).join(', ')}; add "gw", or "table": ${first} to put this route there`,
    }
  }
}

/** The first tables with a default route, by family and NIC. */
function defaultTables(routes: readonly Route[]): Map<string, Set<number>> {
  const tables = new Map<string, Set<number>>()
  for (const route of routes) {
    if (route.dst !== DEFAULT_DST[route.family] || route.type !== UNICAST) continue
    for (const dev of devicesOf(route)) {
      const key = `${route.family} ${dev}`
      const known = tables.get(key) ?? new Set()
      if (known.size <= MAX_TABLES) tables.set(key, known.add(route.table))
    }
  }
  return tables
}

const MAX_TABLES = 5

/**
 * @see https://docs.tigera.io/calico/latest/reference/faq#why-cant-i-see-the-16925411-address-mentioned-above-on-my-host
 */
export const CALICO_GATEWAY = '169.254.1.1'

/** True if the entry itself says where its route leads. */
export function isExplicit({ gw, scope }: Pick<ConfiguredRoute, 'gw' | 'scope'>): boolean {
  return gw !== undefined || scope === Scope.link
}
