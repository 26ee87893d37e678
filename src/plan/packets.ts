import { type Config, nameOf } from '../config/config.ts'
import { familyOf, isLinkLocal, isWithin, specialKind } from '../net/address.ts'
import type { Link } from '../net/link.ts'
import {
  byDestination,
  DEFAULT_DST,
  LOCAL_TABLE,
  MAIN_TABLE,
  type Route,
  type Snapshot,
  sameNextHop,
  UNICAST,
} from '../net/route.ts'
import { lastingAddresses, SOURCE_ROUTING } from './nic-table.ts'

/**
 * What becomes of packets: a rule in the pod (ip-rule(8)) may send them to another table, before the one that we expect
 * is looked at. So we ask the kernel which route it chooses for one address of each.
 */
export interface Probe {
  /** As `ip route get` reads it: an address, or one `from` another. */
  readonly address: string
  /** What the probe is about: `routes[0]`, `routes[0] (underlay:12)`. */
  readonly path: string
  /** The destination of that key: `10.50.0.0/16`. */
  readonly dst: string
}

/** Addresses that no host has. @see https://www.rfc-editor.org/rfc/rfc5737, https://www.rfc-editor.org/rfc/rfc3849 */
const SOMEWHERE = { 4: '192.0.2.1', 6: '2001:db8::1' } as const
const FAMILIES = [4, 6] as const

/**
 * The first address of each configured route of the main table; and an address outside of all of them for each family
 * whose default route is removed; and with `sourceRouting` one from each address of the NIC. Rules that match a source
 * address that no probe has, a mark, a user or an input interface go unnoticed.
 */
export function probesOf({ routes, defaultRoute, sourceRouting }: Config, nic?: Link): Probe[] {
  const configured = routes.flatMap((route) => {
    const { dst, family, table } = route
    const address = dst === DEFAULT_DST[family] ? SOMEWHERE[family] : dst.slice(0, dst.indexOf('/'))
    // The kernel cannot choose a route by such an address alone.
    const isOdd = isLinkLocal(address) || specialKind(address) !== undefined
    return table !== MAIN_TABLE || isOdd ? [] : { address, path: nameOf(route), dst }
  })
  const away = FAMILIES.filter((family) => defaultRoute[family] === 'remove').map((family) => ({
    address: SOMEWHERE[family],
    path: REMOVED,
    dst: DEFAULT_DST[family],
  }))
  const sources = sourceRouting && nic ? lastingAddresses(nic) : []
  const answers = sources.map((source) => {
    const family = familyOf(source)
    return { address: `${SOMEWHERE[family]} from ${source}`, path: SOURCE_ROUTING, dst: DEFAULT_DST[family] }
  })
  return [...configured, ...away, ...answers]
}

const REMOVED = 'defaultRoute'

/**
 * Where packets do not do what the routes say.
 * @param chosen the route that the kernel chose for each address, if it has one
 */
export function strayPackets(
  probes: readonly Probe[],
  chosen: ReadonlyMap<string, Route>,
  snapshot: Snapshot,
  ifname: string,
): string[] {
  // Somebody may have made a route such as `unreachable` on purpose. If not all routes are known, there may be one.
  const { routes, leftOut } = snapshot
  const refusing = routes.filter(({ table, type }) => table === MAIN_TABLE && type !== UNICAST)
  const isRefused = (address: string) => leftOut !== undefined || refusing.some(({ dst }) => isWithin(address, dst))
  const inMain = byDestination(
    routes.filter(({ table }) => table === MAIN_TABLE),
    new Set(probes.map(({ dst }) => dst)),
  )
  const isConfigured = (route: Route, dst: string) => inMain.get(dst)?.some((one) => sameNextHop(one, route)) ?? false
  return probes.flatMap(({ address, path, dst }) => {
    const route = chosen.get(address)
    if (path === SOURCE_ROUTING) {
      if (route?.dev === ifname) return []
      const instead = route ? byRule(route) : `run "ip route get ${address}" and "ip rule" in the pod`
      return `${path}: packets from ${address.replace(/.* from /, '')} do not leave through ${ifname}: ${instead}`
    }
    if (path === REMOVED) {
      if (!route || route.dev !== ifname || !isElsewhere(route)) return []
      return `${path}: packets to other destinations, such as ${address}, still leave through ${ifname}: ${byRule(route)}`
    }
    if (!route && isRefused(address)) return []
    if (!route) return `${path}: packets to ${dst} go nowhere; run "ip route get ${address}" and "ip rule" in the pod`
    return isElsewhere(route) && !isConfigured(route, dst)
      ? `${path}: packets to ${dst} do not take this route: ${byRule(route)}`
      : []
  })
}

/** The local table holds the pod's own addresses: nothing has to lead there. */
function isElsewhere({ table, type }: Route): boolean {
  return table !== MAIN_TABLE && !(table === LOCAL_TABLE && type !== UNICAST)
}

function byRule({ table, gw, dev }: Route): string {
  // `ip route get` prints the address instead of the route's destination, and a meaningless protocol.
  const nextHop = [gw && `via ${gw}`, dev && `dev ${dev}`].filter(Boolean).join(' ')
  return table === LOCAL_TABLE
    ? `table local sends them ${nextHop}`
    : `an "ip rule" sends them to table ${table}, ${nextHop}`
}
