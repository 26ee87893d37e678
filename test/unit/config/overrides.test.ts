import { describe, expect, it } from 'vitest'
import { effectiveConfig, isDry, onlyKnown } from '../../../src/config/overrides.ts'
import { UNKNOWN_SETS } from '../../../src/config/route-sets.ts'
import { PROTOCOL } from '../../../src/net/route.ts'
import { decideDel } from '../../../src/verbs/del.ts'
import { refusal } from '../../support/refusal.ts'
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
      decideDel({ routes, ...more }, 'eth0', calicoPod(there), UNKNOWN_SETS).map(({ route }) => route)
    expect(decide({})).toEqual([there])
    expect(decide({ flushgateway: true, ovngateway: 'x', args: { cni: { DryRun: true } } })).toEqual([there])
  })
})
