import { describe, expect, it } from 'vitest'
import { SUPPORTED_VERSIONS } from '../../../src/cni/request.ts'
import { type AppliedRoute, buildResult, parsePrevResult } from '../../../src/cni/result.ts'
import { parseConfig } from '../../../src/config/config.ts'
import type { Route } from '../../../src/net/route.ts'
import { planAdd } from '../../../src/plan/plan.ts'
import { refusal } from '../../support/refusal.ts'
import { calicoPod, route } from '../../support/snapshots.ts'

const ours = (...routes: Record<string, unknown>[]): readonly AppliedRoute[] =>
  planAdd(parseConfig({ routes }), 'eth0', calicoPod()).routes
const NONE: readonly AppliedRoute[] = []
const BOTH = [4, 6] as const

describe('prevResult', () => {
  it.each<[unknown, string]>([
    [
      undefined,
      'prevResult: missing; put x-calico-route after the plugin that makes the NIC (calico, kube-ovn, ...) in "plugins"',
    ],
    [[], 'prevResult: must be an object, is []'],
    ['x', 'prevResult: must be an object, is "x"'],
    [
      { ip4: { ip: '10.0.0.1/32' } },
      'prevResult: is of CNI 0.2.0 or older ("ip4", "ip6"); set "cniVersion" of the plugin list to 0.3.0 or newer',
    ],
    [{ cniVersion: '9.9.9' }, 'prevResult.cniVersion: must be one of 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0, is "9.9.9"'],
    [{ ips: {} }, 'prevResult.ips: must be a list, is {}'],
    [{ ips: [5] }, 'prevResult.ips[0]: must be an object, is 5'],
    [{ ips: [{}] }, 'prevResult.ips[0].address: missing; must be an address with prefix length'],
    [{ ips: [{ address: null }] }, 'prevResult.ips[0].address: must be an address with prefix length, is null'],
    [
      { ips: [{ address: '10.0.0.1/32' }, { address: '10.0.0.1' }] },
      'prevResult.ips[1].address: must be an address with prefix length, is "10.0.0.1"',
    ],
    [
      { ips: [{ address: '10.0.0.1/32', gateway: '10.0.0.2/32' }] },
      'prevResult.ips[0].gateway: must be an IP address, is "10.0.0.2/32"',
    ],
    [
      { ips: [{ address: '10.0.0.1/32', interface: 'eth0' }] },
      'prevResult.ips[0].interface: must be an integer, is "eth0"',
    ],
    [{ interfaces: [{}] }, 'prevResult.interfaces[0].name: missing; must be a string'],
    [{ routes: [{ dst: 'default' }] }, 'prevResult.routes[0].dst: must be an address with prefix length, is "default"'],
    [{ routes: [{ dst: '::/0', gw: 'host' }] }, 'prevResult.routes[0].gw: must be an IP address, is "host"'],
    [{ dns: [] }, 'prevResult.dns: must be an object, is []'],
    [{ dns: { nameservers: '10.96.0.10' } }, 'prevResult.dns.nameservers: must be a list of strings, is "10.96.0.10"'],
  ])('%j is refused with code 7', (value, message) => {
    expect(refusal(() => parsePrevResult(value))).toEqual({ code: 7, message })
  })

  it('may have null for what is empty, as Go prints it; that is left out', () => {
    expect(parsePrevResult({ interfaces: null, ips: null, routes: null, dns: null })).toEqual({})
    expect(
      parsePrevResult({ ips: [{ address: '10.0.0.1/32', gateway: null }], dns: { search: null }, unknown: null }),
    ).toEqual({ ips: [{ address: '10.0.0.1/32' }], dns: {}, unknown: null })
  })

  it('may not be nested deeper than can be printed again', () => {
    const deep = JSON.parse(`${'['.repeat(200_000)}${']'.repeat(200_000)}`)
    expect(refusal(() => parsePrevResult({ x: deep }))).toEqual({ code: 6, message: 'prevResult: nested too deeply' })
  })
})

describe('the Result', () => {
  it.each(SUPPORTED_VERSIONS)('of version %s has our routes instead of the defaults', (version) => {
    const prev = {
      cniVersion: version,
      ips: [],
      routes: [{ dst: '0.0.0.0/0', gw: '169.254.1.1' }, { dst: '::/0' }, { dst: '10.1.0.0/16' }],
    }
    expect(
      buildResult(version, prev, {
        gateways: [],
        before: [],
        removed: BOTH,
        routes: ours({ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/48', scope: 'link' }),
      }).routes,
    ).toEqual([
      { dst: '10.1.0.0/16' },
      { dst: '10.50.0.0/16', gw: '169.254.1.1' },
      { dst: 'fd00:10:50::/48', ...(version === '1.1.0' ? { scope: 253 } : {}) },
    ])
  })

  it('keeps the default of a family that keeps its own', () => {
    const prev = { routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }] }
    expect(buildResult('1.0.0', prev, { gateways: [], before: [], removed: [6], routes: NONE }).routes).toEqual([
      { dst: '0.0.0.0/0' },
    ])
  })

  it('keeps a default of another table', () => {
    const prev = {
      routes: [
        { dst: '0.0.0.0/0', table: 100 },
        { dst: '0.0.0.0/0', table: 254 },
      ],
    }
    expect(buildResult('1.1.0', prev, { gateways: [], before: [], removed: BOTH, routes: NONE }).routes).toEqual([
      { dst: '0.0.0.0/0', table: 100 },
    ])
  })

  it("drops Calico's block route, which has host bits and is in no routing table", () => {
    expect(
      buildResult(
        '1.0.0',
        { routes: [{ dst: '10.199.3.153/26' }, { dst: 'fd00:10:199::153/122' }] },
        { gateways: [], before: [], removed: BOTH, routes: NONE },
      ).routes,
    ).toEqual([])
  })

  it('has each route once', () => {
    const prev = { routes: [{ dst: '10.50.0.0/16', gw: '10.0.0.9' }] }
    expect(
      buildResult('1.0.0', prev, { gateways: [], before: [], removed: BOTH, routes: ours({ dst: '10.50.0.0/16' }) })
        .routes,
    ).toEqual([{ dst: '10.50.0.0/16', gw: '169.254.1.1' }])
  })

  it('has no routes where there were none and none came', () => {
    expect(buildResult('1.0.0', { ips: [] }, { gateways: [], before: [], removed: BOTH, routes: NONE })).toEqual({
      cniVersion: '1.0.0',
      ips: [],
    })
  })

  it('says at 1.1.0 what was configured of a route, and before 1.1.0 what fits', () => {
    const route = { dst: '10.50.0.0/16', priority: 50, mtu: 1400, advmss: 1360, table: 0 }
    expect(buildResult('1.1.0', {}, { gateways: [], before: [], removed: BOTH, routes: ours(route) }).routes).toEqual([
      { dst: '10.50.0.0/16', gw: '169.254.1.1', mtu: 1400, advmss: 1360, priority: 50, table: 0 },
    ])
    expect(buildResult('1.0.0', {}, { gateways: [], before: [], removed: BOTH, routes: ours(route) }).routes).toEqual([
      { dst: '10.50.0.0/16', gw: '169.254.1.1' },
    ])
  })

  it('leaves out a route of another table, which the plugins before us would look for in the main one', () => {
    const route = { dst: '10.50.0.0/16', table: 100 }
    expect(
      buildResult('1.1.0', {}, { gateways: [], before: [], removed: BOTH, routes: ours(route) }).routes,
    ).toBeUndefined()
    expect(
      buildResult('1.0.0', {}, { gateways: [], before: [], removed: BOTH, routes: ours(route) }).routes,
    ).toBeUndefined()
  })

  it('without changes is prevResult in the shape of the version', () => {
    const prev = {
      cniVersion: '1.0.0',
      ips: [{ address: '10.0.0.1/32' }],
      routes: [{ dst: '10.0.0.1/26' }, { dst: '::/0' }],
    }
    expect(buildResult('0.4.0', prev)).toEqual({
      ...prev,
      cniVersion: '0.4.0',
      ips: [{ version: '4', address: '10.0.0.1/32' }],
    })
  })

  it('keeps unknown fields at every level', () => {
    const prev = {
      cniVersion: '1.0.0',
      x: { y: [1] },
      interfaces: [{ name: 'eth0', a: 1 }],
      ips: [{ address: '10.0.0.1/32', b: 2 }],
      routes: [{ dst: '10.1.0.0/16', c: 3 }],
      dns: { nameservers: ['10.0.0.2'] },
    }
    expect(buildResult('1.0.0', prev, { gateways: [], before: [], removed: BOTH, routes: NONE })).toEqual(prev)
  })
})

describe('the shape of each version', () => {
  const prev = {
    cniVersion: '1.1.0',
    interfaces: [{ name: 'eth0', mtu: 1500, socketPath: '/s', pciID: 'p', mac: 'm' }],
    ips: [{ address: '10.0.0.1/32' }, { address: 'fd00::1/128', version: '6' }],
    routes: [{ dst: '10.1.0.0/16', mtu: 1400, advmss: 1360, priority: 5, scope: 253 }],
  }

  it.each(['0.3.0', '0.3.1', '0.4.0'] as const)('%s: ips have a version, nothing of 1.1.0 is left', (version) => {
    expect(buildResult(version, prev, { gateways: [], before: [], removed: BOTH, routes: NONE })).toEqual({
      cniVersion: version,
      interfaces: [{ name: 'eth0', mac: 'm' }],
      ips: [
        { version: '4', address: '10.0.0.1/32' },
        { version: '6', address: 'fd00::1/128' },
      ],
      routes: [{ dst: '10.1.0.0/16' }],
    })
  })

  it('1.0.0: ips have no version, nothing of 1.1.0 is left', () => {
    expect(buildResult('1.0.0', prev, { gateways: [], before: [], removed: BOTH, routes: NONE })).toEqual({
      cniVersion: '1.0.0',
      interfaces: [{ name: 'eth0', mac: 'm' }],
      ips: [{ address: '10.0.0.1/32' }, { address: 'fd00::1/128' }],
      routes: [{ dst: '10.1.0.0/16' }],
    })
  })

  it('1.1.0: everything stays, ips have no version', () => {
    expect(buildResult('1.1.0', prev, { gateways: [], before: [], removed: BOTH, routes: NONE })).toEqual({
      ...prev,
      ips: [{ address: '10.0.0.1/32' }, { address: 'fd00::1/128' }],
    })
  })

  it('a route of another table cannot be told in 0.x', () => {
    expect(
      refusal(() =>
        buildResult(
          '0.4.0',
          { routes: [{ dst: '10.1.0.0/16', table: 100 }] },
          { gateways: [], before: [], removed: BOTH, routes: NONE },
        ),
      ),
    ).toEqual({
      code: 7,
      message:
        'prevResult.routes[0].table: is 100, which CNI 0.4.0 cannot express; set "cniVersion" of the plugin list to 1.1.0',
    })
  })

  describe('and the default of ovnGateway', () => {
    const gateway = (more: Partial<Route>) => [
      route(4, '0.0.0.0/0', { gw: '10.0.1.2', dev: 'eth0', protocol: 143, ...more }),
    ]
    const prev = { routes: [{ dst: '0.0.0.0/0', gw: '10.0.1.1' }] }
    const told = (version: '1.0.0' | '1.1.0', more: Partial<Route>) =>
      buildResult(version, prev, { gateways: gateway(more), before: [], removed: [], routes: NONE }).routes

    it('takes the place of the one reported', () => {
      expect(told('1.0.0', {})).toEqual([{ dst: '0.0.0.0/0', gw: '10.0.1.2' }])
    })

    it('with a metric of its own stands beside it', () => {
      expect(told('1.0.0', { priority: 4096 })).toEqual([...prev.routes, { dst: '0.0.0.0/0', gw: '10.0.1.2' }])
      expect(told('1.1.0', { priority: 4096, attributes: { mtu: 1400 } })).toEqual([
        ...prev.routes,
        { dst: '0.0.0.0/0', gw: '10.0.1.2', priority: 4096, mtu: 1400 },
      ])
    })

    it('over several gateways is as many entries', () => {
      const nexthops = ['10.0.1.2', '10.0.1.3'].map((gw) => ({ gw, dev: 'eth0', weight: 1, onlink: false }))
      const { gw: _, dev: __, ...multipath } = gateway({ nexthops })[0] as Route
      expect(buildResult('1.0.0', {}, { gateways: [multipath], before: [], removed: [], routes: NONE }).routes).toEqual(
        [
          { dst: '0.0.0.0/0', gw: '10.0.1.2' },
          { dst: '0.0.0.0/0', gw: '10.0.1.3' },
        ],
      )
    })
  })

  it('keeps a route with host bits that leads through a gateway, or that the kernel has', () => {
    const routes = [{ dst: 'fd00:77::1/48', gw: 'fd00::1' }, { dst: 'fd00:78::1/48' }, { dst: 'fd00:79::1/48' }]
    const before = [route(6, 'fd00:78::/48', { dev: 'eth0' })]
    expect(buildResult('1.0.0', { routes }, { gateways: [], before, removed: [], routes: NONE }).routes).toEqual(
      routes.slice(0, 2),
    )
  })
})
