import { isLinkLocal } from './address.ts'
import type { Config, ConfiguredRoute } from './config.ts'
import {
  devicesOf,
  GATEWAY_PROTOCOL,
  isPlainDefault,
  PROTOCOL,
  placeOf,
  type Route,
  Scope,
  type Snapshot,
  UNICAST,
} from './route.ts'

/** How packets leave a NIC for elsewhere: through a gateway, or (no `gw`) on-link. */
export interface Hop {
  readonly gw?: string | undefined
  readonly onlink?: boolean | undefined
}

/**
 * Finds the next hop that a NIC itself has, as far as the kernel still shows it: its default route, unless we made
 * it; when that is gone, on a repeated ADD, the routes that such entries of this configuration made before; Calico's link
 * route; the route that another plugin made to the same destination; the default we made or are to make.
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
  const explicit = new Set(config.routes.filter(isExplicit).map(placeOf))
  const learnt = new Set(config.routes.filter((route) => !isExplicit(route)).map(placeOf))
  const unicast = snapshot.routes.filter((route) => route.type === UNICAST)
  const defaults = unicast
    .filter((route) => isPlainDefault(route) && route.protocol !== GATEWAY_PROTOCOL)
    .sort((a, b) => a.priority - b.priority)
  const all = unicast.filter((route) => route.protocol === PROTOCOL)
  const ours = all.filter((route) => learnt.has(placeOf(route)))
  // Also another plugin's, which was just so and stayed. Of several in one place the first, which counts.
  const dsts = new Set(config.routes.map(({ dst }) => dst))
  const inPlace = new Map(
    unicast
      .filter((route) => dsts.has(route.dst) && learnt.has(placeOf(route)))
      .reverse()
      .map((route) => [`${route.dev} ${placeOf(route)}`, route]),
  )

  return (configured, dev) => {
    const { family, dst } = configured
    const onNic = (route: Route) => route.family === family && devicesOf(route).includes(dev)
    const standing = defaults.find(onNic)
    if (standing) return standing.nexthops?.find((hop) => hop.dev === dev) ?? standing
    const present = inPlace.get(`${dev} ${placeOf(configured)}`)
    const own = present?.protocol === PROTOCOL ? present : ours.find(onNic)
    const hop = hints.get(dst) ?? own
    if (hop) return hop
    if (unicast.some((route) => onNic(route) && route.dst === `${CALICO_GATEWAY}/32`)) return { gw: CALICO_GATEWAY }
    const other = present ?? gateways.find(onNic)
    if (other) return other
    return all.find(
      (route) => route.gw !== undefined && isLinkLocal(route.gw) && onNic(route) && !explicit.has(placeOf(route)),
    )
  }
}

export function noHop({ key, dst, family }: ConfiguredRoute, dev: string): string {
  return `${key}: no next hop to ${dst} is known on ${dev}, which has no IPv${family} default route; add "gw" or "scope": "link"`
}

/** @see https://docs.tigera.io/calico/latest/reference/faq#why-cant-i-see-the-16925411-address-mentioned-above-on-my-host */
const CALICO_GATEWAY = '169.254.1.1'

/** True if the entry itself says where its route leads. */
export function isExplicit({ gw, scope }: ConfiguredRoute): boolean {
  return gw !== undefined || scope === Scope.link
}
