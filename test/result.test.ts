import { describe, expect, it } from 'vitest'
import { parseConfig } from '../src/config.ts'
import { CniError } from '../src/errors.ts'
import { planAdd } from '../src/plan.ts'
import { SUPPORTED_VERSIONS } from '../src/request.ts'
import { type AppliedRoute, buildResult, parsePrevResult } from '../src/result.ts'
import { calicoPod } from './support/snapshots.ts'

const ours = (...routes: Record<string, unknown>[]): readonly AppliedRoute[] =>
  planAdd(parseConfig({ routes }), 'eth0', calicoPod()).routes
const NONE: readonly AppliedRoute[] = []
const BOTH = [4, 6] as const

function refusal(run: () => unknown): { code: number; message: string } {
  try {
    run()
  } catch (error) {
    if (error instanceof CniError) return { code: error.code, message: error.message }
    throw error
  }
  throw new Error('was accepted')
}

describe('prevResult', () => {
  it.each<[unknown, string]>([
    [
      undefined,
      'prevResult: missing; x-calico-route changes the routes of a NIC that another plugin made: put it after that plugin (calico, kube-ovn, ...) in "plugins"',
    ],
    [[], 'prevResult: must be an object'],
    ['x', 'prevResult: must be an object'],
    [
      { ip4: { ip: '10.0.0.1/32' } },
      'prevResult: is of CNI 0.2.0 or older ("ip4", "ip6"); set "cniVersion" of the plugin list to 0.3.0 or newer',
    ],
    [{ ips: {} }, 'prevResult.ips: must be an array'],
    [{ ips: [5] }, 'prevResult.ips[0]: must be an object'],
    [{ ips: [{}] }, 'prevResult.ips[0].address: must be an address with prefix length, is undefined'],
    [
      { ips: [{ address: '10.0.0.1/32' }, { address: '10.0.0.1' }] },
      'prevResult.ips[1].address: must be an address with prefix length, is "10.0.0.1"',
    ],
    [{ interfaces: [{}] }, 'prevResult.interfaces[0].name: must be a string'],
    [{ routes: [{ dst: 5 }] }, 'prevResult.routes[0].dst: must be a string'],
  ])('%j is refused with code 7', (value, message) => {
    expect(refusal(() => parsePrevResult(value))).toEqual({ code: 7, message })
  })

  it('may have null for what is empty, as Go prints it', () => {
    expect(() => parsePrevResult({ interfaces: null, ips: null, routes: null, dns: null })).not.toThrow()
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
      buildResult(version, prev, BOTH, ours({ dst: '10.50.0.0/16' }, { dst: 'fd00:10:50::/48', scope: 'link' })).routes,
    ).toEqual([
      { dst: '10.1.0.0/16' },
      { dst: '10.50.0.0/16', gw: '169.254.1.1' },
      { dst: 'fd00:10:50::/48', ...(version === '1.1.0' ? { scope: 253 } : {}) },
    ])
  })

  it('keeps the default of a family that keeps its own', () => {
    const prev = { routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }] }
    expect(buildResult('1.0.0', prev, [6], NONE).routes).toEqual([{ dst: '0.0.0.0/0' }])
  })

  it('keeps a default of another table', () => {
    const prev = {
      routes: [
        { dst: '0.0.0.0/0', table: 100 },
        { dst: '0.0.0.0/0', table: 254 },
      ],
    }
    expect(buildResult('1.1.0', prev, BOTH, NONE).routes).toEqual([{ dst: '0.0.0.0/0', table: 100 }])
  })

  it("drops Calico's block route, which has host bits and is in no routing table", () => {
    expect(
      buildResult('1.0.0', { routes: [{ dst: '10.199.3.153/26' }, { dst: 'fd00:10:199::153/122' }] }, BOTH, NONE)
        .routes,
    ).toEqual([])
  })

  it('has each route once', () => {
    const prev = { routes: [{ dst: '10.50.0.0/16', gw: '10.0.0.9' }] }
    expect(buildResult('1.0.0', prev, BOTH, ours({ dst: '10.50.0.0/16' })).routes).toEqual([
      { dst: '10.50.0.0/16', gw: '169.254.1.1' },
    ])
  })

  it('has no routes where there were none and none came', () => {
    expect(buildResult('1.0.0', { ips: [] }, BOTH, NONE)).toEqual({ cniVersion: '1.0.0', ips: [] })
  })

  it('says at 1.1.0 what was configured of a route, and before 1.1.0 what fits', () => {
    const route = { dst: '10.50.0.0/16', priority: 50, mtu: 1400, advmss: 1360, table: 0 }
    expect(buildResult('1.1.0', {}, BOTH, ours(route)).routes).toEqual([
      { dst: '10.50.0.0/16', gw: '169.254.1.1', mtu: 1400, advmss: 1360, priority: 50, table: 0 },
    ])
    expect(buildResult('1.0.0', {}, BOTH, ours(route)).routes).toEqual([{ dst: '10.50.0.0/16', gw: '169.254.1.1' }])
  })

  it('leaves out a route of another table where it could not say so', () => {
    const route = { dst: '10.50.0.0/16', table: 100 }
    expect(buildResult('1.1.0', {}, BOTH, ours(route)).routes).toEqual([
      { dst: '10.50.0.0/16', gw: '169.254.1.1', table: 100 },
    ])
    expect(buildResult('1.0.0', {}, BOTH, ours(route)).routes).toBeUndefined()
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
    expect(buildResult('1.0.0', prev, BOTH, NONE)).toEqual(prev)
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
    expect(buildResult(version, prev, BOTH, NONE)).toEqual({
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
    expect(buildResult('1.0.0', prev, BOTH, NONE)).toEqual({
      cniVersion: '1.0.0',
      interfaces: [{ name: 'eth0', mac: 'm' }],
      ips: [{ address: '10.0.0.1/32' }, { address: 'fd00::1/128' }],
      routes: [{ dst: '10.1.0.0/16' }],
    })
  })

  it('1.1.0: everything stays, ips have no version', () => {
    expect(buildResult('1.1.0', prev, BOTH, NONE)).toEqual({
      ...prev,
      ips: [{ address: '10.0.0.1/32' }, { address: 'fd00::1/128' }],
    })
  })

  it('a route of another table cannot be told in 0.x', () => {
    expect(refusal(() => buildResult('0.4.0', { routes: [{ dst: '10.1.0.0/16', table: 100 }] }, BOTH, NONE))).toEqual({
      code: 7,
      message:
        'prevResult.routes[0].table: CNI 0.4.0 has no routes of table 100; set "cniVersion" of the plugin list to 1.1.0',
    })
  })
})
