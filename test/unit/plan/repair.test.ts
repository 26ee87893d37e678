import { describe, expect, it } from 'vitest'
import { batchLine } from '../../../src/net/iproute2.ts'
import type { Route, Snapshot } from '../../../src/net/route.ts'
import { planRepair } from '../../../src/plan/repair.ts'
import { carryOut, shown } from '../../support/kernel.ts'
import { type Attachment, attachAll, checkAll, type Pod, type Sets, wishesOf } from '../../support/living-pod.ts'
import { DEFAULT4, DEFAULT6, link, route } from '../../support/snapshots.ts'

const UNDERLAY = ['10.50.0.0/16', 'fd00:10:50::/48']
const CALICO: Attachment = { nic: 'eth0', chain: [{ routes: [{ set: 'underlay' }] }] }
const OVN: Attachment = { nic: 'net1', withDefault: true, chain: [{ ovnGateway: 'auto' }] }
/** Kube-OVN first, whose default route is demoted until Calico has come. */
const LENDER: Attachment = { nic: 'net1', withDefault: true, chain: [{ defaultRoute: 'demote' }] }
const BORROWER: Attachment = { nic: 'eth0', chain: [{ routes: [{ set: 'underlay' }], ovnGateway: 'auto' }] }

const podOf = (all: readonly Attachment[], underlay: readonly string[] = UNDERLAY) => attachAll(all, { underlay })
const isOurs = ({ protocol }: Route) => protocol >= 142 && protocol <= 145
const without = (pod: Pod, isGone: (one: Route) => boolean): Pod => ({
  ...pod,
  now: { ...pod.now, routes: pod.now.routes.filter((one) => !isGone(one)) },
})
const flushed = (pod: Pod): Pod => without(pod, isOurs)
const changed = (pod: Pod, ...ops: Parameters<typeof carryOut>[1]): Pod => ({ ...pod, now: carryOut(pod.now, ops) })
const withLinks = (pod: Pod, links: Snapshot['links']): Pod => ({ ...pod, now: { ...pod.now, links } })

function plan(pod: Pod, sets: Sets = { underlay: UNDERLAY }) {
  return planRepair(wishesOf(pod, sets), shown(pod.now))
}

/** The batch that repair writes, which the kernel must take, and after which CHECK must pass. */
function batch(pod: Pod, underlay: readonly string[] = UNDERLAY): string[] {
  const { ops, found, refused } = plan(pod, { underlay })
  expect(refused, found.join('; ')).toBe(undefined)
  const after = { ...pod, now: carryOut(pod.now, ops) }
  expect(checkAll(wishesOf(pod, { underlay }), after.now)).toEqual([])
  expect(plan(after, { underlay })).toEqual({ ops: [], found: [] })
  return ops.map(batchLine)
}

const [UNDERLAY4, UNDERLAY6] = [
  'route add 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
  'route add fd00:10:50::/48 via fe80::ecee:eeff:feee:eeee dev eth0 proto 142 metric 1024',
]

describe('repair of the configured routes', () => {
  it.each([
    ['Calico first', [CALICO, OVN]],
    ['Kube-OVN first', [LENDER, BORROWER]],
  ])('does nothing in a pod that is as asked: %s', (_, all) => {
    expect(batch(podOf(all))).toEqual([])
  })

  it('brings back what was flushed, with the next hops that ADD reported', () => {
    expect(batch(flushed(podOf([CALICO])))).toEqual([UNDERLAY4, UNDERLAY6])
  })

  it('adds what a set has come to have, and removes what it has no more, in this order', () => {
    expect(batch(podOf([CALICO]), ['10.51.0.0/16', 'fd00:10:50::/48', 'fd00:10:51::/48'])).toEqual([
      'route add 10.51.0.0/16 via 169.254.1.1 dev eth0 proto 142',
      'route add fd00:10:51::/48 via fe80::ecee:eeff:feee:eeee dev eth0 proto 142 metric 1024',
      'route del 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142',
    ])
  })

  it('knows the next hop of a prefix that came later also where all was flushed', () => {
    expect(batch(flushed(podOf([CALICO])), ['fd00:10:50::/48', 'fd00:10:51::/48'])).toEqual([
      UNDERLAY6,
      'route add fd00:10:51::/48 via fe80::ecee:eeff:feee:eeee dev eth0 proto 142 metric 1024',
    ])
  })

  const ovnWithSet: Attachment = { nic: 'net1', withDefault: true, chain: [{ routes: [{ set: 'underlay' }] }] }

  it.each([
    ['the kernel shows', (pod: Pod) => pod],
    ['the Result has', flushed],
  ])('takes the next hop of prefixes that are all gone, which %s', (_, meanwhile) => {
    expect(batch(meanwhile(podOf([ovnWithSet])), ['10.60.0.0/16']).filter((line) => line.includes('add'))).toEqual([
      'route add 10.60.0.0/16 via 10.0.1.1 dev net1 proto 142',
    ])
  })

  it('takes the next hop of a default route that ADD left, if its copy and all routes are gone', () => {
    const other: Attachment = { nic: 'net2', withDefault: true, chain: [] }
    const lender: Attachment = { ...LENDER, chain: [{ defaultRoute: 'demote', routes: [{ set: 'underlay' }] }] }
    expect(batch(flushed(podOf([lender, other], [])), ['10.60.0.0/16'])).toEqual([
      'route add 10.60.0.0/16 via 10.0.1.1 dev net1 proto 142',
    ])
  })

  it('cannot know a next hop that nothing ever showed, and says so', () => {
    const { refused, found } = plan(podOf([ovnWithSet], []), { underlay: ['10.60.0.0/16'] })
    expect(refused).toBe('an attachment cannot have what it asks for')
    expect(found).toEqual([
      'net1: routes[0] (underlay:1): no next hop to 10.60.0.0/16 is known on net1, which has no IPv4 default route; add "gw" or "scope": "link"',
    ])
  })

  it('replaces what leads elsewhere, or is otherwise than asked, in place', () => {
    const [elsewhere, attribute] = [{ gw: '169.254.1.9' }, { attributes: { hoplimit: 7 } }]
    const pod = podOf([CALICO])
    const ops = pod.now.routes
      .filter(({ protocol }) => protocol === 142)
      .map((one) => ({ op: 'replace' as const, route: { ...one, ...(one.family === 4 ? elsewhere : attribute) } }))
    expect(batch(changed(pod, ...ops))).toEqual([
      UNDERLAY4.replace('add', 'replace'),
      UNDERLAY6.replace('add', 'replace'),
    ])
  })

  it('moves a prefix from one NIC to another without a moment in between', () => {
    const ovn: Attachment = { nic: 'net1', withDefault: true, chain: [{ routes: [{ set: 'vpc' }] }] }
    const pod = attachAll([CALICO, ovn], { underlay: UNDERLAY, vpc: ['10.60.0.0/16', '10.61.0.0/16'] })
    const sets = { underlay: [...UNDERLAY, '10.60.0.0/16'], vpc: ['10.61.0.0/16'] }
    expect(plan(pod, sets).ops.map(batchLine)).toEqual([
      'route replace 10.60.0.0/16 via 169.254.1.1 dev eth0 proto 142',
    ])
  })

  it('removes what looks like ours only from NICs of its attachments, and only if all of it is on such', () => {
    const ours = (dst: string, more: Partial<Route>) => ({
      op: 'add' as const,
      route: route(4, dst, { protocol: 142, ...more }),
    })
    const hop = (dev: string) => ({ gw: '10.0.1.1', dev, weight: 1, onlink: false })
    const pod = podOf([CALICO, OVN, { nic: 'net2', chain: [] }])
    const strange = changed(
      pod,
      ours('10.60.0.0/16', { gw: '169.254.1.1', dev: 'eth0' }),
      ours('10.61.0.0/16', { gw: '10.0.2.1', dev: 'net2' }),
      ours('10.62.0.0/16', { gw: '169.254.1.1', dev: 'eth0', table: 100 }),
      ours('10.63.0.0/16', { nexthops: [hop('eth0'), hop('net1')] }),
      ours('10.64.0.0/16', { nexthops: [hop('eth0'), hop('net2')] }),
      ours('10.65.0.0/16', { type: 6 }),
    )
    expect(batch(strange).map((line) => line.split(' ')[2])).toEqual(['10.60.0.0/16', '10.62.0.0/16', '10.63.0.0/16'])
    expect(plan(strange).found[0]).toBe('eth0: not removed: 10.60.0.0/16 via 169.254.1.1 dev eth0 proto 142')
  })

  it('asks for what all entries of a chain ask for, and for what one puts on another NIC', () => {
    const chain = [
      { defaultRoute: 'keep', routes: [{ set: 'underlay' }] },
      { routes: [{ set: 'more' }, { dst: '10.70.0.0/16' }] },
    ]
    const sets = { underlay: UNDERLAY, more: ['10.61.0.0/16'] }
    const pod = attachAll([{ nic: 'eth0', chain }], sets)
    expect(plan(pod, sets)).toEqual({ ops: [], found: [] })
    expect(plan(pod, { ...sets, more: [] }).ops.map(batchLine)).toEqual([
      'route del 10.61.0.0/16 via 169.254.1.1 dev eth0 proto 142',
    ])
    const elsewhere = { routes: [{ set: 'underlay', dev: 'net1', gw: '10.0.1.7' }] }
    const two = podOf(
      [
        { nic: 'net1', chain: [] },
        { nic: 'eth0', chain: [elsewhere] },
      ],
      ['10.50.0.0/16'],
    )
    expect(batch(two, ['10.51.0.0/16'])).toEqual([
      'route add 10.51.0.0/16 via 10.0.1.7 dev net1 proto 142',
      'route del 10.50.0.0/16 via 10.0.1.7 dev net1 proto 142',
    ])
  })

  it('removes one of ours beside another in an IPv6 place, and refuses where somebody else’s is', () => {
    const pod = podOf([CALICO])
    const [six] = pod.now.routes.filter(({ family, protocol }) => family === 6 && protocol === 142)
    const other = { ...(six as Route), gw: 'fe80::7' }
    // Of the second the kernel does not show whose it is.
    expect(plan(changed(pod, { op: 'append', route: other })).found).toEqual([
      expect.stringMatching(
        /^eth0: routes\[0\] \(underlay:2\): the pod already has another route to fd00:10:50::\/48: .* via fe80::7/,
      ),
    ])
    const first = without(pod, (one) => one === six)
    const twice = changed(first, { op: 'add', route: other }, { op: 'append', route: six as Route })
    expect(batch(twice)).toEqual(['route del fd00:10:50::/48 via fe80::7 dev eth0 proto 142 metric 1024'])
  })

  it('refuses as ADD does what somebody else has in the place', () => {
    const theirs = route(4, '10.50.0.0/16', { gw: '10.0.1.1', dev: 'net1' })
    const pod = changed(flushed(podOf([CALICO, OVN])), { op: 'add', route: theirs })
    const { refused, found } = plan(pod)
    expect(refused).toBeDefined()
    expect(found[0]).toBe(
      'eth0: routes[0] (underlay:1): the pod already has another route to 10.50.0.0/16: 10.50.0.0/16 via 10.0.1.1 dev net1 proto 3, where 10.50.0.0/16 via 169.254.1.1 dev eth0 proto 142 would go; write another "priority"',
    )
  })
})

describe('repair of default routes', () => {
  const [back4, back6] = [DEFAULT4, DEFAULT6].map((one) => ({ op: 'add' as const, route: one }))

  it('removes one that came back, and does not learn from it', () => {
    const strange = { ...back4, route: { ...DEFAULT4, gw: '169.254.1.9' } } as const
    const pod = changed(podOf([CALICO]), strange as never, back6 as never)
    expect(batch(pod)).toEqual([
      'route del 0.0.0.0/0 via 169.254.1.9 dev eth0 proto 3',
      'route del ::/0 via fe80::ecee:eeff:feee:eeee dev eth0 proto 3 metric 1024',
    ])
  })

  it('learns from one that came back only if nothing else tells, and before it goes', () => {
    const pod = changed(podOf([CALICO], []), back6 as never)
    expect(batch(pod, ['fd00:10:50::/48'])).toEqual([
      UNDERLAY6,
      'route del ::/0 via fe80::ecee:eeff:feee:eeee dev eth0 proto 3 metric 1024',
    ])
  })

  const named: Attachment = { nic: 'net1', chain: [{ ovnGateway: { ipv4: '10.0.1.1' } }] }

  it('puts the wanted one into the place of one that was put into its own, in one step', () => {
    const pod = changed(podOf([CALICO, named]), { op: 'replace', route: DEFAULT4 })
    expect(batch(pod)).toEqual(['route replace 0.0.0.0/0 via 10.0.1.1 dev net1 proto 143'])
  })

  it('makes the one of ovnGateway again, as an address and as the one that the previous plugin reported', () => {
    expect(batch(flushed(podOf([named])))).toEqual(['route add 0.0.0.0/0 via 10.0.1.1 dev net1 proto 143'])
    const pod = podOf([OVN])
    expect(batch(without(pod, ({ dst }) => dst.endsWith('/0')))).toEqual([
      'route add 0.0.0.0/0 via 10.0.1.1 dev net1 proto 143',
      'route add ::/0 via fd00:10:0:1::1 dev net1 proto 143 metric 1024',
    ])
  })

  it('removes one of ours that nobody wants, unless it is the only one of its family', () => {
    const made = (more: Partial<Route>) => ({
      op: 'add' as const,
      route: route(4, '0.0.0.0/0', { gw: '10.0.1.1', dev: 'net1', protocol: 143, ...more }),
    })
    expect(batch(changed(podOf([named]), made({ priority: 7 })))).toEqual([
      'route del 0.0.0.0/0 via 10.0.1.1 dev net1 proto 143 metric 7',
    ])
    const keeps: Attachment = { nic: 'net1', chain: [{ defaultRoute: 'keep' }] }
    expect(batch(changed(podOf([keeps]), made({})))).toEqual([])
    expect(batch(changed(podOf([keeps]), made({}), made({ protocol: 3, priority: 9 })))).toEqual([
      'route del 0.0.0.0/0 via 10.0.1.1 dev net1 proto 143',
    ])
  })

  const RESTORED = [
    'route add 0.0.0.0/0 via 10.0.1.1 dev net1 proto 145',
    'route add ::/0 via fd00:10:0:1::1 dev net1 proto 145 metric 1024',
  ]

  it('brings back one that was demoted and restored, of each family by itself', () => {
    const pod = podOf([LENDER, BORROWER])
    const isLent = ({ dst }: Route) => dst.endsWith('/0')
    expect(batch(without(pod, isLent))).toEqual(RESTORED)
    expect(batch(without(pod, (one) => isLent(one) && one.family === 6))).toEqual(RESTORED.slice(1))
    expect(batch(flushed(pod))).toEqual([UNDERLAY4, UNDERLAY6, ...RESTORED])
  })

  it('brings it back in the place of one that was put there for a NIC whose own is to be removed', () => {
    const pod = podOf([LENDER, BORROWER])
    expect(batch(changed(pod, { op: 'replace', route: DEFAULT4 }))).toEqual([
      'route replace 0.0.0.0/0 via 10.0.1.1 dev net1 proto 145',
    ])
  })

  it('brings back the demoted copy alone, where nobody has restored it', () => {
    expect(batch(flushed(podOf([LENDER])))).toEqual([
      'route add 0.0.0.0/0 via 10.0.1.1 dev net1 proto 144 metric 4026531840',
      'route add ::/0 via fd00:10:0:1::1 dev net1 proto 144 metric 4026532864',
    ])
  })

  it('leaves it to whoever made another', () => {
    const vpn = route(4, '0.0.0.0/0', { dev: 'net2', priority: 5 })
    const pod = without(podOf([LENDER, BORROWER, { nic: 'net2', chain: [] }]), ({ dst }) => dst === '0.0.0.0/0')
    expect(batch(changed(pod, { op: 'add', route: vpn }))).toEqual([])
  })

  it('brings it back beside others if an attachment cannot do without', () => {
    const borrower = { ...BORROWER, chain: [{ ovnGateway: { ipv4: 'auto', dev: 'net1' } }] }
    const vpn = route(4, '0.0.0.0/0', { dev: 'net2', priority: 5 })
    const pod = without(podOf([LENDER, { nic: 'net2', chain: [] }, borrower]), ({ dst }) => dst === '0.0.0.0/0')
    expect(batch(changed(pod, { op: 'add', route: vpn }))).toEqual(RESTORED.slice(0, 1))
  })

  it('demotes one that was made in the place of a demoted one, whose copy is out of date', () => {
    const fresh = route(4, '0.0.0.0/0', { gw: '10.0.1.2', dev: 'net1' })
    expect(batch(changed(podOf([LENDER]), { op: 'add', route: fresh }))).toEqual([
      'route replace 0.0.0.0/0 via 10.0.1.2 dev net1 proto 144 metric 4026531840',
      'route del 0.0.0.0/0 via 10.0.1.2 dev net1 proto 3',
    ])
  })

  it('says which attachments want what only one can have', () => {
    const chain = (gw: string) => [{ ovnGateway: { ipv4: gw } }]
    const pod = podOf([
      { nic: 'net1', chain: chain('10.0.1.1') },
      { nic: 'net2', chain: chain('10.0.2.1') },
    ])
    const { refused, found } = plan(pod)
    expect(refused).toBe('the attachments net1, net2 contradict each other')
    expect(found).toEqual([
      'net1: ovnGateway: expected 0.0.0.0/0 via 10.0.1.1 dev net1 proto 143, found 0.0.0.0/0 via 10.0.2.1 dev net2 proto 143',
    ])
  })

  it('changes them after all other routes: these may need the way that goes', () => {
    const pod = changed(flushed(podOf([CALICO, named])), { op: 'add', route: DEFAULT4 })
    expect(batch(pod)).toEqual([UNDERLAY4, UNDERLAY6, 'route replace 0.0.0.0/0 via 10.0.1.1 dev net1 proto 143'])
  })
})

describe('a pod is left alone', () => {
  const damaged = flushed(podOf([CALICO, OVN]))
  const { links } = damaged.now

  it('if it lacks a NIC, or has another in its place', () => {
    const gone = withLinks(
      damaged,
      links.filter(({ ifname }) => ifname !== 'net1'),
    )
    expect(plan(gone)).toEqual({
      ops: [],
      found: ['the pod has no interface net1'],
      refused: 'the pod has no interface net1',
    })
    const withMac = {
      ...damaged,
      asked: damaged.asked.map(({ conf, ...rest }) => {
        const prevResult = {
          ...(conf.prevResult as object),
          interfaces: [{ name: rest.ifname, sandbox: '/pod', mac: '02:00:00:00:00:01' }],
        }
        return { ...rest, conf: { ...conf, prevResult } }
      }),
    }
    const other = withLinks(
      withMac,
      links.map((one) => ({ ...one, mac: '02:00:00:00:00:0f' })),
    )
    expect(plan(other).refused).toMatch(/^eth0: not the interface of the Result: its MAC address is 02:00:00:00:00:0f/)
  })

  it('if a NIC is down', () => {
    const down = withLinks(
      damaged,
      links.map((one) => ({ ...one, up: one.ifname !== 'eth0' })),
    )
    const { refused, found } = plan(down)
    expect(refused).toBe('an attachment cannot have what it asks for')
    expect(found[0]).toBe('eth0: routes[0]: interface eth0 is down; the plugin that made it must set it up')
  })

  it('as to a NIC that KubeVirt has moved into a bridge, and as to what that one has on others', () => {
    const chain = [{ routes: [{ set: 'underlay', dev: 'net1', gw: '10.0.1.7' }] }]
    const ovn: Attachment = { nic: 'net1', chain: [{ ovnGateway: { ipv4: '10.0.1.1', priority: 4096 } }] }
    const pod = podOf([ovn, { nic: 'eth0', chain }], ['10.50.0.0/16'])
    const bridged = withLinks(pod, [
      ...pod.now.links.map((one) => (one.ifname === 'eth0' ? { ...one, kind: 'dummy' } : one)),
      link('eth0-nic'),
    ])
    expect(batch(bridged, ['10.50.0.0/16'])).toEqual([])
    expect(
      batch(
        without(bridged, ({ dst }) => dst === '0.0.0.0/0'),
        ['10.50.0.0/16'],
      ),
    ).toEqual(['route add 0.0.0.0/0 via 10.0.1.1 dev net1 proto 143 metric 4096'])
  })
})

it('takes time in proportion to the number of routes', () => {
  const prefixes = (n: number, first: number) =>
    Array.from({ length: n }, (_, i) => `10.${first + (i >> 8)}.${i & 255}.0/24`)
  const timeOf = (n: number) => {
    const pod = attachAll([CALICO], { underlay: prefixes(n, 0) })
    const wishes = wishesOf(pod, { underlay: prefixes(n, 60) })
    const start = performance.now()
    expect(planRepair(wishes, pod.now).ops).toHaveLength(2 * n)
    return performance.now() - start
  }
  timeOf(500)
  const [small, large] = [timeOf(1000), timeOf(10_000)]
  expect(large / small).toBeLessThan(40)
})
