/**
 * In a pod with very many routes only those are kept that a decision can need. That must make no difference: what is decided,
 * refused and told, and what a rollback does, is the same as with all of them.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { gatewayAddressesOf, parsePrevResult } from '../../../src/cni/result.ts'
import { type Config, parseConfig } from '../../../src/config/config.ts'
import { UNKNOWN_SETS } from '../../../src/config/route-sets.ts'
import { CniError } from '../../../src/errors.ts'
import { DEFAULT_DST, type Route, type Snapshot, samePlace } from '../../../src/net/route.ts'
import type { Rule } from '../../../src/net/rule.ts'
import { planRestore } from '../../../src/plan/effects.ts'
import { type Bounds, neededToAdd, neededToDel } from '../../../src/plan/needed.ts'
import { tableOf } from '../../../src/plan/nic-table.ts'
import { planAdd } from '../../../src/plan/plan.ts'
import { decideAdd } from '../../../src/verbs/add.ts'
import { decideDel } from '../../../src/verbs/del.ts'
import { link, route } from '../../support/snapshots.ts'

const DEVICES = ['eth0', 'net1', 'net2'] as const
const PREFIXES = {
  4: [
    '10.50.0.0/16',
    '10.50.3.0/24',
    '10.0.0.0/8',
    '169.254.1.1/32',
    '10.0.1.0/24',
    '10.199.3.128/26',
    '172.16.7.7/32',
  ],
  6: ['fd00:10:50::/48', 'fd00:10::/32', 'fd00:10:0:1::/64', 'fe80::/64'],
} as const
const GATEWAYS = {
  4: ['169.254.1.1', '10.0.1.1', '10.50.3.9'],
  6: ['fe80::1', 'fe80::2', 'fd00:10:0:1::1', 'fd00:10:50::9'],
} as const

const family = fc.constantFrom(4 as const, 6 as const)
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 2 })

const kernelRoute: fc.Arbitrary<Route> = family.chain((of) =>
  fc
    .record({
      dst: fc.constantFrom(DEFAULT_DST[of], DEFAULT_DST[of], ...PREFIXES[of], ...PREFIXES[of]),
      gw: maybe(fc.constantFrom(...GATEWAYS[of])),
      dev: fc.constantFrom(...DEVICES),
      table: fc.constantFrom(254, 254, 254, 100, 7, tableOf('eth0')),
      protocol: fc.constantFrom(2, 3, 16, 142, 142, 143, 144, 145),
      type: fc.constantFrom(1, 1, 1, 1, 1, 6),
      priority: fc.constantFrom(of === 4 ? 0 : 1024, 50, 0xf0000000 + (of === 4 ? 0 : 1024)),
      nexthops: fc.constantFrom(false, false, false, false, true),
    })
    .map(({ dst, gw, dev, nexthops, type, ...more }) => {
      if (type !== 1) return route(of, dst, { ...more, type })
      const hops = DEVICES.slice(0, 2).map((one) => ({ gw: GATEWAYS[of][0], dev: one, weight: 1, onlink: false }))
      if (nexthops && of === 4) return route(of, dst, { ...more, nexthops: hops })
      return route(of, dst, { ...more, dev, ...(gw === undefined ? {} : { gw }) })
    }),
)

/** Of ours and of others, to tables of NICs and to others. */
const someRules: fc.Arbitrary<Rule[]> = fc.array(
  fc
    .record({
      from: fc.constantFrom('10.199.3.153/32', '10.0.1.10/32', 'fd00:10:199::153/128'),
      table: fc.constantFrom(100, 7, tableOf('eth0'), tableOf('net1')),
      protocol: fc.constantFrom(3, 142, 142),
    })
    .map((one): Rule => ({ ...one, family: one.from.includes(':') ? 6 : 4, priority: 14200 })),
  { maxLength: 3 },
)

const pod: fc.Arbitrary<Snapshot> = fc
  .uniqueArray(kernelRoute, {
    maxLength: 16,
    comparator: (a, b) => samePlace(a, b) && a.dev === b.dev && a.gw === b.gw,
  })
  .chain((routes) =>
    someRules.map((rules) => ({
      routes,
      links: DEVICES.map((dev) => link(dev, '10.199.3.153', 'fd00:10:199::153')),
      rules,
    })),
  )

const entry = family.chain((of) =>
  fc.record(
    {
      dst: fc.constantFrom(...PREFIXES[of]),
      gw: fc.constantFrom(...GATEWAYS[of]),
      dev: fc.constantFrom(...DEVICES),
      priority: fc.constantFrom(50, 60),
      table: fc.constantFrom(254, 100),
      scope: fc.constant(of === 4 ? 'link' : undefined),
    },
    { requiredKeys: ['dst'] },
  ),
)

const disposition = fc.constantFrom('remove', 'demote', 'keep')
const conf = fc.record(
  {
    defaultRoute: fc.record({ ipv4: disposition, ipv6: disposition }),
    routes: fc.array(entry, { maxLength: 4 }),
    kubevirt: fc.boolean(),
    sourceRouting: fc.constantFrom(true, { table: 100 }, { table: 7 }),
    ovnGateway: fc.oneof(
      fc.constant('auto'),
      fc.record(
        {
          ipv4: fc.constantFrom('auto', ...GATEWAYS[4]),
          ipv6: fc.constantFrom('auto', ...GATEWAYS[6]),
          dev: fc.constantFrom(...DEVICES),
        },
        { requiredKeys: ['ipv4'] },
      ),
    ),
  },
  { requiredKeys: ['defaultRoute', 'routes'] },
)
const known = fc
  .tuple(conf, maybe(fc.constantFrom(...GATEWAYS[4])), maybe(fc.constantFrom('10.199.3.153/26', '10.50.0.0/16')))
  .map(([keys, gateway, dst]) => ({
    conf: keys,
    config: configOf(keys),
    prev: parsePrevResult({
      interfaces: [{ name: 'eth0' }],
      ips: [{ address: '10.199.3.153/32', interface: 0, ...(gateway ? { gateway } : {}) }],
      routes: dst ? [{ dst }] : [],
    }),
  }))

function configOf(keys: object): Config {
  try {
    return parseConfig(keys as Record<string, unknown>)
  } catch {
    return parseConfig({}) // a place that is asked for twice
  }
}

/** What is left of a pod where only that is kept. */
function leftBy({ filter }: Bounds, { routes, ...rest }: Snapshot): Snapshot {
  const isNeeded = filter()
  return { ...rest, routes: routes.filter((one) => isNeeded(one)) }
}

/** What comes of it, refusal or decision. */
function outcome<T>(decide: () => T): T | { readonly refused: string } {
  try {
    return decide()
  } catch (error) {
    if (!(error instanceof CniError)) throw error
    return { refused: `${error.message}; ${error.details}` }
  }
}

const RUNS = { numRuns: 3000 }

describe('of a pod with very many routes enough is kept', () => {
  it('for ADD to decide, refuse and tell the same', () => {
    const seen = { refused: 0, decided: 0, dropped: 0 }
    fc.assert(
      fc.property(pod, known, (all, { config, prev }) => {
        const some = leftBy(neededToAdd(config, 'eth0', prev), all)
        const add = (snapshot: Snapshot) => decideAdd({ cniVersion: '1.1.0', ifname: 'eth0' }, config, prev, snapshot)
        const full = outcome(() => add(all))
        expect(outcome(() => add(some))).toEqual(full)
        seen['refused' in full ? 'refused' : 'decided'] += 1
        if (some.routes.length < all.routes.length) seen.dropped += 1
      }),
      RUNS,
    )
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(RUNS.numRuns / 20)
  })

  it('for ADD to learn the next hop from Calico’s link route, when its default route is gone', () => {
    const config = parseConfig({ routes: [{ dst: '10.50.0.0/16' }] })
    const isNeeded = neededToAdd(config, 'eth0', {}).filter()
    expect(isNeeded(route(4, '169.254.1.1/32', { dev: 'eth0' }))).toBe(true)
    expect(isNeeded(route(4, '169.254.1.2/32', { dev: 'eth0' }))).toBe(false)
  })

  it('for CHECK to plan the same by the next hops that ADD reported', () => {
    fc.assert(
      fc.property(pod, known, (all, { config, prev }) => {
        const some = leftBy(neededToAdd(config, 'eth0', prev), all)
        const hops = ({ family: of }: { family: 4 | 6 }) => ({ gw: GATEWAYS[of][0] })
        const plan = (snapshot: Snapshot) =>
          planAdd(config, 'eth0', snapshot, { gatewayAddresses: gatewayAddressesOf(prev, 'eth0'), hops })
        expect(outcome(() => plan(some))).toEqual(outcome(() => plan(all)))
      }),
      RUNS,
    )
  })

  it('for DEL to take the same away', () => {
    let dropped = 0
    fc.assert(
      fc.property(pod, known, (all, { conf: keys, config }) => {
        const some = leftBy(
          neededToDel(() => config, 'eth0'),
          all,
        )
        const whole = config.routes.length > 0 || keys.routes.length === 0 ? { ...keys } : {}
        expect(decideDel(whole, 'eth0', some, UNKNOWN_SETS)).toEqual(decideDel(whole, 'eth0', all, UNKNOWN_SETS))
        if (some.routes.length < all.routes.length) dropped += 1
      }),
      RUNS,
    )
    expect(dropped).toBeGreaterThan(RUNS.numRuns / 2)
  })

  it('for DEL of a configuration with more routes than a crowded pod may have of others', () => {
    const routes = Array.from({ length: 5000 }, (_, i) => ({ dst: `10.${i >> 8}.${i & 255}.0/24`, dev: 'net1' }))
    const config = parseConfig({ routes })
    expect(neededToDel(() => config, 'eth0').max()).toBeGreaterThan(5000)
    expect(neededToAdd(config, 'eth0', {}).max()).toBeGreaterThan(5000)
  })

  it('for a rollback to bring the same back', () => {
    fc.assert(
      fc.property(pod, pod, known, (before, now, { config, prev }) => {
        const ops = planAdd(config, 'eth0', before, { gatewayAddresses: gatewayAddressesOf(prev, 'eth0') }).ops
        const kept = (snapshot: Snapshot) => leftBy(neededToAdd(config, 'eth0', prev), snapshot)
        expect(planRestore(kept(before), kept(now), ops)).toEqual(planRestore(before, now, ops))
      }),
      RUNS,
    )
  })
})
