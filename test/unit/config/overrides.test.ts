import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nameOf } from '../../../src/config/config.ts'
import { effectiveConfig, isDry, onlyKnown } from '../../../src/config/overrides.ts'
import { UNKNOWN_SETS } from '../../../src/config/route-sets.ts'
import { isWithin, parsePrefix } from '../../../src/net/address.ts'
import { PROTOCOL, routeOpsIn } from '../../../src/net/route.ts'
import { decideDel } from '../../../src/verbs/del.ts'
import { refusal } from '../../support/refusal.ts'
import { setsOf } from '../../support/sets.ts'
import { calicoPod, route } from '../../support/snapshots.ts'

const OVERRIDES = { allow: ['routes', 'ovnGateway'], within: ['10.50.0.0/16', 'fd00:10::/32'] }
const conf = (cni: Record<string, unknown>, overrides?: unknown) => ({
  routes: [{ dst: '10.199.0.0/16' }],
  ...(overrides === undefined ? {} : { overrides }),
  args: { cni },
})

describe('args.cni', () => {
  it('that was taken is where later messages point', () => {
    expect(effectiveConfig(conf({ routes: [{ dst: '10.50.31.0/24' }] }, OVERRIDES), UNKNOWN_SETS).routes[0]?.path).toBe(
      'args.cni.routes[0]',
    )
  })

  it('changes nothing if it has no key of ours', () => {
    expect(
      effectiveConfig(conf({ ips: ['10.0.0.1/32'], mac: 'x' }), UNKNOWN_SETS).routes.map(({ dst }) => dst),
    ).toEqual(['10.199.0.0/16'])
    expect(effectiveConfig({ args: null }, UNKNOWN_SETS).routes).toEqual([])
    expect(effectiveConfig({ args: { cni: 'x' } }, UNKNOWN_SETS).routes).toEqual([])
  })

  it('asks for nothing by null', () => {
    expect(
      effectiveConfig(conf({ routes: null, defaultRoute: null, overrides: null }), UNKNOWN_SETS).routes,
    ).toHaveLength(1)
    expect(
      effectiveConfig({ ...conf({ dryRun: true }, { allow: ['dryRun'], within: null }), routes: null }, UNKNOWN_SETS)
        .dryRun,
    ).toBe(true)
  })

  it('may hold keys of other plugins, also those that resemble ours', () => {
    const cni = { addroutes: [], flushgateway: true, route: [], ovn_gateway: 'x', gateway: '10.0.0.1', logFiles: 1 }
    expect(effectiveConfig(conf(cni), UNKNOWN_SETS).routes).toHaveLength(1)
  })

  it('takes the place of a key that may be overridden', () => {
    const { routes, gateway } = effectiveConfig(
      conf({ routes: [{ dst: '10.50.31.0/24' }, { dst: 'fd00:10:50::/48' }], ovnGateway: 'auto' }, OVERRIDES),
      UNKNOWN_SETS,
    )
    expect(routes.map(({ dst }) => dst)).toEqual(['10.50.31.0/24', 'fd00:10:50::/48'])
    expect(gateway?.either).toBe(true)
  })

  it('may skip a missing family only where that is allowed', () => {
    const asked = (overrides: unknown) => effectiveConfig(conf({ missingFamily: 'skip' }, overrides), UNKNOWN_SETS)
    expect(asked({ allow: ['missingFamily'] }).missingFamily).toBe('skip')
    expect(refusal(() => asked(OVERRIDES))).toMatchObject({
      code: 120,
      message: 'args.cni.missingFamily: not in "overrides.allow" of the network configuration',
    })
  })

  it.each<[string, Record<string, unknown>, unknown]>([
    ['args.cni.routes: not in "overrides.allow" of the network configuration', { routes: [] }, undefined],
    [
      'args.cni.defaultRoute: not in "overrides.allow" of the network configuration',
      { defaultRoute: 'keep' },
      OVERRIDES,
    ],
    [
      'args.cni.overrides: not in "overrides.allow" of the network configuration',
      { overrides: { allow: ['routes'] } },
      OVERRIDES,
    ],
    ['args.cni.logFile: not in "overrides.allow" of the network configuration', { logFile: '/etc/passwd' }, OVERRIDES],
    [
      'args.cni.routes[1].dst: 10.60.0.0/16 is outside "overrides.within" (10.50.0.0/16, fd00:10::/32)',
      { routes: [{ dst: '10.50.0.0/17' }, { dst: '10.60.0.0/16' }] },
      OVERRIDES,
    ],
    [
      'args.cni.routes[0].dst: 10.0.0.0/8 is outside "overrides.within" (10.50.0.0/16, fd00:10::/32)',
      { routes: [{ dst: '10.0.0.0/8' }] },
      OVERRIDES,
    ],
    [
      'args.cni.routes[0].dst: 10.50.0.0/24 is outside "overrides.within" (none)',
      { routes: [{ dst: '10.50.0.0/24' }] },
      { allow: ['routes'] },
    ],
    [
      'args.cni.routes[0].gw: 192.0.2.66 is outside "overrides.within" (10.50.0.0/16, fd00:10::/32)',
      { routes: [{ dst: '10.50.7.0/24', gw: '192.0.2.66', onlink: true }] },
      OVERRIDES,
    ],
    [
      'args.cni.routes[0].dev: a pod cannot set this; its routes use its NIC',
      { routes: [{ dst: '10.50.7.0/24', dev: 'net1' }] },
      OVERRIDES,
    ],
    [
      'args.cni.routes[0].table: a pod cannot set this; its routes use the main table',
      { routes: [{ dst: '10.50.7.0/24', table: 253 }] },
      OVERRIDES,
    ],
    [
      'args.cni.ovnGateway.dev: a pod cannot set this; its routes use its NIC',
      { ovnGateway: { dev: 'net1' } },
      OVERRIDES,
    ],
    [
      'args.cni.ovnGateway: 10.60.0.1 is outside "overrides.within" (10.50.0.0/16, fd00:10::/32)',
      { ovnGateway: '10.60.0.1' },
      OVERRIDES,
    ],
  ])('%s', (message, cni, overrides) => {
    expect(refusal(() => effectiveConfig(conf(cni, overrides), UNKNOWN_SETS))).toEqual({ code: 120, message })
  })

  it('that is wrong in itself is told with its own path', () => {
    expect(
      refusal(() => effectiveConfig(conf({ routes: [{ dst: '10.50.0.1/16' }] }, OVERRIDES), UNKNOWN_SETS)),
    ).toEqual({
      code: 7,
      message: 'args.cni.routes[0].dst: "10.50.0.1/16" has host bits set; write 10.50.0.0/16',
    })
  })

  it.each(['DefaultRoute', 'Routes', 'dryrun', 'OVNGATEWAY', 'logfile'])('%s is no way around the capitals', (key) => {
    const { code, message } = refusal(() => effectiveConfig(conf({ [key]: 'keep' }, OVERRIDES), UNKNOWN_SETS))
    expect({ code, message }).toEqual({
      code: 7,
      message: expect.stringMatching(new RegExp(`^args\\.cni\\.${key}: unknown key; did you mean "\\w+"\\?$`)),
    })
  })

  const told = (cni: Record<string, unknown>, more: Record<string, unknown> = {}) => {
    const {
      code,
      message,
      details = '',
    } = refusal(() => effectiveConfig({ ...conf(cni, OVERRIDES), ...more }, UNKNOWN_SETS))
    return [
      code,
      ...[message, ...details.split('; ')]
        .filter((part) => /^[a-z][^ ]*: /.test(part))
        .map((part) => part.split(': ')[0]),
    ]
  }

  it('is told every problem, whatever else is wrong', () => {
    expect(told({ kubevirt: true, routes: [{ dst: '10.60.0.0/16', mtu: 1, dev: 'net1' }], Routes: [] })).toEqual([
      120,
      'args.cni.kubevirt',
      'args.cni.routes[0].dst',
      'args.cni.routes[0].dev',
      'args.cni.routes[0].mtu',
      'args.cni.Routes',
    ])
  })

  it('is told beside what is wrong in the configuration, which comes first', () => {
    expect(told({ kubevirt: true }, { logLevel: 'loud', routes: [{ dst: 'x' }] })).toEqual([
      7,
      'routes[0].dst',
      'logLevel',
      'args.cni.kubevirt',
    ])
  })

  it('is not held against overrides that are wrong themselves', () => {
    expect(told({ kubevirt: true }, { overrides: { allow: 'kubevirt' } })).toEqual([7, 'overrides.allow'])
  })

  it('is told everything that is not allowed at once', () => {
    expect(
      refusal(() => effectiveConfig(conf({ kubevirt: true, dryRun: true }, OVERRIDES), UNKNOWN_SETS)).details,
    ).toBe('args.cni.dryRun: not in "overrides.allow" of the network configuration')
  })
})

const SETS = {
  underlay: '10.50.0.0/17\n# new\n10.60.0.0/16\nfd00:10:50::/48\n',
  inside: '10.50.0.0/17\nfd00:10:50::/48\n',
  empty: '',
  bad: '10.50.0.1/17\n',
}
const DIRECTORY = '/var/lib/x-calico-route/sets'
const withSets = (cni: Record<string, unknown>, more: object = {}) =>
  effectiveConfig({ ...conf(cni, OVERRIDES), ...more }, setsOf(SETS))

describe('a set that a pod asks for', () => {
  it('takes the place of the routes, if all of it lies within', () => {
    const { routes } = withSets({ routes: [{ set: 'inside' }] })
    expect(routes.map((route) => `${nameOf(route)} ${route.dst}`)).toEqual([
      'args.cni.routes[0] (inside:1) 10.50.0.0/17',
      'args.cni.routes[0] (inside:2) fd00:10:50::/48',
    ])
  })

  it('is read from the directory of the configuration', () => {
    const asked: string[] = []
    const more = { setsDir: '/srv/sets' }
    effectiveConfig({ ...conf({ routes: [{ set: 'inside' }] }, OVERRIDES), ...more }, (directory, name) => {
      asked.push(`${directory}/${name}`)
      return setsOf(SETS)(directory, name)
    })
    expect(asked).toEqual(['/srv/sets/inside'])
  })

  const OUTSIDE = 'outside "overrides.within" (10.50.0.0/16, fd00:10::/32)'
  it.each<[string, number, Record<string, unknown>]>([
    [
      `args.cni.routes[0].set: ${DIRECTORY}/underlay:3: 10.60.0.0/16 is ${OUTSIDE}`,
      120,
      { routes: [{ set: 'underlay' }] },
    ],
    [
      'args.cni.routes[0].dev: a pod cannot set this; its routes use its NIC',
      120,
      { routes: [{ set: 'empty', dev: 'net1' }] },
    ],
    [
      'args.cni.routes[0].table: a pod cannot set this; its routes use the main table',
      120,
      { routes: [{ set: 'inside', table: 100 }] },
    ],
    [`args.cni.routes[0].gw: 192.0.2.1 is ${OUTSIDE}`, 120, { routes: [{ set: 'empty', gw: '192.0.2.1' }] }],
    [
      'args.cni.setsDir: not in "overrides.allow" of the network configuration',
      120,
      { setsDir: '/tmp', routes: [{ set: 'inside' }] },
    ],
    [
      `args.cni.routes[0].set: ${DIRECTORY}/bad:1: "10.50.0.1/17" has host bits set; write 10.50.0.0/17`,
      7,
      { routes: [{ set: 'bad' }] },
    ],
    [`args.cni.routes[0].set: ${DIRECTORY}/new: does not exist yet`, 11, { routes: [{ set: 'new' }] }],
  ])('%s', (message, code, cni) => {
    expect(refusal(() => withSets(cni))).toEqual({ code, message })
  })

  it.each<[number, Record<string, unknown>, object?]>([
    [120, { routes: [{ set: 'new' }, { dst: '10.60.0.0/16' }] }],
    [120, { routes: [{ set: 'new' }, { set: 'underlay' }] }],
    [120, { routes: [{ set: 'new' }], kubevirt: true }],
    [7, { routes: [{ set: 'new' }, { set: 'bad' }] }],
    [7, { routes: [{ set: 'new' }] }, { logLevel: 'loud' }],
  ])('is not waited for if it is refused anyway, by code %i: %j', (code, cni, more) => {
    const { code: found, details } = refusal(() => withSets(cni, more))
    expect(found).toBe(code)
    expect(details?.split('; ').at(-1)).toBe(`args.cni.routes[0].set: ${DIRECTORY}/new: does not exist yet`)
  })

  it('is not read if the pod may not ask for routes', () => {
    const never = () => {
      throw new Error('was asked')
    }
    const asking = { ...conf({ routes: [{ set: 'underlay' }] }, { allow: ['dryRun'] }) }
    expect(refusal(() => effectiveConfig(asking, never)).code).toBe(120)
  })

  it('makes the sets of the configuration needless, which then need not be there', () => {
    const more = { routes: [{ set: 'new' }, { set: 'bad' }] }
    expect(withSets({ routes: [{ dst: '10.50.0.0/24' }] }, more).routes.map(({ dst }) => dst)).toEqual(['10.50.0.0/24'])
    expect(refusal(() => withSets({ ovnGateway: 'auto' }, more)).code).toBe(7)
  })

  it('is of no matter to other keys: the sets of the configuration stay', () => {
    const { routes, gateway } = withSets({ ovnGateway: 'auto' }, { routes: [{ set: 'underlay' }] })
    expect(routes.map((route) => nameOf(route))).toEqual([1, 3, 4].map((line) => `routes[0] (underlay:${line})`))
    expect(gateway?.either).toBe(true)
  })
})

describe('what a pod may ask for', () => {
  it('lies in one of the prefixes, written or by a set', () => {
    const bits = (most: number) => fc.nat(most)
    const network = (text: string) => parsePrefix(text)?.network ?? ''
    const prefix = fc.oneof(
      fc.tuple(fc.constantFrom('10.0.0.0', '10.50.0.0', '10.50.255.255', '172.16.0.1'), bits(32)),
      fc.tuple(fc.constantFrom('fd00::', 'fd00:10::1', 'fd00:10:50::'), bits(128)),
    )
    const networks = prefix.map(([address, length]) => network(`${address}/${length}`))
    const seen = { true: 0, false: 0 }
    fc.assert(
      fc.property(fc.uniqueArray(networks, { maxLength: 6 }), networks, fc.boolean(), (within, dst, bySet) => {
        if (/\/0$/.test(dst)) return
        const inside = within.some((outer) => isWithin(dst, outer))
        seen[`${inside}`] += 1
        const asked = {
          overrides: { allow: ['routes'], within },
          args: { cni: { routes: [bySet ? { set: 'a' } : { dst }] } },
        }
        const taken = () => effectiveConfig(asked, setsOf({ a: dst })).routes.map((route) => route.dst)
        if (inside) expect(taken()).toEqual([dst])
        else expect(refusal(taken).code).toBe(120)
      }),
      { numRuns: 1_000 },
    )
    expect(Math.min(seen.true, seen.false)).toBeGreaterThan(100)
  })
})

describe('DEL', () => {
  it('goes by what was ours of a configuration that only an older plugin took', () => {
    const old = { flushgateway: true, ovngateway: 'x', dryRun: true, args: { cni: { DryRun: 1, defaultRoute: null } } }
    expect(effectiveConfig(onlyKnown(old), UNKNOWN_SETS).dryRun).toBe(true)
    expect(isDry(old)).toBe(true)
    expect(effectiveConfig(onlyKnown({ ...conf({}), addroutes: [] }), UNKNOWN_SETS).routes).toHaveLength(1)
  })

  it('takes back what such a configuration put on another NIC', () => {
    const there = route(4, '10.50.0.0/16', { dev: 'net1', gw: '10.0.1.1', protocol: PROTOCOL })
    const routes = [{ dst: '10.50.0.0/16', gw: '10.0.1.1', dev: 'net1' }]
    const decide = (more: object) =>
      routeOpsIn(decideDel({ routes, ...more }, 'eth0', calicoPod(there), UNKNOWN_SETS)).map(({ route }) => route)
    expect(decide({})).toEqual([there])
    expect(decide({ flushgateway: true, ovngateway: 'x', args: { cni: { DryRun: true } } })).toEqual([there])
  })

  describe('of a set on another NIC', () => {
    const there = (dst: string) => route(4, dst, { dev: 'net1', gw: '10.0.1.1', protocol: PROTOCOL })
    const [first, second, other] = [there('10.50.0.0/16'), there('10.60.0.0/16'), there('10.70.0.0/16')]
    const entry = { gw: '10.0.1.1', dev: 'net1' }
    const routes = [
      { set: 'underlay', ...entry },
      { dst: '10.70.0.0/16', ...entry },
    ]
    const decide = (sets: Record<string, string>, more: object = {}) =>
      routeOpsIn(decideDel({ routes, ...more }, 'eth0', calicoPod(first, second, other), setsOf(sets))).map(
        ({ route }) => route,
      )

    it('takes back its routes', () => {
      expect(decide({ underlay: '10.50.0.0/16\n10.60.0.0/16\n' })).toEqual([first, second, other])
    })

    it('takes back what is still in it', () => {
      expect(decide({ underlay: '10.60.0.0/16\n' })).toEqual([second, other])
    })

    it.each<[string, Record<string, string>]>([
      ['is gone', {}],
      ['is wrong now', { underlay: '10.60.0.0/16\n10.50.0.1/16\n' }],
      ['does not fit any more', { underlay: '10.60.0.0/16\nfd00:10:50::/48\n' }],
    ])('goes on with the other entries if the set %s', (_, sets) => {
      expect(decide(sets)).toEqual([other])
    })

    it('goes on with other sets', () => {
      const both = [...routes, { set: 'gone', ...entry }]
      expect(decide({ underlay: '10.60.0.0/16\n' }, { routes: both })).toEqual([second, other])
    })
  })

  it('of routes on its own NIC alone reads no set', () => {
    const here = route(4, '10.50.0.0/16', { dev: 'eth0', gw: '169.254.1.1', protocol: PROTOCOL })
    const never = () => {
      throw new Error('was asked')
    }
    const ops = decideDel({ routes: [{ set: 'underlay' }] }, 'eth0', calicoPod(here), never)
    expect(routeOpsIn(ops).map(({ route }) => route)).toEqual([here])
    expect(isDry({ routes: [{ set: 'underlay' }], dryRun: true })).toBe(true)
  })
})

it.each([
  [true, { table: 100, priority: 900 }, { table: 100, priority: 900 }],
  [{}, { table: 100 }, { table: 100, priority: 14200 }],
  [true, true, { priority: 14200 }],
  [true, undefined, { priority: 14200 }],
  [false, { table: 100 }, undefined],
])('a pod that asks for sourceRouting %j of a network with %j gets %j', (asked, sourceRouting, expected) => {
  const conf = { sourceRouting, overrides: { allow: ['sourceRouting'] }, args: { cni: { sourceRouting: asked } } }
  expect(effectiveConfig(JSON.parse(JSON.stringify(conf)), UNKNOWN_SETS).sourceRouting).toEqual(expected)
})

it('a pod cannot choose the numbers of sourceRouting', () => {
  const conf = { overrides: { allow: ['sourceRouting'] }, args: { cni: { sourceRouting: { table: 7 } } } }
  expect(refusal(() => effectiveConfig(conf, UNKNOWN_SETS))).toMatchObject({
    code: 120,
    message: 'args.cni.sourceRouting.table: a pod cannot set this; write true',
  })
})
