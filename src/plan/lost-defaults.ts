import { reportedDefault } from '../cni/result.ts'
import {
  BOOT_PROTOCOL,
  defaultVia,
  demoted,
  isPlainDefault,
  type Origin,
  type Route,
  type RouteOp,
  type Snapshot,
  sharingPlace,
} from '../net/route.ts'
import { isOnLink } from './gateway.ts'
import { isSkipped } from './present-families.ts'
import type { Wish } from './wish.ts'

const DEFAULT_ROUTE: Origin = { key: 'defaultRoute', path: 'defaultRoute' }

/**
 * What brings back default routes of a NIC that ADD reported, and that `demote` was to keep for the pod. They come back
 * demoted, so that `ovnGateway` can restore them. If the pod has another default route, somebody else has decided.
 * @param counts whether a default route of the pod is such another
 */
export function lostDefaults(
  { config, ifname, prev }: Wish,
  snapshot: Snapshot,
  counts: (route: Route) => boolean = () => true,
): RouteOp[] {
  const { routes } = snapshot
  return ([4, 6] as const).flatMap((family) => {
    if (config.defaultRoute[family] !== 'demote' || isSkipped(config, family, ifname, snapshot)) return []
    if (routes.some((route) => route.family === family && isPlainDefault(route) && counts(route))) return []
    const known = reportedDefault(prev, family)
    if (!known || !isOnLink(known.gw, ifname, routes)) return []
    const { gw, priority } = known
    const copy = demoted({ ...defaultVia(gw, ifname), protocol: BOOT_PROTOCOL, priority }, sharingPlace(routes))
    return copy ? { op: 'add', route: copy, origin: DEFAULT_ROUTE } : []
  })
}
