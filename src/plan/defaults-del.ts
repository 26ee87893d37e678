import type { Gateway } from '../config/gateway.ts'
import {
  BOOT_PROTOCOL,
  demoted,
  isDemoted,
  isMainDefault,
  type Origin,
  RESTORED_PROTOCOL,
  type Route,
  type RouteOp,
  restored,
  type Snapshot,
  sameEffect,
  sharingPlace,
  soleDevice,
} from '../net/route.ts'
import { type Fate, isMadeByUs, opsOf, replaced, restoration, STAYS } from './fate.ts'
import { staleCopies } from './gateway.ts'

const FAMILIES = [4, 6] as const
const DEL: Origin = { key: 'DEL', path: 'DEL' }

/**
 * What DEL does to default routes. Those that were made for the NIC are removed, and those demoted on it are restored.
 * What `ovnGateway` restored on another NIC is demoted again, as ADD found it: the pod keeps its default route, and
 * Calico can come back.
 */
export function planDefaultsDel(gateway: Gateway | undefined, ifname: string, snapshot: Snapshot): RouteOp[] {
  if (snapshot.tooManyDefaults) return []
  const all = snapshot.routes.filter(isMainDefault)
  return FAMILIES.flatMap((family) => {
    const defaults = all.filter((route) => route.family === family)
    if (defaults.length === 0) return []
    const fateOf = fatesByDel(gateway, ifname, defaults)
    return opsOf(
      defaults.map((route) => ({ route, fate: fateOf(route) })),
      [],
    )
  })
}

function fatesByDel(gateway: Gateway | undefined, ifname: string, defaults: readonly Route[]): (route: Route) => Fate {
  const inPlace = sharingPlace(defaults)
  const stale = staleCopies(defaults)
  const isOurs = (route: Route) => isMadeByUs(route) && isMadeForNic(route, gateway, ifname, defaults)
  const isBack = (route: Route) => route.protocol === RESTORED_PROTOCOL && soleDevice(route) !== ifname
  // Other NICs with a default route that ADD restored for `ovnGateway`, and that DEL demotes again.
  const demotable = new Set(gateway === undefined ? [] : defaults.filter(isBack).map(soleDevice))
  return (route) => {
    if (isOurs(route)) return { is: 'removed', origin: DEL }
    const device = soleDevice(route)
    if (isDemoted(route)) {
      if (device !== ifname && !demotable.has(device)) return STAYS
      if (stale.has(route)) return { is: 'removed', origin: DEL }
      if (device !== ifname) return STAYS
      const back = unmarked(restored(route))
      const holders = inPlace(back).filter((holder) => !isOurs(holder))
      return restoration(back, holders, 'joins', DEL)
    }
    if (route.protocol !== RESTORED_PROTOCOL) return STAYS
    if (device === ifname) return inPlace(route).length === 1 ? replaced(DEL, unmarked(route)) : STAYS
    const copy = gateway === undefined ? undefined : demoted(route, inPlace)
    return copy ? replaced(DEL, copy) : STAYS
  }
}

/** The route without our protocol number. */
function unmarked(route: Route): Route {
  return { ...route, protocol: BOOT_PROTOCOL }
}

/**
 * True if a default route was made for this NIC: it is on the NIC, on the one that `ovnGateway.dev` names, or, with
 * "auto", it is a demoted route that was wanted with another metric.
 */
function isMadeForNic(route: Route, gateway: Gateway | undefined, ifname: string, defaults: readonly Route[]): boolean {
  const device = soleDevice(route)
  if (device === ifname || (gateway?.dev !== undefined && device === gateway.dev)) return true
  if (gateway === undefined || gateway.priority !== route.priority || gateway.wanted[route.family] !== 'auto')
    return false
  return defaults.some((copy) => isDemoted(copy) && sameEffect(copy, route))
}
