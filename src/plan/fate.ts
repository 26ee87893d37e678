import {
  GATEWAY_PROTOCOL,
  type Origin,
  placeOf,
  type Route,
  type RouteOp,
  sameNextHop,
  sameRoute,
  soleDevice,
} from '../net/route.ts'

/** What becomes of a route of the pod. */
export type Fate =
  | { readonly is: 'stays' }
  | { readonly is: 'removed'; readonly origin: Origin }
  /** `routes` are there instead, in its place or in others. */
  | { readonly is: 'replaced'; readonly routes: readonly Route[]; readonly origin: Origin }

export const STAYS: Fate = { is: 'stays' }
export const replaced = (origin: Origin, ...routes: Route[]): Fate => ({ is: 'replaced', routes, origin })

/** A route with its fate. */
export interface Fated {
  readonly route: Route
  readonly fate: Fate
}

/** A route that should be there. */
export interface Wanted {
  readonly route: Route
  readonly origin: Origin
}

/**
 * The operations that carry out fates. Additions come before deletions: at no moment is a route missing that was there
 * before and is wanted after. A route wanted twice is added once; one that is already there is left.
 * @param fated all routes in the places that are touched, in the kernel's order
 * @param made the wanted routes that replace none
 */
export function opsOf(fated: readonly Fated[], made: readonly Wanted[]): RouteOp[] {
  const leaving = new Map<Route, Origin>()
  const wanted = [...made]
  for (const { route, fate } of fated) {
    if (fate.is !== 'stays') leaving.set(route, fate.origin)
    if (fate.is === 'replaced') for (const other of fate.routes) wanted.push({ route: other, origin: fate.origin })
  }
  const ops = wanted.length === 0 ? [] : additions(fated, wanted, leaving)
  if (leaving.size > 0) leaving.forEach((origin, route) => void ops.push({ op: 'del', route, origin }))
  return ops
}

/**
 * Additions of the wanted routes, with the deletions they need. @param leaving is left with the deletions still to do
 */
function additions(fated: readonly Fated[], wanted: readonly Wanted[], leaving: Map<Route, Origin>): RouteOp[] {
  const inPlace = Map.groupBy(
    fated.map(({ route }) => route),
    placeOf,
  )
  const ops: RouteOp[] = []
  for (const { route, origin } of wanted) {
    const present = inPlace.get(placeOf(route)) ?? []
    inPlace.set(placeOf(route), present)
    const same = present.find((other) => sameRoute(other, route))
    if (same) {
      leaving.delete(same)
      continue
    }
    const [first, ...others] = present
    // `replace` replaces the first of several IPv4 routes in a place, and all of IPv6.
    if (first && leaving.has(first) && (route.family === 4 || others.length === 0)) {
      ops.push({ op: 'replace', route, origin })
      leaving.delete(first)
      present[0] = route
      continue
    }
    // The kernel refuses a second route with the same next hop.
    const twin = present.findIndex((other) => leaving.has(other) && sameNextHop(other, route))
    const [old] = twin < 0 ? [] : present.splice(twin, 1)
    const oldOrigin = old && leaving.get(old)
    if (old && oldOrigin) {
      ops.push({ op: 'del', route: old, origin: oldOrigin })
      leaving.delete(old)
    }
    ops.push({ op: present.length === 0 ? 'add' : 'append', route, origin })
    present.push(route)
  }
  return ops
}

/** True if we made it for `ovnGateway`, as far as the kernel shows. */
export function isMadeByUs({ protocol, presumed }: Route): boolean {
  return protocol === GATEWAY_PROTOCOL && !presumed
}

/**
 * Moves a demoted default route back to its old place.
 * @param ifTaken what happens if another NIC has that place now: the route `stays` demoted, or `joins` behind it (IPv4)
 * or beside it (IPv6)
 */
export function restoration(back: Route, holders: readonly Route[], ifTaken: 'stays' | 'joins', origin: Origin): Fate {
  if (holders.some((holder) => sameNextHop(holder, back))) return { is: 'removed', origin }
  const taken = holders.some((holder) => soleDevice(holder) !== soleDevice(back))
  return taken && ifTaken === 'stays' ? STAYS : replaced(origin, back)
}
