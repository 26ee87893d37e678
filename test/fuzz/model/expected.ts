/** What docs/configuration.md says of ADD, as a function. Written from there and not from the source: it knows less, and is asked less. */
import type { Attributes } from '../../../src/net/attributes.ts'
import { EXAMPLES, printedAs } from '../../support/attributes.ts'
import type { Attached, Conf, RouteConf } from './cases.ts'
import { ANY, attributesText, FAMILIES, type Family, mainDefaults, type Seen, type Tables } from './pod.ts'

export const PROTO = { route: 142, gateway: 143, demoted: 144, restored: 145 } as const
const BEHIND_ALL_OTHERS = 0xf0000000
export const isMarked = ({ proto }: Seen) => proto >= PROTO.route && proto <= PROTO.restored

/** A route as the model tells them apart. */
export type Told = Pick<Seen, 'family' | 'dst' | 'gw' | 'dev' | 'table' | 'proto' | 'metric' | 'attributes'>
export const tell = ({ family, dst, gw, dev, table, proto, metric, attributes }: Told): string =>
  `IPv${family} ${dst} via ${gw} dev ${dev} table ${table} proto ${proto} metric ${metric} ${attributesText({ attributes })}`

export type Expected =
  | { readonly gone: readonly string[]; readonly come: readonly string[] }
  /** ADD cannot do what it is asked. */
  | 'refused'
  /** The document leaves it open, or the model does. */
  | 'open'

/** What `missingFamily: skip` leaves of the routes on a NIC without an IPv6 address. */
export function withoutIpv6(conf: Conf): Conf {
  return { ...conf, routes: conf.routes.filter(({ dst }) => !dst.includes(':')) }
}

/** @param skips no IPv6 gateway is made */
export function afterAdd(before: Tables, conf: Conf, nic: Attached, skips: boolean): Expected {
  const gone: Told[] = []
  const come: Told[] = []
  const marked = before.routes.filter(isMarked)
  // Who has been here before decides on much: the invariants of repeated calls are about that.
  if (marked.some(({ proto, dev }) => proto !== PROTO.demoted || dev === nic)) return 'open'
  if (conf.ovnGateway !== 'auto' && marked.length > 0) return 'open'
  let found = false
  for (const family of FAMILIES) {
    const defaults = mainDefaults(before, family)
    if (before.routes.some((one) => one.unicast && one.dst === ANY[family] && one.dev === undefined)) return 'open'
    // Of several in one place, what becomes of them is for the invariants to say.
    if (new Set(defaults.map(({ metric }) => metric)).size < defaults.length) return 'open'
    const own = defaults.filter(({ dev }) => dev === nic)
    // The pod's one default is to be found, and is just being demoted: two wishes in one configuration.
    if (conf.ovnGateway === 'auto' && conf.defaultRoute[`ipv${family}`] === 'demote') return 'open'
    const named = gatewayOf(conf, family, nic, defaults)
    const isNamed = (one: Told) => one.gw === named?.gw && one.dev === named?.dev && one.metric === named?.metric
    const isLeftOut = skips && family === 6 && named?.proto === PROTO.gateway && !defaults.some(isNamed)
    const wanted = isLeftOut ? undefined : named
    found ||= wanted !== undefined || defaults.some(({ dev }) => dev !== nic)
    const stays = (one: Told) => wanted !== undefined && isNamed(one)
    // Which of the NIC's defaults a route takes its attributes from, where one goes and another stays, is left open.
    if (own.some(stays) && !own.every(stays)) return 'open'
    if (wanted && !defaults.some(stays)) {
      const inPlace = defaults.find(({ metric }) => metric === wanted.metric)
      const disposition = conf.defaultRoute[`ipv${family}`]
      if (inPlace && (inPlace.dev !== nic || disposition !== 'remove')) return inPlace.dev === nic ? 'open' : 'refused'
      come.push(wanted)
      gone.push(
        ...defaults.filter(({ proto }) => proto === PROTO.demoted && wanted.proto === PROTO.restored).slice(0, 1),
      )
    }
    for (const one of own.filter((route) => !stays(route))) {
      if (conf.defaultRoute[`ipv${family}`] !== 'keep') gone.push(one)
      if (conf.defaultRoute[`ipv${family}`] === 'demote')
        come.push({ ...one, proto: PROTO.demoted, metric: one.metric + BEHIND_ALL_OTHERS })
    }
    for (const entry of conf.routes.filter(({ dst }) => (dst.includes(':') ? 6 : 4) === family)) {
      // What the NIC reaches directly, and who made that, is for other tests.
      const isThere = ({ dst, dev, table }: Seen) => dst === entry.dst && dev === nic && table === (entry.table ?? 254)
      const isDirect = (one: Seen) => isThere(one) && one.gw === undefined
      if (entry.gw === undefined && before.routes.some(isDirect)) return 'open'
      const route = routeOf(entry, family, nic, own, wanted)
      // Where no next hop is known otherwise, that of another plugin's route counts.
      if (route === undefined && before.routes.some(isThere)) return 'open'
      if (route === undefined) return 'refused'
      const inPlace = before.routes.filter(
        ({ dst, table, metric }) => dst === route.dst && table === route.table && metric === route.metric,
      )
      if (inPlace.some(({ dev }) => dev !== nic)) return 'refused'
      // The same made by another plugin stays that plugin's; what is the same is for other tests to say.
      if (inPlace.some(({ gw }) => gw === route.gw || gw === undefined) || inPlace.length > 1) return 'open'
      if (inPlace.length > 0) return 'refused'
      come.push(route)
    }
  }
  if (conf.ovnGateway === 'auto' && !found) return 'refused'
  return { gone: gone.map(tell).sort(), come: come.map(tell).sort() }
}

function gatewayOf({ ovnGateway }: Conf, family: Family, nic: Attached, defaults: readonly Seen[]): Told | undefined {
  if (ovnGateway === undefined) return undefined
  if (ovnGateway === 'auto') {
    const [parked] = defaults.filter(({ proto }) => proto === PROTO.demoted).sort((a, b) => a.metric - b.metric)
    return parked && { ...parked, proto: PROTO.restored, metric: parked.metric - BEHIND_ALL_OTHERS }
  }
  const gw = ovnGateway[`ipv${family}`]
  if (gw === undefined) return undefined
  const metric = ovnGateway.priority ?? (family === 4 ? 0 : 1024)
  return { family, dst: ANY[family], gw, dev: nic, table: 254, proto: PROTO.gateway, metric, attributes: {} }
}

/** Undefined: no next hop is known. */
function routeOf(
  { dst, gw, scope, priority, table = 254, ...keys }: RouteConf,
  family: Family,
  nic: Attached,
  own: readonly Seen[],
  wanted: Told | undefined,
): Told | undefined {
  const [lowest] = [...own].sort((a, b) => a.metric - b.metric)
  const calico = nic === 'eth0' && family === 4 ? '169.254.1.1' : undefined
  const hop = gw ?? lowest?.gw ?? (wanted?.dev === nic ? wanted.gw : undefined) ?? calico
  if (scope === undefined && hop === undefined) return undefined
  const learnt = gw === undefined && scope === undefined && lowest ? reported(lowest.attributes) : {}
  return {
    family,
    dst,
    ...(scope === 'link' || hop === undefined ? {} : { gw: hop }),
    dev: nic,
    table,
    proto: PROTO.route,
    metric: priority ?? (family === 4 ? 0 : 1024),
    attributes: withOwn(learnt, keys),
  }
}

/** Only what a Result can report is learnt. */
function reported({ mtu, advmss }: Told['attributes']): Told['attributes'] {
  return { ...(mtu === undefined ? {} : { mtu }), ...(advmss === undefined ? {} : { advmss }) }
}

/** What an entry says goes before what is learnt. */
function withOwn(learnt: Told['attributes'], own: Attributes): Told['attributes'] {
  const named = EXAMPLES.filter(({ name }) => own[name] !== undefined)
  const all: Record<string, unknown> = { ...learnt }
  for (const { name, attribute } of named) delete all[attribute.printed ?? name]
  return Object.assign(all, ...named.map((example) => printedAs(example, own[example.name] ?? false)))
}

/** What is in one table and not in the other, to the last attribute; several of a kind count as several. */
export function difference(before: Tables, after: Tables): { gone: string[]; come: string[] } {
  const without = (these: Tables, those: Tables) => {
    const left = those.routes.map(({ text }) => text)
    return these.routes
      .filter(({ text }) => {
        const at = left.indexOf(text)
        if (at >= 0) left.splice(at, 1)
        return at < 0
      })
      .map(tell)
      .sort()
  }
  return { gone: without(before, after), come: without(after, before) }
}
