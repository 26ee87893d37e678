import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/config/config.ts'
import { batchLine } from '../../../src/net/iproute2.ts'
import type { Snapshot } from '../../../src/net/route.ts'
import { planRestore, swappedText, unmet, unmetText } from '../../../src/plan/effects.ts'
import { planAdd } from '../../../src/plan/plan.ts'
import { carryOut, shown, sorted } from '../../support/kernel.ts'
import { calicoPod, DEFAULT4, DEFAULT6, link, route } from '../../support/snapshots.ts'

describe('a rollback', () => {
  const conf = parseConfig({ routes: [{ dst: '10.50.0.0/16' }, { dst: '10.60.0.0/16' }, { dst: 'fd00:10:50::/48' }] })
  const before = calicoPod(
    route(4, '10.60.0.0/16', { dev: 'eth0', gw: '169.254.1.1', attributes: { mtu: 1300 }, protocol: 142 }),
  )
  const { ops } = planAdd(conf, 'eth0', before)

  it.each(Array.from({ length: ops.length + 1 }, (_, done) => done))(
    'after %d changes leaves the pod as it was',
    (done) => {
      const now = carryOut(before, ops.slice(0, done))
      const restored = carryOut(now, planRestore(before, now, ops))
      expect(sorted(restored.routes)).toEqual(sorted(before.routes))
    },
  )

  it('leaves alone what others changed meanwhile', () => {
    const theirs = route(4, '10.70.0.0/16', { gw: '10.0.1.1', dev: 'net1' })
    const now = carryOut(before, [...ops, { op: 'add', route: theirs }])
    expect(sorted(carryOut(now, planRestore(before, now, ops)).routes)).toEqual(sorted([...before.routes, theirs]))
  })

  it('does not ask for routes of an interface that is gone', () => {
    const now: Snapshot = { routes: [], links: [link('lo')] }
    expect(planRestore(before, now, ops)).toEqual([])
  })
})

describe('of several IPv4 routes in one place, of which some are lost, a rollback', () => {
  const twins = [1, 2, 3, 4].map((i) => route(4, '0.0.0.0/0', { gw: `10.199.9.${i}`, dev: 'eth0' }))
  const pod: Snapshot = { ...calicoPod(), routes: twins }
  const losing = (...which: number[]) =>
    which.map((i) => {
      const origin = { key: 'defaultRoute', path: 'defaultRoute' } as const
      return { op: 'del', route: twins[i - 1] ?? DEFAULT4, origin } as const
    })

  it.each([[1], [1, 2], [4], [3, 4], [1, 2, 3, 4], [1, 4]])('keeps their order: %s %s %s %s', (...which) => {
    const ops = losing(...which)
    const now = carryOut(pod, ops)
    const after = carryOut(now, planRestore(pod, now, ops))
    expect(after.routes).toEqual(twins)
    expect(swappedText(pod, after, ops)).toBeUndefined()
  })

  it('keeps the order of very many', () => {
    const many = Array.from({ length: 300 }, (_, i) =>
      route(4, '0.0.0.0/0', { gw: `10.199.${i >> 8}.${i & 255}`, dev: 'eth0' }),
    )
    const crowd: Snapshot = { ...calicoPod(), routes: many }
    const ops = many.slice(0, 200).map((one) => {
      return { op: 'del', route: one, origin: { key: 'defaultRoute', path: 'defaultRoute' } } as const
    })
    const now = carryOut(crowd, ops)
    const after = carryOut(now, planRestore(crowd, now, ops))
    expect(after.routes).toEqual(many)
    expect(swappedText(crowd, after, ops)).toBeUndefined()
    expect(swappedText(crowd, { ...after, routes: many.toReversed() }, ops)).toMatch(/^all routes are back/)
  })

  it('says so where it cannot: what is between others comes behind them', () => {
    const ops = losing(2)
    const now = carryOut(pod, ops)
    const after = carryOut(now, planRestore(pod, now, ops))
    expect(swappedText(pod, after, ops)).toMatch(
      /^all routes are back, but those to 0\.0\.0\.0\/0 in another order: before .*9\.1 .*9\.2 .*; now .*9\.1 .*9\.3 /,
    )
  })
})

it('a rollback names an IPv6 route by its next hop where another may lend it its protocol', () => {
  const theirs = route(6, '::/0', { gw: 'fd00::9', dev: 'eth0', protocol: 99 })
  const ours = route(6, '::/0', { gw: 'fd00::1', dev: 'eth0', protocol: 143 })
  const [before, now] = [calicoPod(theirs), calicoPod(theirs, ours)].map((pod) => ({
    ...pod,
    routes: pod.routes.filter((one) => one !== DEFAULT6),
  })) as readonly Snapshot[] as [Snapshot, Snapshot]
  const op = { op: 'append', route: ours, origin: { key: 'ovnGateway', path: 'ovnGateway' } } as const
  const undo = planRestore(shown(before), shown(now), [op])
  expect(undo.map(batchLine)).toEqual(['route del ::/0 via fd00::1 dev eth0 metric 1024'])
  expect(carryOut(now, undo).routes).toEqual(before.routes)
})

describe('the check after the changes', () => {
  const { ops } = planAdd(parseConfig({ routes: [{ dst: '10.50.0.0/16' }] }), 'eth0', calicoPod())

  it('is content with a kernel that shows them all', () => {
    expect(unmet(ops, carryOut(calicoPod(), ops))).toEqual([])
  })

  it('names each that the kernel does not show', () => {
    expect(unmet(ops, { routes: [DEFAULT4, DEFAULT6], links: [] }).map(unmetText)).toEqual([
      'routes[0]: missing: 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
      'defaultRoute: still there: 0.0.0.0/0 via 169.254.1.1 dev eth0 proto 3',
      'defaultRoute: still there: ::/0 via fe80::ecee:eeff:feee:eeee dev eth0 proto 3 metric 1024',
    ])
  })
})
