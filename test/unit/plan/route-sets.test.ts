import { describe, expect, it } from 'vitest'
import { effectiveConfig } from '../../../src/config/overrides.ts'
import { batchLine } from '../../../src/net/iproute2.ts'
import type { Snapshot } from '../../../src/net/route.ts'
import { probesOf } from '../../../src/plan/packets.ts'
import { planAdd } from '../../../src/plan/plan.ts'
import { problemText } from '../../../src/plan/problem.ts'
import { setsOf } from '../../support/sets.ts'
import { calicoPod, LINK4, route } from '../../support/snapshots.ts'

const TEXT = '10.50.0.0/16\n# a comment\n10.60.0.0/16\n'
const configOf = (entry: object, text = TEXT) =>
  effectiveConfig({ defaultRoute: 'keep', routes: [{ set: 'underlay', ...entry }] }, setsOf({ underlay: text }))
const planned = (entry: object, pod: Snapshot = calicoPod(), text = TEXT) => planAdd(configOf(entry, text), 'eth0', pod)
const problems = (...asked: Parameters<typeof planned>) => planned(...asked).problems.map(problemText)

describe('the routes of a set', () => {
  it('are added as those that are written, and say which line they are from', () => {
    expect(planned({ mtu: 1400 }).ops.map((op) => `${op.origin.path}: ${batchLine(op)}`)).toEqual([
      'routes[0] (underlay:1): route add 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142 mtu 1400',
      'routes[0] (underlay:3): route add 10.60.0.0/16 via 169.254.1.1 dev eth0 proto 142 mtu 1400',
    ])
  })

  it('that came later get the next hop of the earlier ones, when the default route is gone', () => {
    const before = route(4, '10.50.0.0/16', { gw: '10.7.7.1', dev: 'eth0', protocol: 142 })
    expect(planned({}, { ...calicoPod(), routes: [before] }).ops.map(batchLine)).toEqual([
      'route add 10.60.0.0/16 via 10.7.7.1 dev eth0 proto 142',
    ])
  })

  it('are probed under the same names', () => {
    expect(probesOf(configOf({})).map(({ path, address }) => `${path} ${address}`)).toEqual([
      'routes[0] (underlay:1) 10.50.0.0',
      'routes[0] (underlay:3) 10.60.0.0',
    ])
  })
})

describe('what is wrong in the pod', () => {
  const down = (snapshot: Snapshot): Snapshot => ({
    ...snapshot,
    links: snapshot.links.map((link) => ({ ...link, up: false })),
  })

  it.each<[string, object, Snapshot, string[]]>([
    [
      'with an entry is told once: its NIC is missing',
      { dev: 'net9', gw: '10.0.1.1' },
      calicoPod(),
      ['routes[0].dev: the pod has no interface net9; it has lo, eth0, net1'],
    ],
    [
      'with an entry is told once: its NIC is down',
      {},
      down(calicoPod()),
      ['routes[0]: interface eth0 is down; the plugin that made it must set it up'],
    ],
    [
      'with an entry is told once: its source is not an address of the pod',
      { src: '10.9.9.9' },
      calicoPod(),
      ['routes[0].src: 10.9.9.9 is not an address of the pod; its IPv4 addresses are 10.199.3.153, 10.0.1.10'],
    ],
    [
      'with a prefix is told of each: no next hop is known',
      {},
      { ...calicoPod(), routes: [] },
      ['routes[0] (underlay:1): no next hop to 10.50.0.0/16', 'routes[0] (underlay:3): no next hop to 10.60.0.0/16'],
    ],
    [
      'with a prefix is told of it: another route is in its place',
      {},
      calicoPod(route(4, '10.60.0.0/16', { gw: '10.0.1.1', dev: 'net1' })),
      ['routes[0] (underlay:3): the pod already has another route to 10.60.0.0/16'],
    ],
    [
      'with a prefix is told of it: the route of the kernel has other attributes',
      { scope: 'link', mtu: 1400 },
      { ...calicoPod(), routes: [LINK4, route(4, '10.60.0.0/16', { dev: 'eth0', protocol: 2 })] },
      ['routes[0] (underlay:3): "mtu" cannot be set on the route of the kernel'],
    ],
  ])('%s', (_, entry, pod, said) => {
    expect(problems(entry, pod)).toEqual(said.map((one) => expect.stringContaining(one)))
  })
})
