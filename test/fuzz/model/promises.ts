/** What the plugin promises of a pod, whatever it was given. */
import { expect } from 'vitest'
import type { CniFailure, CniResult } from '../../support/runtime.ts'
import type { Attached, Case, Conf } from './cases.ts'
import { isMarked, PROTO } from './expected.ts'
import { ANY, FAMILIES, mainDefaults, type Seen, type Tables } from './pod.ts'

const isOurs = ({ proto }: Pick<Seen, 'proto'>) => proto === PROTO.route || proto === PROTO.gateway

/** Where a route leads: of a next hop that is not the first of its IPv6 place the kernel tells no more. */
export const way = ({ family, dst, gw, dev, table, metric }: Seen) =>
  `IPv${family} ${dst} ${gw} ${dev} ${table} ${metric}`

export const delLine = ({ family, dst, gw, dev, table, metric, proto }: Seen) =>
  `route del ${dst}${gw === undefined ? '' : ` via ${gw}`}${dev === undefined ? '' : ` dev ${dev}`} table ${table} proto ${proto}${
    family === 6 || metric > 0 ? ` metric ${metric}` : ''
  }`

/** True for a route that an entry asks for: there may be others of our protocol number. */
export const isConfigured = ({ dst, table, metric, proto, family }: Seen, { routes }: Conf): boolean =>
  proto === PROTO.route &&
  routes.some(
    (entry) =>
      entry.dst === dst && (entry.table ?? 254) === table && (entry.priority ?? (family === 4 ? 0 : 1024)) === metric,
  )

/** A failed ADD leaves all routes as they were; of several in one IPv4 place the order as well, or it says that it does not. */
export function expectRestored(before: Tables, after: Tables, { msg, details = '' }: CniFailure): void {
  const joined = new Set([before, after].flatMap(({ routes }) => routes.filter((one) => one.joined).map(way)))
  const text = (one: Seen) => (joined.has(way(one)) ? way(one) : one.text)
  const all = ({ routes }: Tables) => routes.map(text).sort()
  const ordered = ({ routes }: Tables) => routes.filter(({ family }) => family === 4).map(text)
  const told = `${msg}; ${details}`
  expect(all(after), told).toEqual(all(before))
  if (told.includes('in another order')) expect(ordered(after), told).not.toEqual(ordered(before))
  else expect(ordered(after), told).toEqual(ordered(before))
}

/** Routes that bear no mark of ours change only on the NICs whose ADD it is; by DEL come back the defaults that had one. */
export function expectOthersUntouched(
  before: Tables,
  after: Tables,
  nics: readonly string[],
  deleting: readonly string[] = [],
): void {
  const isBack = ({ dev = '', table, dst }: Seen) =>
    deleting.includes(dev) && table === 254 && FAMILIES.some((family) => dst === ANY[family])
  const joined = new Set([before, after].flatMap(({ routes }) => routes.filter((one) => one.joined).map(way)))
  const others = ({ routes }: Tables) =>
    routes
      .filter((one) => !(isMarked(one) && !joined.has(way(one))) && !nics.includes(one.dev ?? '') && !isBack(one))
      .map((one) => (joined.has(way(one)) ? way(one) : one.text))
      .sort()
  expect(others(after), 'routes of others').toEqual(others(before))
}

/** A pod that had a default route which nobody was told to remove has one. */
export function expectDefaultKept(
  before: Tables,
  after: Tables,
  adding: readonly Attached[],
  confs: Case['confs'],
): void {
  for (const family of FAMILIES) {
    const kept = mainDefaults(before, family).filter(({ proto, dev }) => {
      const nic = adding.find((one) => one === dev)
      return !isOurs({ proto }) && (nic === undefined || confs[nic].defaultRoute[`ipv${family}`] === 'demote')
    })
    if (kept.length > 0) expect(mainDefaults(after, family), `a default route of IPv${family}`).not.toEqual([])
  }
}

/** `ovnGateway` makes or restores one default route, not two, whoever made others of our protocol numbers before. */
export function expectOneOfOurs(before: Tables, after: Tables, conf?: Conf): void {
  const were = new Set(before.routes.map((route) => route.text))
  for (const family of FAMILIES) {
    const restores = conf?.ovnGateway === 'auto' && conf.defaultRoute[`ipv${family}`] !== 'demote'
    const came = mainDefaults(after, family).filter(
      ({ proto, text }) => (proto === PROTO.gateway || (restores && proto === PROTO.restored)) && !were.has(text),
    )
    expect(came.length, 'defaults of ours').toBeLessThanOrEqual(1)
  }
}

/** The Result tells of what the kernel holds in the main table, of all that came of ours there, and of all that is configured. */
export function expectToldTruth(nic: Attached, conf: Conf, result: CniResult, before: Tables, after: Tables): void {
  const text = ({ dst, gw }: { dst: string; gw?: string }) => `${dst} via ${gw}`
  const told = (result.routes ?? []).map(text)
  const held = after.routes.filter(({ table, dev }) => table === 254 && dev === nic)
  expect(held.map(text)).toEqual(expect.arrayContaining(told))
  const were = new Set(before.routes.map((route) => route.text))
  const came = held.filter((route) => isOurs(route) && !were.has(route.text))
  expect(told).toEqual(expect.arrayContaining(came.map(text)))
  for (const { dst, table } of conf.routes) if (table === undefined) expect(told.join()).toContain(dst)
}
