import type { Config, ConfiguredRoute } from '../config/config.ts'
import { listed } from '../errors.ts'
import { type Family, familyOf, isLinkLocal } from '../net/address.ts'
import type { Link } from '../net/link.ts'
import type { Snapshot } from '../net/route.ts'

/**
 * What `missingFamily: skip` leaves out: routes and gateways of a family that their NIC has no address of. A route that
 * is left out is neither made nor missed; one that is there all the same, from when the NIC had such an address, stays.
 */

/** Link-local addresses do not count: an interface makes them itself. */
export function hasAddress(links: readonly Link[], dev: string, family: Family): boolean {
  const { addresses = [] } = links.find(({ ifname }) => ifname === dev) ?? {}
  return addresses.some((address) => familyOf(address) === family && !isLinkLocal(address))
}

/**
 * True if what is of a family on a NIC is left out. Not if the NIC is missing, or is down and so has lost its IPv6
 * addresses: these are other problems.
 */
export function isSkipped(
  { missingFamily }: Pick<Config, 'missingFamily'>,
  family: Family,
  dev: string,
  { links }: Pick<Snapshot, 'links'>,
): boolean {
  if (missingFamily === 'refuse') return false
  const link = links.find(({ ifname }) => ifname === dev)
  return link?.up === true && !hasAddress(links, dev, family)
}

/** The configuration without the routes that are left out. */
export function presentFamilies(config: Config, ifname: string, snapshot: Pick<Snapshot, 'links'>): Config {
  if (config.missingFamily === 'refuse') return config
  const known = new Map<string, boolean>()
  const isLeftOut = ({ family, dev = ifname }: ConfiguredRoute) => {
    const key = `${family} ${dev}`
    const answer = known.get(key) ?? isSkipped(config, family, dev, snapshot)
    known.set(key, answer)
    return answer
  }
  const routes = config.routes.filter((route) => !isLeftOut(route))
  return routes.length === config.routes.length ? config : { ...config, routes }
}

/** How many keys a warning lists. */
const MAX_LISTED = 10

/**
 * Says what was left out, for each NIC and family.
 * @param present the routes that were not
 * @param gateways the families of the gateways that were
 */
export function skippedWarnings(
  { routes, gateway }: Config,
  present: Config['routes'],
  gateways: readonly Family[],
  ifname: string,
): string[] {
  if (present === routes && gateways.length === 0) return []
  const keys = new Map<string, Set<string>>()
  const add = (family: Family, dev: string, key: string) => {
    const why = `IPv${family} is skipped on ${dev}, which has no IPv${family} address`
    keys.set(why, (keys.get(why) ?? new Set()).add(key))
  }
  const stays = new Set(present)
  // Of a set the entry is named once, and not each prefix.
  for (const route of routes) {
    const { family, dev = ifname, path, set } = route
    if (!stays.has(route)) add(family, dev, set === undefined ? path : `${path} (${set})`)
  }
  for (const family of gateways)
    add(family, gateway?.dev ?? ifname, gateway?.named ? `ovnGateway.ipv${family}` : 'ovnGateway')
  const said = [...keys].map(([why, some]) => `missingFamily: ${why}: ${listed([...some], MAX_LISTED).join(', ')}`)
  const isNothingLeft = gateways.length > 0 && gateways.length === Object.keys(gateway?.wanted ?? {}).length
  return isNothingLeft ? [...said, 'missingFamily: nothing of ovnGateway is left, so it does nothing'] : said
}
