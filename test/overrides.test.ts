import { describe, expect, it } from 'vitest'
import { effectiveConfig } from '../src/overrides.ts'
import { refusal } from './support/refusal.ts'

const OVERRIDES = { allow: ['routes', 'ovnGateway'], within: ['10.50.0.0/16', 'fd00:10::/32'] }
const conf = (cni: Record<string, unknown>, overrides?: unknown) => ({
  routes: [{ dst: '10.199.0.0/16' }],
  ...(overrides === undefined ? {} : { overrides }),
  args: { cni },
})

describe('args.cni', () => {
  it('that was taken is where later messages point', () => {
    expect(effectiveConfig(conf({ routes: [{ dst: '10.50.31.0/24' }] }, OVERRIDES)).routes[0]?.key).toBe(
      'args.cni.routes[0]',
    )
  })

  it('changes nothing if it has no key of ours', () => {
    expect(effectiveConfig(conf({ ips: ['10.0.0.1/32'], mac: 'x' })).routes.map(({ dst }) => dst)).toEqual([
      '10.199.0.0/16',
    ])
    expect(effectiveConfig({ args: null }).routes).toEqual([])
    expect(effectiveConfig({ args: { cni: 'x' } }).routes).toEqual([])
  })

  it('takes the place of a key that may be overridden', () => {
    const { routes, gateway } = effectiveConfig(
      conf({ routes: [{ dst: '10.50.31.0/24' }, { dst: 'fd00:10:50::/48' }], ovnGateway: 'auto' }, OVERRIDES),
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
      'args.cni.routes[1].dst: 10.60.0.0/16 is outside of "overrides.within" (10.50.0.0/16, fd00:10::/32)',
      { routes: [{ dst: '10.50.0.0/17' }, { dst: '10.60.0.0/16' }] },
      OVERRIDES,
    ],
    [
      'args.cni.routes[0].dst: 10.0.0.0/8 is outside of "overrides.within" (10.50.0.0/16, fd00:10::/32)',
      { routes: [{ dst: '10.0.0.0/8' }] },
      OVERRIDES,
    ],
    [
      'args.cni.routes[0].dst: 10.50.0.0/24 is outside of "overrides.within" (none)',
      { routes: [{ dst: '10.50.0.0/24' }] },
      { allow: ['routes'] },
    ],
    [
      'args.cni.routes[0].gw: 192.0.2.66 is outside of "overrides.within" (10.50.0.0/16, fd00:10::/32)',
      { routes: [{ dst: '10.50.7.0/24', gw: '192.0.2.66', onlink: true }] },
      OVERRIDES,
    ],
    [
      'args.cni.routes[0].dev: not for a pod to choose; routes are those of the NIC',
      { routes: [{ dst: '10.50.7.0/24', dev: 'net1' }] },
      OVERRIDES,
    ],
    [
      'args.cni.routes[0].table: not for a pod to choose; routes are those of the main table',
      { routes: [{ dst: '10.50.7.0/24', table: 253 }] },
      OVERRIDES,
    ],
    [
      'args.cni.ovnGateway.dev: not for a pod to choose; routes are those of the NIC',
      { ovnGateway: { dev: 'net1' } },
      OVERRIDES,
    ],
    [
      'args.cni.ovnGateway: 10.60.0.1 is outside of "overrides.within" (10.50.0.0/16, fd00:10::/32)',
      { ovnGateway: '10.60.0.1' },
      OVERRIDES,
    ],
  ])('%s', (message, cni, overrides) => {
    expect(refusal(() => effectiveConfig(conf(cni, overrides)))).toEqual({ code: 120, message })
  })

  it('that is wrong in itself is told with its own path', () => {
    expect(refusal(() => effectiveConfig(conf({ routes: [{ dst: '10.50.0.1/16' }] }, OVERRIDES)))).toEqual({
      code: 7,
      message: 'args.cni.routes[0].dst: "10.50.0.1/16" has host bits set; write 10.50.0.0/16',
    })
  })

  it('is told everything that is not allowed at once', () => {
    expect(refusal(() => effectiveConfig(conf({ kubevirt: true, dryRun: true }, OVERRIDES))).details).toBe(
      'args.cni.dryRun: not in "overrides.allow" of the network configuration',
    )
  })
})
