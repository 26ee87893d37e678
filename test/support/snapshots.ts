import type { Link } from '../../src/net/link.ts'
import { DEFAULT_PRIORITY, MAIN_TABLE, type Route, type Snapshot, UNICAST } from '../../src/net/route.ts'

/** A unicast route of the main table as `ip route add` makes it; what a test is about is said by `more`. */
export function route(family: 4 | 6, dst: string, more: Partial<Route> = {}): Route {
  return {
    family,
    type: UNICAST,
    dst,
    table: MAIN_TABLE,
    protocol: 3,
    priority: DEFAULT_PRIORITY[family],
    ...(family === 4 ? { scope: more.gw === undefined && more.nexthops === undefined ? 253 : 0 } : {}),
    ...more,
  }
}

export const DEFAULT4 = route(4, '0.0.0.0/0', { gw: '169.254.1.1', dev: 'eth0' })
export const DEFAULT6 = route(6, '::/0', { gw: 'fe80::ecee:eeff:feee:eeee', dev: 'eth0' })
export const LINK4 = route(4, '169.254.1.1/32', { dev: 'eth0' })

export function link(ifname: string, ...addresses: string[]): Link {
  return { ifname, up: true, kind: 'veth', addresses }
}

/** A pod as Calico leaves it, dual stack, with whatever else a test puts in. */
export function calicoPod(...more: Route[]): Snapshot {
  return {
    routes: [DEFAULT4, LINK4, DEFAULT6, ...more],
    links: [
      link('lo', '127.0.0.1', '::1'),
      link('eth0', '10.199.3.153', 'fd00:10:199::153'),
      link('net1', '10.0.1.10'),
    ],
  }
}
