/** A repair that is only about route sets: what an agent owes pods whose sets have changed. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isMainDefault, type Op, PROTOCOL, routeOpsIn, type Snapshot } from '../../../src/net/route.ts'
import { planRepair } from '../../../src/plan/repair.ts'
import { damaged, damageToOurs } from '../../support/damage.ts'
import { carryOut, shown } from '../../support/kernel.ts'
import { attachAll, type Pod, wishesOf } from '../../support/living-pod.ts'
import { route } from '../../support/snapshots.ts'

const BEFORE = { underlay: ['10.50.0.0/16', '10.70.0.0/16', 'fd00:10:50::/48'] }
const AFTER = { underlay: ['10.50.0.0/16', '192.0.2.7/32', 'fd00:10:60::/48'] }
const CHAIN = [{ routes: [{ set: 'underlay' }, { dst: '10.60.0.0/16' }] }]

const pod = (): Pod => attachAll([{ nic: 'eth0', chain: CHAIN }], BEFORE)
const told = (ops: readonly Op[]) =>
  routeOpsIn(ops)
    .map(({ op, route: { dst } }) => `${op} ${dst}`)
    .sort()
const EMERGENCY = route(4, '0.0.0.0/0', { gw: '169.254.1.1', dev: 'eth0' })

/** An operator has given the pod a default route, and taken away a route that is in no set. */
function inNeed({ now }: Pod): Snapshot {
  const routes = now.routes.filter(({ dst }) => dst !== '10.60.0.0/16')
  return { ...now, routes: [...routes, EMERGENCY] }
}

describe('a repair of sets', () => {
  test('brings what is new in a set and takes what is not in it any more, and leaves everything else', () => {
    const wishes = wishesOf(pod(), AFTER)
    const changes = ['add 192.0.2.7/32', 'add fd00:10:60::/48', 'del 10.70.0.0/16', 'del fd00:10:50::/48']
    const plan = planRepair(wishes, shown(inNeed(pod())), 'sets')
    expect(told(plan.ops)).toEqual(changes)
    expect(plan.refused).toBeUndefined()
    expect(plan.found).toHaveLength(changes.length)
    // What a whole repair does besides shows that the pod differs in more.
    expect(told(planRepair(wishes, shown(inNeed(pod()))).ops)).toEqual(
      [...changes, 'add 10.60.0.0/16', 'del 0.0.0.0/0'].sort(),
    )
  })

  test('has nothing to do where only other things differ', () => {
    expect(planRepair(wishesOf(pod(), BEFORE), shown(inNeed(pod())), 'sets')).toEqual({ ops: [], found: [] })
  })

  test('is not refused for a route that is in no set', () => {
    const { now } = pod()
    const taken = now.routes.map((one) =>
      one.dst === '10.60.0.0/16' ? route(4, '10.60.0.0/16', { gw: '169.254.1.9', dev: 'eth0' }) : one,
    )
    const wishes = wishesOf(pod(), { underlay: [...BEFORE.underlay, '192.0.2.7/32'] })
    const spoilt = shown({ ...now, routes: taken })
    expect(planRepair(wishes, spoilt).refused).toBe('an attachment cannot have what it asks for')
    const plan = planRepair(wishes, spoilt, 'sets')
    expect(plan.refused).toBeUndefined()
    expect(told(plan.ops)).toEqual(['add 192.0.2.7/32'])
  })

  test('is refused for a route that is in one', () => {
    const { now } = pod()
    const other = route(4, '192.0.2.7/32', { gw: '169.254.1.9', dev: 'eth0' })
    const plan = planRepair(wishesOf(pod(), AFTER), shown({ ...now, routes: [...now.routes, other] }), 'sets')
    expect(plan.refused).toBe('an attachment cannot have what it asks for')
  })

  test('touches no default route and nothing of others, however the pod is damaged, and is done at once', () => {
    let changed = 0
    fc.assert(
      fc.property(damageToOurs(['eth0']), (damages) => {
        const before = damaged(pod().now, damages)
        const wishes = wishesOf(pod(), AFTER)
        const { ops, refused } = planRepair(wishes, shown(before), 'sets')
        if (refused !== undefined) return
        for (const { op, route: one } of routeOpsIn(ops)) {
          expect(isMainDefault(one)).toBe(false)
          expect(one.protocol).toBe(PROTOCOL)
          if (op !== 'del') expect(one.dst).not.toBe('10.60.0.0/16')
        }
        const after = ops.reduce((pod, op) => carryOut(pod, [op]), before)
        expect(planRepair(wishes, shown(after), 'sets')).toEqual({ ops: [], found: [] })
        if (ops.length > 0) changed++
      }),
      { numRuns: 300 },
    )
    expect(changed).toBeGreaterThan(30)
  })
})
