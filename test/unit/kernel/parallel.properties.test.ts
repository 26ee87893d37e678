import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseConfig } from '../../../src/config/config.ts'
import { routeText } from '../../../src/net/iproute2.ts'
import { type Op, type Route, type Snapshot, samePlace } from '../../../src/net/route.ts'
import { planAdd } from '../../../src/plan/plan.ts'
import { problemText } from '../../../src/plan/problem.ts'
import { carryOut } from '../../support/kernel.ts'
import { DEFAULT4, DEFAULT6, LINK4, link, route } from '../../support/snapshots.ts'

/**
 * Two chains that a runtime attaches to one pod at the same time, each step of each at any moment. A copy of the plugin
 * goes as change.ts goes: it looks, plans, makes its changes one by one, plans anew when one of them comes too late, and is done
 * when it finds nothing to do.
 */
interface Pod {
  now: Snapshot
}

type Steps = Generator<void, void, void>

function* plugin(pod: Pod, ifname: string, conf: Record<string, unknown>): Steps {
  const decide = (): readonly Op[] => {
    const { ops, problems } = planAdd(parseConfig(conf), ifname, pod.now)
    if (problems.length > 0) throw new Error(problems.map(problemText).join('; '))
    return ops
  }
  for (let attempt = 0; attempt < 5; attempt++) {
    const ops = decide()
    yield
    if (ops.length === 0) return
    try {
      for (const op of ops) {
        pod.now = carryOut(pod.now, [op])
        yield
      }
    } catch {
      continue
    }
    if (decide().length === 0) return
    yield
  }
  throw new Error(`${ifname}: never done`)
}

/** Calico's ADD: the link route, then the defaults, which it adds only where their place is free. */
function* calico(pod: Pod): Steps {
  for (const one of [LINK4, DEFAULT4, DEFAULT6]) {
    pod.now = carryOut(pod.now, [{ op: 'add', route: one }])
    yield
  }
}

/** kube-ovn's ADD: the connected routes, then the defaults, which take their place from whoever has it. */
function* kubeOvn(pod: Pod, withDefault: boolean): Steps {
  for (const one of [route(4, '10.0.1.0/24', { dev: 'net1' }), route(6, 'fd00:10:0:1::/64', { dev: 'net1' })]) {
    pod.now = carryOut(pod.now, [{ op: 'add', route: one }])
  }
  yield
  if (!withDefault) return
  for (const one of OVN_DEFAULTS) {
    pod.now = carryOut(pod.now, [{ op: 'replace', route: one }])
    yield
  }
}

const OVN_DEFAULTS: Route[] = [
  route(4, '0.0.0.0/0', { gw: '10.0.1.1', dev: 'net1' }),
  route(6, '::/0', { gw: 'fd00:10:0:1::1', dev: 'net1' }),
]

function* chain(...links: Steps[]): Steps {
  for (const one of links) yield* one
}

const emptyPod = (): Pod => ({
  now: { routes: [], links: [link('eth0', '10.199.3.153'), link('net1', '10.0.1.10')] },
})

/** Runs the chains, a step of the one or the other as the schedule says, then what is left. */
function run(chains: readonly [Steps, Steps], schedule: readonly boolean[]): void {
  for (const first of schedule) chains[first ? 0 : 1].next()
  for (const one of chains) while (!one.next().done);
}

const schedules = fc.array(fc.boolean(), { maxLength: 40 })
const UNDERLAY = ['10.50.0.0/16', 'fd00:10:50::/48'].map((dst) => ({ dst }))
const table = (pod: Pod) =>
  pod.now.routes
    .filter(({ dev, protocol }) => dev === 'eth0' || protocol > 2)
    .map((one) => routeText(one).replace(/ proto \d+/, ''))
    .sort()

describe('two copies of the plugin in one pod', () => {
  it('whatever the interleaving: the demoted default is restored and the underlay routes are there', () => {
    const expected = new Set<string>()
    fc.assert(
      fc.property(schedules, (schedule) => {
        const pod = emptyPod()
        // Both NICs are there: how far the two copies have come is open. Calico was let in by the demotion.
        for (const step of kubeOvn(pod, true)) void step
        for (const step of plugin(pod, 'net1', { defaultRoute: 'demote' })) void step
        for (const step of calico(pod)) void step
        const repeated = plugin(pod, 'net1', { defaultRoute: 'demote' })
        run([plugin(pod, 'eth0', { routes: UNDERLAY, ovnGateway: 'auto' }), repeated], schedule)
        expected.add(table(pod).join('\n'))
      }),
      { numRuns: 500 },
    )
    expect([...expected]).toEqual([
      [
        '0.0.0.0/0 via 10.0.1.1 dev net1',
        '10.0.1.0/24 dev net1',
        '10.50.0.0/16 via 169.254.1.1 dev eth0',
        '169.254.1.1/32 dev eth0',
        '::/0 via fd00:10:0:1::1 dev net1 metric 1024',
        'fd00:10:0:1::/64 dev net1 metric 1024',
        'fd00:10:50::/48 via fe80::ecee:eeff:feee:eeee dev eth0 metric 1024',
      ].join('\n'),
    ])
  })

  it('whatever the interleaving, kube-ovn overwriting the default of Calico included: one default, on the NIC of OVN', () => {
    const expected = new Set<string>()
    let blocked = 0
    fc.assert(
      fc.property(schedules, (schedule) => {
        const pod = emptyPod()
        const underlay = UNDERLAY.slice(0, 1)
        const first = chain(calico(pod), plugin(pod, 'eth0', { routes: underlay, ovnGateway: 'auto' }))
        const second = chain(kubeOvn(pod, true), plugin(pod, 'net1', { defaultRoute: 'demote' }))
        try {
          run([first, second], schedule)
        } catch (error) {
          // What no plugin after Calico can help: Calico came upon a default, or this one upon a pod without OVN's NIC yet.
          expect(String(error)).toMatch(/File exists.*eth0|no IPv4 or IPv6 gateway is known|No such process/)
          blocked++
          return
        }
        expected.add(
          table(pod)
            .filter((text) => !text.includes('/24') && !text.includes('/64'))
            .join('\n'),
        )
      }),
      { numRuns: 3000 },
    )
    expect([...expected]).toEqual([
      [
        '0.0.0.0/0 via 10.0.1.1 dev net1',
        '10.50.0.0/16 via 169.254.1.1 dev eth0',
        '169.254.1.1/32 dev eth0',
        '::/0 via fd00:10:0:1::1 dev net1 metric 1024',
      ].join('\n'),
    ])
    expect(blocked).toBeLessThan(2900)
  })

  it('whatever the interleaving, a gateway with a metric of its own lets Calico in at any time', () => {
    const expected = new Set<string>()
    fc.assert(
      fc.property(schedules, (schedule) => {
        const pod = emptyPod()
        const gateway = { ipv4: '10.0.1.1', ipv6: 'fd00:10:0:1::1', priority: 4096 }
        const first = chain(calico(pod), plugin(pod, 'eth0', { routes: UNDERLAY }))
        run([first, chain(kubeOvn(pod, false), plugin(pod, 'net1', { ovnGateway: gateway }))], schedule)
        expected.add(
          table(pod)
            .filter((text) => !text.includes('/24') && !text.includes('/64'))
            .join('\n'),
        )
      }),
      { numRuns: 500 },
    )
    expect([...expected]).toEqual([
      [
        '0.0.0.0/0 via 10.0.1.1 dev net1 metric 4096',
        '10.50.0.0/16 via 169.254.1.1 dev eth0',
        '169.254.1.1/32 dev eth0',
        '::/0 via fd00:10:0:1::1 dev net1 metric 4096',
        'fd00:10:50::/48 via fe80::ecee:eeff:feee:eeee dev eth0 metric 1024',
      ].join('\n'),
    ])
  })
})

it('two routes of the model compete for a place as in the kernel', () => {
  expect(samePlace(DEFAULT4, OVN_DEFAULTS[0] as Route)).toBe(true)
})
