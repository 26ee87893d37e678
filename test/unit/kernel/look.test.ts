import { describe, expect, it } from 'vitest'
import { CniError } from '../../../src/errors.ts'
import { EVERYTHING, GLANCE, type Look, lookAgain as lookAgainAt, lookAt } from '../../../src/kernel/look.ts'
import type { Route, RouteOp, Snapshot } from '../../../src/net/route.ts'

const to = (dst: string, gw = '169.254.1.1'): Route => ({
  family: dst.includes(':') ? 6 : 4,
  type: 1,
  dst,
  gw,
  dev: 'eth0',
  table: 254,
  protocol: 3,
  priority: 0,
  ...(dst.includes(':') ? {} : { scope: 0 }),
})
const podWith = (count: number): Snapshot => ({
  links: [{ ifname: 'eth0', up: true, addresses: [] }],
  routes: Array.from({ length: count }, (_, i) => to(`172.16.${i >> 8}.${i & 255}/32`)),
})
const adding = (...dsts: string[]): RouteOp[] =>
  dsts.map((dst) => ({ op: 'add', route: to(dst), origin: { key: 'routes', path: 'routes[0]' } }))
const lookAgain = (seen: Snapshot, ops: RouteOp[]) => lookAgainAt(seen, ops, EVERYTHING)
/** What a look makes of whole answers. */
function heardOf<T>({ listen }: Look<T>, answers: readonly string[]): T {
  const { take, heard } = listen()
  answers.forEach((answer, i) => {
    take(i, answer, true)
  })
  return heard()
}
const json = (...routes: object[]) => JSON.stringify(routes)
const DST = { dst: '10.50.0.0/16', gateway: '169.254.1.1', dev: 'eth0', scope: '0', metric: 0 }

describe('the second look', () => {
  it('is at all routes where they are not many', () => {
    const pod = podWith(1000)
    const look = lookAgain(pod, adding('10.50.0.0/16'))
    expect(look.questions).toEqual(['route show table all'])
    expect(heardOf(look, [json(DST)])).toEqual({ links: pod.links, routes: [to('10.50.0.0/16')] })
  })

  it('is at all routes where many are changed', () => {
    const ops = adding(...Array.from({ length: 7 }, (_, i) => `10.${i}.0.0/16`))
    expect(lookAgain(podWith(1001), ops).questions).toEqual(['route show table all'])
  })

  it('is at the default routes, and the changed destinations once each, where many routes are and few are changed', () => {
    const ops = adding('10.50.0.0/16', '0.0.0.0/0', '10.50.0.0/16', 'fd00:50::/64')
    expect(lookAgain(podWith(1001), ops).questions).toEqual([
      'route show table all exact 0.0.0.0/0',
      'route show table all exact ::/0',
      'route show table all exact 10.50.0.0/16',
      'route show table all exact fd00:50::/64',
    ])
  })

  it('takes what was not asked for from the first, and nothing else', () => {
    const pod = podWith(1001)
    const gone = to('0.0.0.0/0')
    const seen = { ...pod, routes: [gone, to('10.50.0.0/16', '10.0.0.9'), ...pod.routes] }
    const now = heardOf(lookAgain(seen, adding('10.50.0.0/16')), ['[]', '[]', json(DST)])
    expect(now).toEqual({ links: pod.links, routes: [...pod.routes, to('10.50.0.0/16')] })
  })

  it('hears nothing but JSON', () => {
    const look = lookAgain(podWith(1001), adding('10.50.0.0/16'))
    expect(() => heardOf(look, ['[]', ''])).toThrow(CniError)
    expect(() => heardOf(lookAt(EVERYTHING, { links: true }), [''])).toThrow(/answered with something other than JSON/)
  })
})

describe('of a long answer', () => {
  it('a route with attributes, or with several next hops, counts as more than one', () => {
    const keep = (more: object) => {
      const { take, heard } = lookAt({ filter: () => () => true, max: () => 5 }, { links: false }).listen()
      take(0, json(...Array.from({ length: 3 }, () => ({ ...DST, ...more }))), false)
      return heard().routes.length
    }
    expect(keep({})).toBe(3)
    expect(() => keep({ metrics: [{ mtu: 1400 }] })).toThrow(/more than 5 routes that matter/)
    expect(() => keep({ metrics: [{ ssthresh: 10 }] })).toThrow(/more than 5 routes that matter/)
    expect(() => keep({ nexthops: [{ dev: 'eth0' }, { dev: 'net1' }] })).toThrow(/more than 5 routes that matter/)
  })
})

describe('a glance', () => {
  it('is at the default route alone, however many others a node has', () => {
    expect(GLANCE.questions).toEqual(['route show table all exact 0.0.0.0/0'])
    expect(() => heardOf(GLANCE, ['default via 10.0.0.1 dev eth0'])).toThrow(/iproute2 5\.3 or newer/)
  })
})
