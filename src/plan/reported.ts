import { gatewayAddressesOf } from '../cni/result.ts'
import type { ConfiguredRoute } from '../config/config.ts'
import type { Family } from '../net/address.ts'
import { IN_RESULT, type KnownAttributes } from '../net/attributes.ts'
import { MAIN_TABLE } from '../net/route.ts'
import { isExplicit, type NextHops, type Via } from './next-hop.ts'
import type { Reported } from './plan.ts'
import type { Wish } from './wish.ts'

/** What the Result of ADD tells those who compare a pod with its configuration later: CHECK, and repair. */
export function reportedBy(wish: Wish): Reported {
  return { gatewayAddresses: gatewayAddressesOf(wish.prev, wish.ifname), hops: reportedHops(wish) }
}

/**
 * The next hops that ADD reported: for a destination of the Result its own; for one that came later, in a route set, the
 * one that the others of its NIC and family learnt.
 */
function reportedHops(wish: Wish): NextHops {
  const reported = reportedIn(wish)
  const learnt = learntFrom(reported, wish)
  return (configured, dev) => reported(configured) ?? learnt(configured, dev)
}

/** The next hop that the routes of an attachment learnt on each NIC in each family. */
export function learntHops(wish: Wish): NextHops {
  return learntFrom(reportedIn(wish), wish)
}

/** The next hop of an entry without one that the Result has. */
type OfEntry = (entry: ConfiguredRoute) => Via | undefined

/**
 * The next hops that the Result has for entries of the main table, all but those that others name. Since CNI 1.1.0 it also
 * tells metrics, and some attributes, or that the route has none; before, it does not tell routes to one destination
 * apart: they count if all are on one NIC and have the same gateway.
 */
function reportedIn({ prev, config: { routes }, ifname }: Wish): OfEntry {
  const complete = prev.cniVersion === '1.1.0'
  const keyOf = (dst: string, priority: unknown) => (complete ? `${dst} ${priority ?? ''}` : dst)
  const entriesOf = Map.groupBy(
    routes.filter(({ table }) => table === MAIN_TABLE),
    ({ dst, given }) => keyOf(dst, given.priority),
  )
  const reported = Map.groupBy(prev.routes ?? [], ({ dst, priority }) => keyOf(dst, priority))
  return ({ dst, dev, table, given }) => {
    if (table !== MAIN_TABLE) return undefined
    const key = keyOf(dst, given.priority)
    const entries = entriesOf.get(key) ?? []
    const named: unknown[] = entries.filter(isExplicit).map(({ gw }) => gw)
    const [first, ...others] = (reported.get(key) ?? []).filter(({ gw }) => {
      const at = named.indexOf(gw)
      if (at >= 0) named.splice(at, 1)
      return at < 0
    })
    const isElsewhere = entries.some((one) => (one.dev ?? ifname) !== (dev ?? ifname))
    if (!first || isElsewhere || others.some(({ gw }) => gw !== first.gw)) return undefined
    return {
      gw: typeof first.gw === 'string' ? first.gw : undefined,
      ...(complete ? { attributes: attributesOf(first) } : {}),
    }
  }
}

function attributesOf(entry: Readonly<Record<string, unknown>>): KnownAttributes {
  return Object.fromEntries(IN_RESULT.map((name) => [name, optionalNumber(entry[name])]))
}

function optionalNumber(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined
}

const nicOf = ({ family }: { readonly family: Family }, dev: string) => `${family} ${dev}`

/**
 * What the routes of each NIC and family learnt, if all learnt the same gateway. Those without one say nothing: they may
 * be connected routes, which led to their destination all along.
 */
function learntFrom(reported: OfEntry, { config: { routes }, ifname }: Wish): NextHops {
  let known: ReadonlyMap<string, Via> | undefined
  return (configured, dev) => {
    known ??= byNic()
    return known.get(nicOf(configured, dev))
  }

  function byNic(): ReadonlyMap<string, Via> {
    const learnt = new Map<string, Via>()
    const differing = new Set<string>()
    for (const entry of routes) {
      const via = isExplicit(entry) ? undefined : reported(entry)
      if (via?.gw === undefined) continue
      const nic = nicOf(entry, entry.dev ?? ifname)
      const other = learnt.get(nic)
      if (other && other.gw !== via.gw) differing.add(nic)
      const attributes = { ...learntAttributes(via, entry), ...other?.attributes }
      learnt.set(nic, { gw: via.gw, ...(via.attributes ? { attributes } : {}) })
    }
    for (const nic of differing) learnt.delete(nic)
    return learnt
  }
}

/** Those that an entry sets itself say nothing about the next hop. */
function learntAttributes({ attributes = {} }: Via, entry: ConfiguredRoute): KnownAttributes {
  return Object.fromEntries(Object.entries(attributes).filter(([name]) => !Object.hasOwn(entry.attributes ?? {}, name)))
}
