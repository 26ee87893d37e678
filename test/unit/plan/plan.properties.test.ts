import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Config, parseConfig } from '../../../src/config/config.ts'
import { DEFAULT_DST, devicesOf, type Route, routeOpsIn, type Snapshot, samePlace } from '../../../src/net/route.ts'
import { type Rule, ruleText } from '../../../src/net/rule.ts'
import { planRestore } from '../../../src/plan/effects.ts'
import { tableOf } from '../../../src/plan/nic-table.ts'
import { type Plan, planAdd, planDel } from '../../../src/plan/plan.ts'
import { heldAttributes, someAttributes } from '../../support/attributes.ts'
import { carryOut, shown, sorted } from '../../support/kernel.ts'
import { link, route } from '../../support/snapshots.ts'

const DEVICES = ['eth0', 'net1', 'net2'] as const
const PREFIXES = {
  4: ['10.50.0.0/16', '10.199.0.0/16', '172.20.0.0/16', '169.254.1.1/32'],
  6: ['fd00:10:50::/48', 'fd00:10:199::/64'],
} as const
const GATEWAYS = { 4: ['169.254.1.1', '10.0.1.1'], 6: ['fe80::1', 'fd00::1'] } as const

const family = fc.constantFrom(4 as const, 6 as const)
const metric = (of: 4 | 6) => fc.constantFrom(of === 4 ? 0 : 1024, 50, 4096)
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })

/** A route as anybody might have made it, on any interface. */
const kernelRoute: fc.Arbitrary<Route> = family.chain((of) =>
  fc
    .record({
      dst: fc.constantFrom(DEFAULT_DST[of], DEFAULT_DST[of], ...PREFIXES[of]),
      gw: maybe(fc.constantFrom(...GATEWAYS[of])),
      dev: fc.constantFrom(...DEVICES),
      table: fc.constantFrom(254, 254, 254, 100, tableOf('eth0')),
      protocol: fc.constantFrom(2, 3, 16, 142),
      priority: metric(of),
      attributes: heldAttributes,
      some: fc.constantFrom(false, false, false, true),
    })
    .map(({ dst, gw, attributes, some, ...more }) =>
      route(of, dst, {
        ...more,
        ...(gw === undefined ? {} : { gw }),
        ...(attributes === undefined ? {} : { attributes }),
        ...(some ? (of === 4 ? { tos: '0x10' } : { from: 'fd00::/16' }) : {}),
      }),
    ),
)

const rule = (from: string, table: number, more: Partial<Rule> = {}): Rule => ({
  ...{ family: from.includes(':') ? 6 : 4, priority: 14200, from, table, protocol: 142 },
  ...more,
})

/** As calls before left them, and others made them. */
const RULES: Rule[] = [
  rule('10.199.3.153/32', tableOf('eth0')),
  rule('fd00:10:199::153/128', 100),
  rule('10.199.9.9/32', tableOf('eth0')),
  rule('10.199.9.9/32', 100, { priority: 7 }),
  rule('10.199.3.153/32', tableOf('net1')),
  rule('10.199.3.153/32', 42, { protocol: 3 }),
  rule('10.199.3.153/32', tableOf('eth0'), { protocol: 3 }),
]
const texts = ({ rules = [] }: Snapshot) => rules.map(ruleText).sort()

/** A table the kernel could hold: several routes in one place too, as `append` and router advertisements make them. */
const snapshot: fc.Arbitrary<Snapshot> = fc
  .uniqueArray(kernelRoute, {
    maxLength: 12,
    comparator: (a, b) => samePlace(a, b) && a.dev === b.dev && a.gw === b.gw,
  })
  .chain((routes) =>
    fc.subarray(RULES).map((rules) => ({
      routes,
      links: DEVICES.map((dev) => link(dev, '10.199.3.153', 'fd00:10:199::153')),
      rules,
    })),
  )

const configured = family.chain((of) =>
  fc
    .record(
      {
        dst: fc.constantFrom(...PREFIXES[of]),
        gw: fc.constantFrom(...GATEWAYS[of]),
        priority: metric(of),
        table: fc.constantFrom(254, 100),
        attributes: someAttributes,
        src: fc.constant(of === 4 ? '10.199.3.153' : 'fd00:10:199::153'),
      },
      { requiredKeys: ['dst'] },
    )
    .map(({ attributes, ...keys }) => ({ ...keys, ...attributes })),
)

const config: fc.Arbitrary<Config> = fc
  .record({
    defaultRoute: fc.record({ ipv4: fc.constantFrom('remove', 'keep'), ipv6: fc.constantFrom('remove', 'keep') }),
    routes: fc.array(configured, { maxLength: 5 }),
    sourceRouting: fc.constantFrom(false, true, { table: 100 }),
  })
  .map((conf) => {
    try {
      return parseConfig(conf)
    } catch {
      return parseConfig({ defaultRoute: conf.defaultRoute }) // duplicates: another property's business
    }
  })

const disposition = fc.constantFrom('remove', 'demote', 'keep')
const withGateway: fc.Arbitrary<Config> = fc
  .record({
    defaultRoute: fc.record({ ipv4: disposition, ipv6: disposition }),
    ovnGateway: maybe(
      fc.oneof(
        fc.constant('auto'),
        fc.record(
          {
            ipv4: fc.constantFrom('auto', ...GATEWAYS[4]),
            ipv6: fc.constantFrom('auto', ...GATEWAYS[6]),
            dev: fc.constantFrom(...DEVICES),
            priority: fc.constantFrom(77, 4096),
            onlink: fc.constant(true),
          },
          { requiredKeys: ['onlink'] },
        ),
      ),
    ),
  })
  .map(({ defaultRoute, ovnGateway }) =>
    parseConfig({ defaultRoute, ...(ovnGateway === undefined ? {} : { ovnGateway }) }),
  )

/** Of an IPv6 next hop that is not the first of its place, no more is known than where it leads. */
function ways(pod: Snapshot): string[] {
  const several = (r: Route) => r.family === 6 && pod.routes.some((other) => other !== r && samePlace(other, r))
  return pod.routes
    .map((r) =>
      several(r) ? `${r.dst} ${r.gw} ${r.dev} ${r.table} ${r.priority}` : JSON.stringify(Object.entries(r).sort()),
    )
    .toSorted()
}

/** Runs `property` on every pod and configuration that go together. */
function forAll(property: (pod: Snapshot, conf: Config, plan: Plan) => void): void {
  let planned = 0
  fc.assert(
    fc.property(snapshot, config, (pod, conf) => {
      const plan = planAdd(conf, 'eth0', shown(pod))
      if (plan.problems.length > 0) return
      planned++
      property(pod, conf, plan)
    }),
    { numRuns: 2000 },
  )
  // A generator that only makes what is refused would prove nothing.
  expect(planned).toBeGreaterThan(100)
}

describe('whatever the pod and the configuration', () => {
  it('ADD is a batch that the kernel takes, and a second ADD finds nothing to do', () => {
    forAll((pod, conf, plan) => {
      const after = planAdd(conf, 'eth0', shown(carryOut(pod, plan.ops)))
      expect(after.problems).toEqual([])
      expect(after.ops).toEqual([])
    })
  })

  it('ADD leaves every route of another device as it was', () => {
    const others = (pod: Snapshot) => sorted(pod.routes.filter((r) => !devicesOf(r).includes('eth0')))
    forAll((pod, _, plan) => {
      expect(routeOpsIn(plan.ops).every(({ route: { dev } }) => dev === 'eth0')).toBe(true)
      expect(others(carryOut(pod, plan.ops))).toEqual(others(pod))
    })
  })

  it('ADD removes the defaults it is told to, and else only what is ours, after all additions', () => {
    forAll((pod, conf, plan) => {
      const after = carryOut(pod, plan.ops)
      for (const of of [4, 6] as const) {
        const left = after.routes.filter(
          (r) => r.family === of && r.dst === DEFAULT_DST[of] && r.table === 254 && r.dev === 'eth0',
        )
        if (conf.defaultRoute[of] === 'remove') expect(left).toEqual([])
      }
      const kinds = plan.ops.map(({ op }) => (op === 'del' ? 1 : 0))
      expect(kinds).toEqual([...kinds].sort())
      const theirs = (of: Snapshot) =>
        sorted(of.routes.filter((r) => r.protocol !== 142 && !(r.table === 254 && r.dst === DEFAULT_DST[r.family])))
      expect(theirs(after)).toEqual(theirs(pod))
    })
  })

  it('a rollback from any point brings back the pod', () => {
    forAll((pod, _, { ops }) => {
      for (let done = 0; done <= ops.length; done++) {
        const now = carryOut(pod, ops.slice(0, done))
        const back = carryOut(now, planRestore(shown(pod), shown(now), ops))
        expect(ways(back)).toEqual(ways(pod))
        expect(texts(back)).toEqual(texts(pod))
      }
    })
  })

  it('DEL after ADD leaves none of our routes on the device that the kernel shows as such, and all others', () => {
    forAll((pod, conf, plan) => {
      const after = carryOut(pod, plan.ops)
      const seen = shown(after)
      const left = carryOut(
        after,
        planDel(() => conf, 'eth0', seen),
      )
      const ofNic = new Set([tableOf('eth0'), tableOf('eth0', conf.sourceRouting)])
      expect(left.rules?.filter(({ table, protocol }) => protocol === 142 && ofNic.has(table))).toEqual([])
      expect(texts(left)).toEqual(expect.arrayContaining(texts(after).filter((one) => !one.endsWith('protocol 142'))))
      const isOurs = ({ dev, protocol, presumed }: Route) => dev === 'eth0' && protocol === 142 && !presumed
      const expected = after.routes.filter((_, i) => !isOurs(seen.routes[i] as Route))
      expect(sorted(left.routes)).toEqual(sorted(expected))
    })
  })

  it('what ADD decides is final, and DEL leaves nothing that is marked as ours, with every way to treat default routes', () => {
    let planned = 0
    fc.assert(
      fc.property(snapshot, withGateway, fc.constantFrom('eth0', 'net1'), (pod, conf, ifname) => {
        // What a plugin makes, and no marks of ours: calls before are for other tests.
        const before = { ...pod, routes: pod.routes.filter(({ protocol }) => protocol !== 142) }
        const { ops, problems } = planAdd(conf, ifname, shown(before))
        if (problems.length > 0) return
        planned++
        const after = carryOut(before, ops)
        expect(planAdd(conf, ifname, shown(after))).toMatchObject({ ops: [], problems: [] })
        let left = after
        for (let round = 0; round < 3; round++)
          left = carryOut(
            left,
            planDel(() => conf, ifname, shown(left)),
          )
        const marked = shown(left).routes.filter(
          ({ protocol, presumed }) => protocol >= 142 && protocol <= 145 && !presumed,
        )
        expect(marked).toEqual([])
        // A default that nobody was told to remove is there afterwards, and where it was.
        const isKept = (r: Route) =>
          r.dst === DEFAULT_DST[r.family] && (r.dev !== ifname || conf.defaultRoute[r.family] !== 'remove')
        const place = ({ dst, gw, dev, table, priority, tos, from }: Route) =>
          JSON.stringify([dst, gw, dev, table, priority, tos, from])
        const stacked = (r: Route) =>
          r.family === 4 && before.routes.some((other) => other !== r && samePlace(other, r))
        const expected = before.routes.filter((r) => isKept(r) && !stacked(r)).map(place)
        expect(left.routes.map(place)).toEqual(expect.arrayContaining(expected))
      }),
      { numRuns: 3000 },
    )
    expect(planned).toBeGreaterThan(300)
  })
})
