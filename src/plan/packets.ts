import type { Config } from '../config/config.ts'
import { isLinkLocal, isWithin, specialKind } from '../net/address.ts'
import {
  byDestination,
  DEFAULT_DST,
  LOCAL_TABLE,
  MAIN_TABLE,
  type Route,
  type Snapshot,
  sameHop,
  UNICAST,
} from '../net/route.ts'

/**
 * What becomes of packets: a rule of the pod (ip-rule(8)) may lead them to another table before the main one, where the
 * configured routes are. The kernel is asked for the way to one address of each.
 */
export interface Probe {
  readonly address: string
  /** Where in the configuration it stands what the packets should do: `routes[0]`. */
  readonly path: string
  /** What is asked for: `10.50.0.0/16`. */
  readonly dst: string
}

/** Addresses that no host has. @see https://www.rfc-editor.org/rfc/rfc5737, https://www.rfc-editor.org/rfc/rfc3849 */
const SOMEWHERE = { 4: '192.0.2.1', 6: '2001:db8::1' } as const
const FAMILIES = [4, 6] as const

/**
 * Of each configured route of the main table the first address; and one outside of all, where no default route shall lead by
 * the NIC. Rules that match a source address, a mark, a user or an input interface are not seen.
 */
export function probesOf({ routes, defaultRoute }: Config): Probe[] {
  const configured = routes.flatMap(({ key: path, dst, family, table }) => {
    const address = dst === DEFAULT_DST[family] ? SOMEWHERE[family] : dst.slice(0, dst.indexOf('/'))
    // Such an address alone does not tell a way.
    const isOdd = isLinkLocal(address) || specialKind(address) !== undefined
    return table !== MAIN_TABLE || isOdd ? [] : { address, path, dst }
  })
  const away = FAMILIES.filter((family) => defaultRoute[family] === 'remove').map((family) => ({
    address: SOMEWHERE[family],
    path: REMOVED,
    dst: DEFAULT_DST[family],
  }))
  return [...configured, ...away]
}

const REMOVED = 'defaultRoute'

/**
 * Where packets do something else than the routes say.
 * @param ways what the kernel told of each address; absent: it has no way for it
 */
export function astray(
  probes: readonly Probe[],
  ways: ReadonlyMap<string, Route>,
  snapshot: Snapshot,
  ifname: string,
): string[] {
  // A route that others made, such as `unreachable`, is theirs to make. Where not all routes are known, nobody knows.
  const { routes, leftOut } = snapshot
  const refusing = routes.filter(({ table, type }) => table === MAIN_TABLE && type !== UNICAST)
  const isRefused = (address: string) => leftOut !== undefined || refusing.some(({ dst }) => isWithin(address, dst))
  const inMain = byDestination(
    routes.filter(({ table }) => table === MAIN_TABLE),
    new Set(probes.map(({ dst }) => dst)),
  )
  const isSameWay = (way: Route, dst: string) => inMain.get(dst)?.some((route) => sameHop(route, way)) ?? false
  return probes.flatMap(({ address, path, dst }) => {
    const way = ways.get(address)
    if (path === REMOVED) {
      if (!way || way.dev !== ifname || !isElsewhere(way)) return []
      return `${path}: packets to other destinations (${address}, say) still leave by ${ifname}: ${byRule(way)}`
    }
    if (!way && isRefused(address)) return []
    if (!way) return `${path}: packets to ${dst} go nowhere; run "ip route get ${address}" and "ip rule" in the pod`
    return isElsewhere(way) && !isSameWay(way, dst)
      ? `${path}: packets to ${dst} do not take this route: ${byRule(way)}`
      : []
  })
}

/** In the local table are the pod's own addresses, which nobody need be led to. */
function isElsewhere({ table, type }: Route): boolean {
  return table !== MAIN_TABLE && !(table === LOCAL_TABLE && type !== UNICAST)
}

function byRule({ table, gw, dev }: Route): string {
  // `ip route get` prints the address in the place of the destination, and no protocol that means something.
  const way = [gw && `via ${gw}`, dev && `dev ${dev}`].filter(Boolean).join(' ')
  return table === LOCAL_TABLE ? `table local has them go ${way}` : `an "ip rule" sends them to table ${table}, ${way}`
}
