import type { ConfiguredRoute } from '../config/config.ts'
import { familyOf, isLinkLocal, parseAddress, parsePrefix } from '../net/address.ts'
import { DEFAULT_DST, MAIN_TABLE, PROTOCOL, placeOf, type Route, type Snapshot, UNICAST } from '../net/route.ts'
import { bestDefaults, hopsOfDefaults, isExplicit, type NextHops } from './next-hop.ts'
import { learntHops } from './reported.ts'
import type { Wish } from './wish.ts'

/** A gateway that was once used on a NIC. */
interface Used {
  readonly dev?: string
  readonly gw?: string
}

/**
 * The next hops of a pod's NICs for a repair, if nothing else tells. They are, the first that is known, those
 * - that other attachments learnt
 * - of routes for prefixes that nobody asks for any more, according to the Results
 * - of our routes, according to the kernel
 * - of default routes that ADD left, according to the Results
 * - of default routes that somebody put there, and that go.
 */
export function formerHops(wishes: readonly Wish[], snapshot: Snapshot): NextHops {
  let sources: readonly NextHops[] | undefined
  return (configured, dev) => {
    sources ??= sourcesOf(wishes, snapshot)
    for (const hop of sources) {
      const via = hop(configured, dev)
      if (via) return via
    }
    return undefined
  }
}

function sourcesOf(wishes: readonly Wish[], { routes }: Snapshot): readonly NextHops[] {
  const explicit = wishes.flatMap(({ config, ifname }) =>
    config.routes.filter(isExplicit).map((entry) => ({ ...entry, dev: entry.dev ?? ifname })),
  )
  const gateways = (entries: typeof explicit) => new Set(entries.map(({ gw, dev }) => `${gw} ${dev}`))
  // In a Result, only a set can have had other prefixes that led to the gateway which its entry names.
  const [named, namedForSets] = [gateways(explicit), gateways(explicit.filter(({ set }) => set !== undefined))]
  const explicitIn = new Set(explicit.map((entry) => `${placeOf(entry)} ${entry.dev}`))
  const unicast = routes.filter(({ type }) => type === UNICAST)
  const [ours, others] = [[] as Route[], [] as Route[]]
  for (const route of unicast) (route.protocol === PROTOCOL ? ours : others).push(route)
  const theirs = new Set(others.map(({ dst, gw, dev }) => `${dst} ${gw} ${dev}`))
  const reported = wishes.flatMap((wish) => reportedBeside(wish, wishes))
  const isDefault = ({ dst }: { readonly dst: string }) => dst === DEFAULT_DST[familyOf(dst)]
  return [
    ...wishes.map(learntHops),
    onlyGateways(
      reported.filter((one) => !isDefault(one) && !theirs.has(`${one.dst} ${one.gw} ${one.dev}`)),
      namedForSets,
    ),
    onlyGateways(
      ours.filter((route) => !explicitIn.has(`${placeOf(route)} ${route.dev}`)),
      named,
    ),
    onlyGateways(reported.filter(isDefault), new Set()),
    hopsOfDefaults(bestDefaults(unicast)),
  ]
}

/** The gateways in a Result, without those of destinations for which entries of the chain name a gateway or another NIC. */
function reportedBeside({ prev, ifname }: Wish, wishes: readonly Wish[]): (Used & { readonly dst: string })[] {
  const chain = wishes.filter((wish) => wish.ifname === ifname)
  const isElsewhere = (entry: ConfiguredRoute) => isExplicit(entry) || (entry.dev ?? ifname) !== ifname
  // A Result has the routes of the main table.
  const elsewhere = new Set(
    chain.flatMap(({ config }) =>
      config.routes.filter((entry) => entry.table === MAIN_TABLE && isElsewhere(entry)).map(({ dst }) => dst),
    ),
  )
  return (prev.routes ?? []).flatMap(({ dst, gw }) => {
    const network = parsePrefix(dst)?.network
    const address = typeof gw === 'string' ? parseAddress(gw)?.address : undefined
    const isKnown = network !== undefined && address !== undefined && !elsewhere.has(network)
    return isKnown ? { dst: network, gw: address, dev: ifname } : []
  })
}

/** The gateway that was used on each NIC in each family, if there is only one, or only one that is link-local. */
function onlyGateways(used: readonly Used[], named: ReadonlySet<string>): NextHops {
  const known = new Map<string, Set<string>>()
  for (const { gw, dev } of used) {
    if (gw === undefined || named.has(`${gw} ${dev}`)) continue
    const nic = `${familyOf(gw)} ${dev}`
    known.set(nic, (known.get(nic) ?? new Set()).add(gw))
  }
  return ({ family }, dev) => {
    const gws = [...(known.get(`${family} ${dev}`) ?? [])]
    const linkLocal = gws.filter(isLinkLocal)
    const [gw] = linkLocal.length === 1 ? linkLocal : gws.length === 1 ? gws : []
    return gw === undefined ? undefined : { gw }
  }
}
