/** What repair makes of a pod, in a model of the kernel. XCR_FUZZ_RUNS multiplies the number of pods. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CniError } from '../../../src/errors.ts'
import { routeText } from '../../../src/net/iproute2.ts'
import {
  isDemoted,
  isMainDefault,
  isPlainDefault,
  MAIN_TABLE,
  PROTOCOL,
  placeOf,
  type Route,
  restored,
  type Snapshot,
  samePlace,
} from '../../../src/net/route.ts'
import { isOurRule, ruleText } from '../../../src/net/rule.ts'
import { planRestore } from '../../../src/plan/effects.ts'
import type { Bounds } from '../../../src/plan/needed.ts'
import { planRepair } from '../../../src/plan/repair.ts'
import { neededToRepair } from '../../../src/plan/surplus.ts'
import type { Wish } from '../../../src/plan/wish.ts'
import { damaged, damageToAny, damageToOurs, isOurs, type Known, NOWHERE } from '../../support/damage.ts'
import { carryOut, shown } from '../../support/kernel.ts'
import {
  type Attachment,
  attachAll,
  checkAll,
  type Pod,
  type Repaired,
  repairPod,
  type Sets,
  wishesOf,
} from '../../support/living-pod.ts'
import { type Asking, asking, attachments, type Conf, maybe, nic, sets } from '../../support/living-pods.ts'
import { route } from '../../support/snapshots.ts'

const FAMILIES = [4, 6] as const
const RUNS = { numRuns: Math.ceil(1500 * Number(process.env.XCR_FUZZ_RUNS ?? 1)) }

/** The pod that fresh ADDs make; undefined if one is refused. */
function attached(all: readonly Attachment[], of: Sets): Pod | undefined {
  try {
    return attachAll(all, of)
  } catch (error) {
    if (error instanceof CniError || /File exists/.test(String(error))) return undefined
    throw error
  }
}

/** One attachment has spoilt another: a Kube-OVN overwrites the default route of an earlier one. */
const isSpoilt = (pod: Pod, of: Sets) => checkAll(wishesOf(pod, of), pod.now).length > 0

/** Two attachments ask for one route: the later one has it. */
function isTwice(wishes: readonly Wish[]): boolean {
  const places = wishes.flatMap(({ config, ifname }) =>
    config.routes.map((one) => `${one.dev ?? ifname} ${placeOf(one)}`),
  )
  return new Set(places).size < places.length
}

type Told = { readonly dst: string; readonly gw?: string }
const resultsOf = ({ asked }: Pod, dev?: string) =>
  asked.flatMap(({ conf, ifname }) =>
    dev === undefined || ifname === dev ? (conf.prevResult as { routes: readonly Told[] }).routes : [],
  )

function knownOf(pod: Pod, wishes: readonly Wish[], isAlone: boolean): Known {
  const told = new Set(resultsOf(pod).map(({ dst, gw }) => `${dst} ${gw}`))
  const asked = new Set(wishes.flatMap(({ config }) => config.routes.map(placeOf)))
  return {
    isTold: (one) => one.table === MAIN_TABLE && asked.has(placeOf(one)) && told.has(`${one.dst} ${one.gw}`),
    isRemoved: (family, dev) =>
      wishes.every(({ config, ifname }) => ifname !== dev || config.defaultRoute[family] === 'remove'),
    isAlone,
  }
}

const texts = (pod: Snapshot, which: (one: Route) => boolean) => pod.routes.filter(which).map(routeText)
const configured = (pod: Snapshot) => texts(pod, ({ protocol }) => protocol === PROTOCOL).sort()
const ofOthers = (pod: Snapshot) => texts(pod, (one) => !isOurs(one) && !isMainDefault(one))

const ourRules = ({ rules = [] }: Snapshot) => rules.filter(isOurRule).map(ruleText).sort()

/** Where packets go that no other route takes. @param metricOf by which the default routes are ranked */
function wayOut({ routes }: Snapshot, family: 4 | 6, metricOf = (one: Route) => one.priority): string | undefined {
  const [best] = routes
    .filter((one) => one.family === family && isPlainDefault(one))
    .sort((a, b) => metricOf(a) - metricOf(b))
  return best && `IPv${family} via ${best.gw} dev ${best.dev}`
}

/** A demoted default route and a restored one are both as ADD leaves them, whichever attachment came first. */
function expectSameWayOut(after: Snapshot, fresh: Snapshot, { all }: Asking, wishes: readonly Wish[]): void {
  for (const family of FAMILIES) {
    const lenders = new Set(
      wishes.flatMap(({ config, ifname }) => (config.defaultRoute[family] === 'demote' ? ifname : [])),
    )
    const isLent = ({ dev }: Route) => dev !== undefined && lenders.has(dev)
    const ways = [
      wayOut(fresh, family, (one) => (isLent(one) ? 2 ** 32 : one.priority)),
      wayOut(fresh, family, (one) => (isLent(one) && isDemoted(one) ? restored(one) : one).priority),
    ]
    // If several NICs have default routes of which one is lent, one may have been put in the place of another.
    const rivals = all.filter(({ withDefault, nic: of }) => withDefault && of !== 'eth0')
    if (lenders.size === 0 || (lenders.size === 1 && rivals.length < 2)) expect(ways).toContain(wayOut(after, family))
    else expect(wayOut(after, family) === undefined).toBe(ways.every((way) => way === undefined))
  }
}

/** What leads somewhere before and afterwards does so at every moment; and so does what is the same. */
function expectNothingLost(before: Snapshot, { between, now }: Repaired): void {
  const tables = [before, ...between, now].map(
    ({ routes }) => new Set(routes.flatMap((one) => [routeText(one), `${one.dst} ${one.table}`])),
  )
  const [first, last] = [tables[0], tables.at(-1)]
  const steady = [...(first ?? [])].filter((one) => last?.has(one))
  for (const table of tables) expect(steady.filter((one) => !table.has(one))).toEqual([])
}

/** Of an IPv6 next hop that is not the first of its place, no more is known than where it leads. */
function ways({ routes }: Snapshot): string[] {
  const isSeveral = (one: Route) => one.family === 6 && routes.some((other) => other !== one && samePlace(other, one))
  return routes
    .map((one) =>
      isSeveral(one)
        ? `${one.dst} ${one.gw} ${one.dev} ${one.table} ${one.priority}`
        : JSON.stringify(Object.entries(one).sort()),
    )
    .toSorted()
}

function expectRollback(before: Snapshot, { between, plans: [{ ops }] }: Repaired): void {
  for (const state of between) {
    const back = carryOut(state, planRestore(shown(before), shown(state), ops))
    expect(ways(back)).toEqual(ways(before))
  }
}

/**
 * True for a next hop that nothing shows any more: no route of ours on the NIC, and no Result, which has those of main.
 * Gateways that entries name do not count.
 */
function isUnknowable(found: string, pod: Pod, { routes }: Snapshot): boolean {
  const [, family, to = '', dev] = /no (?:IPv([46]) )?next hop(?: to (\S+))? is known on ([^ ,]+)/.exec(found) ?? []
  const dst = family === '6' ? '::/0' : to
  const entries = pod.asked.flatMap(({ conf, ifname }) => (conf as Conf).routes.map((one) => ({ ...one, ifname })))
  const named = new Set(entries.filter(({ ifname }) => ifname === dev).map(({ gw }) => gw))
  const elsewhere = new Set(entries.filter((one) => one.dev !== undefined).map((one) => one.dst))
  const tells = (one: Told) =>
    one.gw !== undefined && !named.has(one.gw) && !elsewhere.has(one.dst) && one.dst.includes(':') === dst.includes(':')
  const isLeft = (one: Route) => one.protocol === PROTOCOL && one.dev === dev && tells(one) && routes.includes(one)
  return (
    dev !== undefined &&
    !pod.now.routes.some(isLeft) &&
    !resultsOf(pod, dev).some((one) => tells(one) && !one.dst.endsWith('/0'))
  )
}

/** Routes that no decision needs. */
function withNoise(pod: Snapshot): Snapshot {
  const noise = pod.links.flatMap(({ ifname: dev }, i) => [
    route(4, `10.90.${i}.0/24`, { dev }),
    route(4, `10.91.${i}.0/24`, { gw: NOWHERE[4], dev }),
    route(6, `fd00:90:${i}::/48`, { gw: NOWHERE[6], dev, protocol: 16 }),
  ])
  return { ...pod, routes: [...noise, ...pod.routes] }
}

/** A NIC has lost its IPv6 addresses; its routes are still there. */
function withoutIpv6(nic: string | undefined, pod: Snapshot): Snapshot {
  const isLeft = (address: string) => !address.includes(':')
  const links = pod.links.map((one) => (one.ifname === nic ? { ...one, addresses: one.addresses.filter(isLeft) } : one))
  return { ...pod, links }
}

function leftBy({ filter }: Bounds, { routes, ...rest }: Snapshot): Snapshot {
  const isNeeded = filter()
  return { routes: routes.filter((one) => isNeeded(one)), ...rest }
}

describe('whatever was done to a pod', () => {
  it('with routes of ours: repair makes it what fresh ADDs would have made of it, and loses nothing on the way', () => {
    const tally = { repaired: 0, unknowable: 0 }
    const cases = asking.chain((one) => {
      const on = one.all.flatMap(({ chain, nic: of }) => (chain.length > 0 ? of : []))
      return fc.tuple(fc.constant(one), damageToOurs(on))
    })
    fc.assert(
      fc.property(cases, ([asked, damages]) => {
        const [pod, fresh] = [attached(asked.all, asked.old), attached(asked.all, asked.now)]
        if (!pod || !fresh || isSpoilt(pod, asked.old) || isSpoilt(fresh, asked.now)) return
        const wishes = wishesOf(pod, asked.now)
        if (isTwice(wishes)) return
        // With "auto", the gateway that the kernel has on the NIC counts more than the reported one.
        const isTrusting = wishes.some(({ config }) => Object.values(config.gateway?.wanted ?? {}).includes('auto'))
        const isBack = damages.every(({ to }) => to === 'a removed default route is back')
        const isAlone = asked.now === asked.old && isBack && !isTrusting
        const before = damaged(pod.now, damages, knownOf(pod, wishes, isAlone))

        const repaired = repairPod(wishes, before)

        const { now: after, plans } = repaired
        const unknown = plans[0].found.filter((one) => /no (?:IPv[46] )?next hop/.test(one))
        if (plans[0].refused !== undefined && unknown.length > 0) {
          expect(unknown.filter((one) => !isUnknowable(one, pod, before))).toEqual([])
          tally.unknowable++
          return
        }
        expect(plans.map(({ refused }) => refused)).toEqual(plans.map(() => undefined))
        expect(plans.length, 'looks').toBeLessThanOrEqual(2)
        expect(plans.at(-1)?.found).toEqual([])
        expect(checkAll(wishes, after)).toEqual([])
        expect(configured(after)).toEqual(configured(fresh.now))
        expect(ofOthers(after)).toEqual(ofOthers(fresh.now))
        expect(ourRules(after)).toEqual(ourRules(fresh.now))
        expectSameWayOut(after, fresh.now, asked, wishes)
        expectNothingLost(before, repaired)
        expectRollback(before, repaired)
        if (plans.length > 1) tally.repaired++
      }),
      RUNS,
    )
    expect(tally.repaired / RUNS.numRuns, JSON.stringify(tally)).toBeGreaterThan(0.15)
    expect(tally.unknowable / RUNS.numRuns, JSON.stringify(tally)).toBeLessThan(0.1)
  })

  it('with anybody’s routes: CHECK of all attachments passes, or nothing is done', () => {
    const tally = { nothing: 0, refused: 0, repaired: 0, kernel: 0 }
    fc.assert(
      fc.property(
        attachments,
        sets,
        maybe(sets),
        damageToAny(nic),
        maybe(nic),
        (all, old, changed, damages, lacking) => {
          const pod = attached(all, old)
          if (!pod) return
          const before = withoutIpv6(lacking, damaged(withNoise(pod.now), damages))
          const wishes = wishesOf(pod, changed ?? old)
          const said = checkAll(wishes, before)
          const plan = planRepair(wishes, shown(before))
          // In a pod with very many routes only some are kept.
          expect(planRepair(wishes, leftBy(neededToRepair(wishes), shown(before)))).toEqual(plan)
          if (said.length > 0) expect(plan.found).not.toEqual([])
          // CHECK does not know what nobody asks for.
          const isSurplus = plan.found.some((one) => one.includes('not removed'))
          if (plan.refused !== undefined) {
            tally.refused++
            if (!isSurplus) expect(said, plan.found.join()).not.toEqual([])
            return
          }
          if (said.length === 0 && !isSurplus) expect(plan.ops).toEqual([])

          const repaired = tried(() => repairPod(wishes, before))

          if (!repaired) {
            // A place that is ours by its metric, and a next hop that somebody already has there.
            expect(damages.map(({ to }) => to)).toContain('a default route looks like ours')
            tally.kernel++
            return
          }
          const { now: after, plans } = repaired
          expect(ofOthers(after)).toEqual(ofOthers(before))
          // Of an IPv6 multipath route the kernel shows only a part: it may take another look to find what to do.
          if (plans.length <= 2) expectNothingLost(before, repaired)
          if (plans.at(-1)?.refused === undefined) expect(checkAll(wishes, after)).toEqual([])
          tally[plans.length > 1 ? 'repaired' : 'nothing']++
        },
      ),
      RUNS,
    )
    for (const one of ['nothing', 'refused', 'repaired'] as const)
      expect(tally[one] / RUNS.numRuns, JSON.stringify(tally)).toBeGreaterThan(0.05)
    expect(tally.kernel / RUNS.numRuns, JSON.stringify(tally)).toBeLessThan(0.01)
  })
})

/** Undefined if the kernel refuses. */
function tried<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch (error) {
    if (/File exists/.test(String(error))) return undefined
    throw error
  }
}
